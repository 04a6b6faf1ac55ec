-- Reads the fields of versions of orders that are not read yet. Each is read once, when it is stored: reading a text
-- takes longer than deriving what follows from it. A text that is no record has no fields.
--
-- One row is one version of one order and what was read of it.
create or replace temp table read_orders as
with said as (
    select
        order_id,
        version,
        list_transform(
            json_extract(payload, ['$.updatedAt', '$.products'] || order_paths()),
            lambda value : case when json_type(value) <> 'NULL' then value end
        ) as value
    from raw_sitniks_orders
    -- A payload is valid JSON: its first character tells whether it is an object.
    where fields is null and starts_with(ltrim(payload::varchar, chr(9) || chr(10) || chr(13) || ' '), '{')
),
named as (
    select
        order_id,
        version,
        value[3] as order_number,
        coalesce(value[4], value[5]) as status,
        coalesce(value[6], value[7]) as status_id,
        value[8] as client_name,
        value[9] as client_email,
        value[10] as client_id,
        value[11] as channel,
        value[12] as channel_id,
        coalesce(value[13], value[14]) as total,
        value[15] as prepayment,
        value[16] as created_at,
        value[17] as currency,
        coalesce(value[18], value[19]) as payment_method,
        value[20] as delivery,
        value[1] as updated_at,
        number_of(total) as exact_total,
        number_of(prepayment) as exact_prepayment,
        from_json(value[2], '[{"costPrice": "JSON", "quantity": "JSON"}]') as lines
    from said
),
-- One row is one line of one version.
lines as (
    select
        order_id,
        version,
        coalesce(
            try_cast(line."costPrice"::varchar as decimal(16, 6)),
            try_cast(number_of(line."costPrice") as decimal(16, 6))
        ) as cost,
        coalesce(
            try_cast(line.quantity::varchar as decimal(16, 6)),
            try_cast(number_of(line.quantity) as decimal(16, 6))
        ) as quantity,
        -- Wide, because a product of more than a million would not fit otherwise.
        case when cost >= 0 and quantity >= 0 then cost::decimal(38, 6) * quantity end as price
    from (select order_id, version, unnest(lines) as line from named)
),
costs as (
    select order_id, version, case when count(price) = count(*) then sum(price) end as cost
    from lines
    group by order_id, version
)
select
    order_id,
    version,
    {
        'order_number': text_of(order_number),
        'status': text_of(status),
        'status_id': trim(json_extract_string(status_id, '$')),
        'counterparty': coalesce(text_of(client_name), text_of(client_email), text_of(client_id)),
        'channel': text_of(channel),
        'channel_id': text_of(channel_id),
        'payment_method': text_of(payment_method),
        'delivery': text_of(delivery),
        'currency': case when currency is not null then currency_of(currency, text_of(currency)) end,
        'created_at': text_of(created_at),
        'updated_at': text_of(updated_at),
        'total': case when total_fault is null then round(exact_total, 2)::decimal(18, 2) end,
        'total_fault': total_fault,
        'prepayment': case
            when abs(exact_prepayment) < 10000000000000 then round(exact_prepayment, 2)::decimal(18, 2)
        end,
        'cost': case when cost < 10000000000000 then round(cost, 2)::decimal(18, 2) end
    } as fields
from (
    select
        *,
        case
            when total is null then 'no total'
            when exact_total is null and is_ambiguous(json_extract_string(total, '$')) then 'ambiguous total'
            when exact_total is null then 'unreadable total'
            when exact_total < 0 then 'total is below zero'
            when abs(exact_total - round(exact_total, 2)) > 0.00000001 then 'total with more than two decimals'
            when exact_total >= 10000000000000 then 'total is too large'
        end as total_fault
    from named
)
left join costs using (order_id, version);

update raw_sitniks_orders
set fields = read_orders.fields
from read_orders
where raw_sitniks_orders.order_id = read_orders.order_id and raw_sitniks_orders.version = read_orders.version;

drop table read_orders;
