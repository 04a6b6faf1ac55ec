-- One row is one operation, the five largest of each day.
select
    day,
    transaction_id,
    strftime(timezone(timezone, occurred_at), '%H:%M:%S') as time,
    type,
    amount::varchar as amount,
    classification
from operations
cross join settings
where day between $first and $last
qualify row_number() over (partition by day order by operations.amount desc, transaction_id) <= 5
