-- One row is one live transaction, or one part of a live order, as Finmap should have it. Rewritten for every derived
-- transaction; rows of records that are no longer live are deleted.
delete from operations
where transaction_id in (select transaction_id from derived_transactions)
    or if((from main_source) = 'orders', order_key, transaction_id) not in (select id from live_records);

insert into operations by name
with here as (
    select
        *,
        list_transform(comment_fields, lambda field : list_position([
            'description', 'counterparty', 'source', 'order_number', 'payment_method', 'delivery', 'order_status'
        ], field)) as comment_positions
    from settings
),
told as (
    select
        d.*,
        s.key_prefix || ':' || replace(url_encode(d.transaction_id), '~', '%7E') as external_id,
        c.category,
        if(s.source_as_tag, left(d.source, 100), null) as tag,
        [d.heading] || list_select(
            [
                d.description,
                'Контрагент: ' || d.counterparty,
                'Джерело: ' || d.source,
                'Замовлення: №' || d.order_number,
                'Оплата: ' || d.payment_method,
                'Доставка: ' || d.delivery,
                'Статус: ' || d.order_status
            ],
            s.comment_positions
        ) as parts
    from derived_transactions d
    cross join here s
    left join category_mapping c on c.classification = d.classification and c.type = d.type
    where d.wanted and d.reason is null
),
commented as (
    select *, joined_within(parts, 1000) as comment
    from told
)
select
    transaction_id,
    external_id,
    day,
    occurred_at,
    type,
    rounded_amount::decimal(18, 2) as amount,
    currency,
    classification,
    rule,
    account,
    category,
    tag,
    description,
    counterparty,
    source,
    order_number,
    order_status,
    payment_method,
    delivery,
    comment,
    raw_version,
    order_key,
    order_version,
    settlement_account_id,
    settlement_account,
    mapped_by,
    meaning_hash
from commented;
