-- One row: how many live orders are neither booked nor rejected nor unbooked, or two of these, and how many there are.
select count(*) filter (missing or doubled) as wrong, count(*) as live_orders
from accounted_records
