-- The first and the last day with something to deliver now, or to derive because a run died before it did.
select min(day) as first_day, max(day) as last_day
from (
    select day from plan where standing = 'go' and (due_at is null or due_at <= $now)
    union all
    select day from underived_records
), settings
where day between start_date and timezone(timezone, $now::timestamptz)::date
