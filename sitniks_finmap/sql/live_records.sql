-- One row is one live record of Sitniks: the ID and the latest version of a transaction or, with orders as the source, of
-- an order.
create or replace temp table live_records as
select t.transaction_id as id, t.version
from main_source s
join latest_transactions t on s.source = 'transactions'
where t.gone_at is null
union all
select o.order_id, o.version
from main_source s
join latest_orders o on s.source = 'orders'
where o.gone_at is null;
