-- One row is one unbooked order, or part of one, that a person should check: those of one $day or one $order, or
-- all. `total` is that of an order without any operation; of a part, it says nothing.
select
    concat_ws('.', 'order-' || order_id, part) as transaction_id,
    order_number,
    day,
    reason,
    if(part is null, total, null) as total
from unbooked_to_check
where ($day::date is null or day = $day) and ($order::varchar is null or order_id = $order)
order by day desc, transaction_id
