-- One row is one difference of the transaction between the two sides.
select kind, explained, detail
from differences
where transaction_id = $transaction_id
