-- One row is one task being started: at most $most after position $after, with the ledger entry of its operation, or of
-- the previous generation, as `entry`.
create or replace temp table begun as
select
    t.*,
    if(l.external_id is null, null, l) as entry,
    -- An operation never seen in Finmap is not replaced by a new generation but sent again under its own key.
    t.action = 'replace' and l.verified_at is null and l.applied_at is null as own_key,
    $now::timestamptz as begun_at
from tasks t
left join finmap_upload l on l.external_id = t.known_as
where t.position > $after
order by t.position
limit $most
