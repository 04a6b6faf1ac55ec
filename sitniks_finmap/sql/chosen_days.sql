-- One row: the days that are being derived, and today, after which no transaction can have its day.
create or replace temp table chosen_days as
select
    $first::date as first_day,
    $last::date as last_day,
    timezone(timezone, $now::timestamptz)::date as today
from settings
