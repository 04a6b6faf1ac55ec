-- One row: how many orders, and how many days of orders, Sitniks could not return when last asked.
select orders + days as wrong, orders, days
from
    (select count(*) as orders from unreadable_orders),
    (select count(*) as days from unread_days where resource = 'orders')
