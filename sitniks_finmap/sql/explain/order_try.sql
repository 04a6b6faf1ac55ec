-- One row: the last attempt to read the order by its ID, if it failed, and when it is asked for again.
select
    missing,
    strftime(tried_at, '%Y-%m-%d %H:%M') as tried,
    reason,
    strftime(asked_again_at(tried_at, failing_since, missing), '%Y-%m-%d %H:%M') as again
from order_tries
where order_id = $order_id and order_id not in (select order_id from latest_orders where gone_at is not null)
