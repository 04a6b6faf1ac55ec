-- One row is one key to look up, at most $most, least recently checked first: in the run's days, what its list did not
-- show at $now; on other days, what was written and not seen since.
select l.external_id
from finmap_upload l
anti join finmap_operations f on f.external_id = l.external_id and f.read_at = $now
where l.state in ('sent', 'verified')
    and l.deleting is null
    and (l.day between $first_day and $last_day or (l.state = 'sent' and l.next_attempt_at is null))
order by l.looked_at nulls first, l.external_id
limit $most
