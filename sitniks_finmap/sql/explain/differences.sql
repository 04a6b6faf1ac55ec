-- One row is one difference between the two sides of the transaction.
select kind, explained, detail
from differences
where transaction_id = $transaction_id
