-- One row: the order that the transaction's operation was joined with.
select
    coalesce(o.order_number, o.order_key) as number,
    o.order_status,
    o.source,
    strftime(r.first_seen_at, '%Y-%m-%d %H:%M') as first_seen,
    strftime(r.last_seen_at, '%Y-%m-%d %H:%M') as last_seen,
    strftime(r.gone_at, '%Y-%m-%d %H:%M') as gone
from operations o
join raw_sitniks_orders r on r.order_id = o.order_key and r.version = o.order_version
where o.transaction_id = $transaction_id
