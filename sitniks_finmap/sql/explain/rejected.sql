-- One row: why the transaction was rejected, and what is unreadable, as it was written.
select reason, written
from rejected_transactions
where transaction_id = $transaction_id
