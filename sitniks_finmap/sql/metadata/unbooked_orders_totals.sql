-- One row is one day with orders that lack operations: how many have none, what these cost, and how many parts are missing
-- of orders that have others.
select
    day,
    count(*) filter (part is null) as unbooked_orders,
    coalesce(sum(total) filter (part is null), 0) as unbooked_sum,
    count(*) filter (part is not null) as unbooked_parts
from unbooked_orders
where day between $first and $last
group by all
