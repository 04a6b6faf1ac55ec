-- One row is one task that is taken up now, of the $most that follow the position $after, with what the ledger knows of
-- its operation, or of the generation before, as `entry`.
create or replace temp table begun as
select
    t.*,
    if(l.external_id is null, null, l) as entry,
    -- What was never seen in Finmap is not replaced by a next generation, but written once more under its own key.
    t.action = 'replace' and l.verified_at is null and l.applied_at is null as own_key,
    $now::timestamptz as begun_at
from tasks t
left join finmap_upload l on l.external_id = t.known_as
where t.position > $after
order by t.position
limit $most
