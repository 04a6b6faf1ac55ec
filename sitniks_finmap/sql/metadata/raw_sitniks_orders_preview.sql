-- One row is one version of an order, five of each day. A textual ID may contain anything: only a plain number is
-- shown.
select
    day,
    if(regexp_full_match(order_id, '[0-9]{1,9}'), order_id, '…') as order_id,
    version,
    strftime(first_seen_at, '%Y-%m-%d %H:%M') as first_seen_utc
from raw_sitniks_orders
where day between $first and $last
qualify row_number() over (partition by day order by order_id, version) <= 5
