-- One row is one order created on these days, or one part of it, that makes no operation, with the reason.
select 'order-' || order_id || coalesce('.' || part, '') as transaction_id, day, reason
from unbooked_orders
where day between $first and $last
order by all
