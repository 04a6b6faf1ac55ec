-- One row: why the transaction was rejected.
select reason || coalesce(': ' || written, '') as reason
from rejected_transactions
where transaction_id = $transaction_id
