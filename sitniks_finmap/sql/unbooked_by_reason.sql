-- One row is one reason why orders created on these days, or parts of them, make no operation: how many orders, what they
-- cost in total, and whether a person should still look at them. A status that is in no list counts by itself.
select
    reason,
    if(reason = 'its status is in no list', status, null) as status,
    count(distinct order_id) as orders,
    coalesce(sum(total), 0) as total,
    (order_id, coalesce(part, '')) in (select (order_id, coalesce(part, '')) from unbooked_to_check) as look
from unbooked_orders
where day between $first and $last
group by all
order by orders desc, reason, status
