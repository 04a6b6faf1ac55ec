-- The first and the last day from $first to $last whose transactions did not fail to be read.
select min(day)::date as first_day, max(day)::date as last_day
from generate_series($first::date, $last::date, interval 1 day) days(day)
where day not in (select day from unread_days where resource = (from main_source))
