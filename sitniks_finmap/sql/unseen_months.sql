-- One row is one month outside these days with at least $many operations written and not seen since: its first and last
-- day with one.
select min(day) as first_day, max(day) as last_day
from finmap_upload
where state = 'sent' and next_attempt_at is null and day not between $first_day and $last_day
group by date_trunc('month', day)
having count(*) >= $many
