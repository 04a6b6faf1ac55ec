-- One row is one entry of the ledger, five of each day.
select
    day,
    transaction_id,
    written.type as type,
    written.amount::varchar as amount,
    state,
    attempts,
    strftime(sent_at, '%Y-%m-%d %H:%M') as sent_utc
from finmap_upload
where day between $first and $last
qualify row_number() over (partition by day order by state, finmap_upload.written.amount desc, transaction_id) <= 5
