-- After the file was lost: what Finmap has of an order tells in which stages it was, and when. These rows come before its
-- own versions, of which only the present one is known. Each is added once; in a ledger of our own there is none to add.
create or replace temp table found_parts as
select
    regexp_extract(transaction_id, '^order-(.*)\.([a-z]+)$', 1) as order_id,
    regexp_extract(transaction_id, '^order-(.*)\.([a-z]+)$', 2) as part,
    shown.occurred_at as since,
    shown.amount as amount
from current_uploads
where written is null and shown is not null and not is_out(state) and starts_with(transaction_id, 'order-');

insert into order_stages by name
with orders as (
    select
        order_id,
        any_value(since) filter (part = 'prepayment') as prepaid_at,
        any_value(amount) filter (part = 'prepayment') as prepayment,
        coalesce(
            any_value(since) filter (part = 'sale'),
            any_value(since) filter (part = 'cogs'),
            -- Only what was paid is refunded in part. Without a sale, the prepayment was all.
            case when bool_or(part = 'partial') then any_value(since) filter (part = 'prepayment') end
        ) as paid_at,
        any_value(amount) filter (part = 'sale') as rest,
        any_value(amount) filter (part = 'cogs') as cost,
        any_value(since) filter (part = 'partial') as partly_at,
        any_value(amount) filter (part = 'partial') as part_returned,
        any_value(since) filter (part = 'refund') as refunded_at
    from found_parts
    group by all
    having coalesce(prepaid_at, paid_at) is not null
),
stays as (
    select order_id, -3 as version, 'prepaid' as stage, prepaid_at as since, null as total, prepayment, null as cost
    from orders where prepaid_at is not null
    union all
    select order_id, -2, 'paid', paid_at, coalesce(rest, 0) + coalesce(prepayment, 0), prepayment, cost
    from orders where paid_at is not null
    union all
    select order_id, -1, 'partly_refunded', partly_at, coalesce(rest, 0) + coalesce(prepayment, 0) - part_returned, null, null
    from orders where partly_at is not null
    union all
    select order_id, 0, 'refunded', refunded_at, null, null, null
    from orders where refunded_at is not null
)
select order_id, version, stage, since, 'finmap' as known_by, total, prepayment, cost
from stays
anti join order_stages using (order_id, version);

-- The first version read is then no longer where the order's history begins.
update order_stages
set
    since = if(order_stages.known_by in ('created', 'updated'), raw.first_seen_at, order_stages.since),
    known_by = if(order_stages.known_by in ('created', 'updated'), 'seen', order_stages.known_by),
    meaning_hash = null
from raw_sitniks_orders raw
where raw.order_id = order_stages.order_id
    and raw.version = order_stages.version
    and order_stages.order_id in (select order_id from found_parts);

drop table found_parts;
