-- One row is one live order, or one part of it, for which there is no operation, with the reason.
delete from unbooked_orders
where order_id in (select order_key from derived_transactions)
    or order_id not in (select id from live_records);

insert into unbooked_orders by name
select order_key as order_id, part, order_number, created_day as day, order_status as status, unbooked as reason, order_total as total
from derived_transactions
where unbooked is not null;

update order_stages
set meaning_hash = s.meaning_hash
from settings s
where (order_id, version) in (select order_key, raw_version from derived_transactions);
