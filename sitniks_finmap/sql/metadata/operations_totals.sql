-- One row is one day: how many transactions became operations and how many were rejected, and the sums.
select
    day,
    count(*) filter (what = 'operation') as operations,
    count(*) filter (what = 'rejected') as rejected,
    coalesce(sum(amount) filter (type = 'income'), 0) as income_sum,
    coalesce(sum(amount) filter (type = 'expense'), 0) as expense_sum
from (
    select 'operation' as what, day, type, amount from operations
    union all
    select 'rejected', day, null, null from rejected_transactions
)
where day between $first and $last
group by all
