-- One row: how many planned changes are pending.
select count(*) as wrong, min(transaction_id) as for_example
from plan
where standing = 'pending'
