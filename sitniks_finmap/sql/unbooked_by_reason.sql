-- One row is one reason why orders created on these days have no operation (`part` is null), or why a part is missing of
-- orders that have others: how many orders, and whether a person should still look at them. `total` is what the orders
-- cost that have none; of a part, it is not known what was not booked. A status that is in no list counts by itself.
select
    part,
    reason,
    if(reason = 'its status is in no list', status, null) as status,
    count(*) as orders,
    coalesce(sum(total) filter (part is null), 0) as total,
    (order_id, coalesce(part, '')) in (select (order_id, coalesce(part, '')) from unbooked_to_check) as look
from unbooked_orders
where day between $first and $last
group by all
order by part nulls first, orders desc, reason, status
