-- Deletes those of the entries $external_ids that were only recorded as started and never sent.
delete from finmap_upload
where list_contains($external_ids::varchar[], external_id) and state = 'failed' and attempts = 0
