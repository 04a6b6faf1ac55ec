-- One row: how many live transactions are neither an operation nor rejected, or both, and how many there are.
select count(*) filter (missing or doubled) as wrong, count(*) as live_transactions
from accounted_records
