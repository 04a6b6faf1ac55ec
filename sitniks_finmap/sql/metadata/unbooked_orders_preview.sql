-- One row is one reason of one day why orders, or parts of orders that have others, have no operation; how many, and what
-- the orders without any cost.
select day, coalesce(part, 'order') as part, status, reason, count(*) as orders, sum(total) filter (part is null) as total
from unbooked_orders
where day between $first and $last
group by all
order by day, orders desc, reason
