-- One row is one key to look up, at most $most, least recently checked first: of the days that were listed, what the list
-- did not show at $now; of the run's other days, what was missing before; of all others, what was written and not seen
-- since.
select l.external_id
from finmap_upload l
anti join finmap_operations f on f.external_id = l.external_id and f.read_at = $now
where l.state in ('sent', 'verified')
    and l.deleting is null
    and (
        l.day in (select unnest($days::date[]))
        or (l.day between $first_day and $last_day and l.missing_since is not null)
        or (l.state = 'sent' and l.next_attempt_at is null)
    )
order by l.looked_at nulls first, l.external_id
limit $most
