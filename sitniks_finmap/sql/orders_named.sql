-- One row is one order that a person may mean by $wanted: its number, its ID (also as order-ID), the ID of one of its
-- parts (order-ID.sale), or the externalId of one of its operations.
with named as (
    select
        order_id,
        text_of(json_extract(payload, '$.orderNumber')) as number,
        strftime(timezone($zone, sensible(instant_of(text_of(json_extract(payload, '$.createdAt')), $zone))), '%Y-%m-%d')
            as created,
        text_of(coalesce(json_extract(payload, '$.status'), json_extract(payload, '$.orderStatus'))) as status
    from latest_orders
),
keys as (
    select $wanted as key
    union all
    select transaction_id from finmap_upload where external_id = $wanted
    union all
    select transaction_id from operations where external_id = $wanted
)
select distinct order_id, number, created, status
from named
where ltrim($wanted, '№# ') in (order_id, number)
    or exists (from keys where order_of(key) = order_id)
order by created desc, order_id
