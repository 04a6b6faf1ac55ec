-- One row: the read whose rows are being stored: its days, when it started, and the instants requested.
create or replace temp table this_read as
select
    $first::date as first_day,
    $last::date as last_day,
    $read_at::timestamptz as read_at,
    $run_id::varchar as run_id,
    $read_from::timestamptz as read_from,
    $read_to::timestamptz as read_to
