-- One row is one day: how many orders and versions of them it has, and whether it could not be read.
select
    day,
    count(distinct order_id) as rows,
    count(order_id) as versions,
    (count(u.day) > 0)::int as unread
from (from raw_sitniks_orders where day between $first and $last)
full join (from unread_days where resource = 'orders' and day between $first and $last) u using (day)
group by all
