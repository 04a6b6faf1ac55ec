-- Records the results of reading orders by ID (`asked`: order_id, found, missing, reason) at this_try.tried_at.
delete from order_tries where order_id in (select order_id from asked where found);

insert into order_tries
select order_id, missing, tried_at, tried_at, reason
from asked
cross join this_try
where not found
on conflict do update set
    failing_since = if(order_tries.missing = excluded.missing, order_tries.failing_since, excluded.tried_at),
    missing = excluded.missing,
    tried_at = excluded.tried_at,
    reason = excluded.reason;

-- Missing once proves nothing: it is gone when a later try does not find it either.
update raw_sitniks_orders
set gone_at = order_tries.tried_at
from order_tries
where raw_sitniks_orders.order_id = order_tries.order_id
    and raw_sitniks_orders.gone_at is null
    and order_tries.missing
    and order_tries.failing_since <= order_tries.tried_at - interval 10 minutes
    and order_tries.order_id in (select order_id from asked);
