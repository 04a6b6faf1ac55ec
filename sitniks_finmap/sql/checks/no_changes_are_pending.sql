-- One row: how many planned changes are pending a person's decision.
select count(*) as wrong, min(transaction_id) as for_example
from plan
where standing = 'pending'
