-- One row: how many operations of others the accounts of the money had when last looked at, and when that was.
select
    coalesce(sum(income + expense), 0)::integer as wrong,
    max(income) as income,
    max(expense) as expense,
    max(looked_at) as looked_at
from other_operations
