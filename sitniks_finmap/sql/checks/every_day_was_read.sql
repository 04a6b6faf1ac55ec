-- One row: how many days of transactions, or orders, Sitniks could not return when last asked, and the first of them.
select count(*) as wrong, min(day) as for_example
from unread_days
where resource = (from main_source)
