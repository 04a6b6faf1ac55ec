-- One row is one day with orders for which there is no operation: how many, and what they cost.
select day, count(*) as unbooked_orders, coalesce(sum(total), 0) as unbooked_sum
from unbooked_orders
where day between $first and $last
group by all
