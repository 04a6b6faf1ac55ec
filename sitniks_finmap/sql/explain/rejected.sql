-- One row: why the transaction makes no operation.
select reason || coalesce(': ' || written, '') as reason
from rejected_transactions
where transaction_id = $transaction_id
