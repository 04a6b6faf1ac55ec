-- One row: the last attempt to read the order by its ID, if it failed.
select missing, strftime(tried_at, '%Y-%m-%d %H:%M') as tried, reason
from order_tries
where order_id = $order_id
