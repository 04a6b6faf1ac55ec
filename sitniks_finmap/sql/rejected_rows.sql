-- One row is one rejected transaction of these days, with the reason.
select transaction_id, day, reason
from rejected_transactions
where day between $first and $last
order by all
