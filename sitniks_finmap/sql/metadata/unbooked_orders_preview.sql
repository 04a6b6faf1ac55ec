-- One row is one reason of one day why orders have no operation, and how many have it.
select day, coalesce(part, 'order') as part, status, reason, count(*) as orders, sum(total) as total
from unbooked_orders
where day between $first and $last
group by all
order by day, orders desc, reason
