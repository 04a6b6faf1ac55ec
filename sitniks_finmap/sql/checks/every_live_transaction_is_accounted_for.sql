-- One row: how many live transactions are neither an operation nor rejected, or both, and how many there are.
select count(*) filter (known is distinct from 1) as wrong, count(*) as live_transactions
from (
    select transaction_id from latest_transactions, settings where gone_at is null and day >= start_date
)
left join (
    select transaction_id, count(*) as known
    from (select transaction_id from operations union all select transaction_id from rejected_transactions)
    group by all
) using (transaction_id)
