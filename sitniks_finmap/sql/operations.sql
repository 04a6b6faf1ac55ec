-- One row is one live transaction, or one part of a live order, as Finmap should have it. Rewritten for every derived
-- transaction; rows of records that are no longer live are deleted.
delete from operations
where transaction_id in (select transaction_id from derived_transactions)
    or if((from main_source) = 'orders', order_key, transaction_id) not in (select id from live_records);

insert into operations by name
with told as (
    select
        d.*,
        s.key_prefix || ':' || replace(url_encode(d.transaction_id), '~', '%7E') as external_id,
        c.category,
        if(s.source_as_tag, left(d.source, 100), null) as tag,
        list_filter(
            [d.heading] || list_transform(s.comment_fields, lambda field : case field
                when 'description' then d.description
                when 'counterparty' then 'Контрагент: ' || d.counterparty
                when 'source' then 'Джерело: ' || d.source
                when 'order_number' then 'Замовлення: №' || d.order_number
                when 'payment_method' then 'Оплата: ' || d.payment_method
                when 'delivery' then 'Доставка: ' || d.delivery
                when 'order_status' then 'Статус: ' || d.order_status
            end),
            lambda part : part is not null
        ) as parts
    from derived_transactions d
    cross join settings s
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
    meaning_hash,
    md5(concat(
        type, chr(0), rounded_amount::decimal(18, 2), chr(0), epoch_ms(occurred_at), chr(0), account, chr(0), category,
        chr(0), tag, chr(0), comment
    )) as content_hash
from commented;
