-- Marks the orders to which the lists of statuses, as they are now, give another stage than before.
insert or ignore into restaged_orders
select distinct order_id
from order_stages
join listed_stages using (order_id, version)
where listed_stages.stage <> order_stages.stage
