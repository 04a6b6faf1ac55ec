-- One row is one live transaction that cannot become an operation, with the reason.
delete from rejected_transactions
where transaction_id in (select transaction_id from derived_transactions)
    or if((from main_source) = 'orders', order_key, transaction_id) not in (select id from live_records);

insert into rejected_transactions by name
select
    d.transaction_id,
    d.day,
    d.reason,
    d.written,
    coalesce(t.payload, o.payload) as payload,
    d.raw_version,
    d.order_key,
    d.order_version,
    d.settlement_account_id,
    d.settlement_account,
    d.mapped_by
from derived_transactions d
left join raw_sitniks_transactions t on t.transaction_id = d.transaction_id and t.version = d.raw_version
left join raw_sitniks_orders o on o.order_id = d.order_key and o.version = d.order_version and t.transaction_id is null
where d.reason is not null;
