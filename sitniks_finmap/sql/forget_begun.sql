-- Takes out those of these entries ($external_ids) that were only written down as begun: nothing was ever sent for them.
delete from finmap_upload
where list_contains($external_ids::varchar[], external_id) and state = 'failed' and attempts = 0
