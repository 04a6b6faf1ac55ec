-- One row is one difference of these transactions between the two sides.
select transaction_id, kind, explained, detail
from differences
where list_contains($transaction_ids, transaction_id)
order by list_position($transaction_ids, transaction_id), kind
