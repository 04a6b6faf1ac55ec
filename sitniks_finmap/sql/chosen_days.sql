-- One row: the days being derived, and today, the last valid day of a transaction.
create or replace temp table chosen_days as
select
    $first::date as first_day,
    $last::date as last_day,
    timezone(timezone, $now::timestamptz)::date as today
from settings
