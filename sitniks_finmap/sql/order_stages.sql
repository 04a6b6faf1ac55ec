-- One row is one version of one order: its stage, since when, and the money it named. Versions that are not there yet are
-- added; if the lists of statuses changed, the stages of all follow.
insert into order_stages by name
with read as not materialized (
    select
        raw.order_id,
        raw.version,
        raw.first_seen_at,
        list_transform(json_extract(payload, [
            '$.status', '$.orderStatus', '$.status.id', '$.statusId', '$.totalPriceDiscount', '$.totalPrice',
            '$.payment.amount', '$.createdAt', '$.updatedAt', '$.products'
        ]), lambda value : if(json_type(value) = 'NULL', null, value)) as raw_fields
    from raw_sitniks_orders raw
    anti join order_stages using (order_id, version)
),
-- Kept without the text of the lines, which would not fit into memory.
named as materialized (
    select
        order_id,
        version,
        first_seen_at,
        coalesce(raw_fields[1], raw_fields[2]) as status,
        coalesce(raw_fields[3], raw_fields[4]) as status_id,
        coalesce(raw_fields[5], raw_fields[6]) as total,
        raw_fields[7] as prepayment,
        -- Later versions are dated by when they were seen.
        case when version = 1 then raw_fields[8] end as created_at,
        case when version = 1 then raw_fields[9] end as updated_at,
        list_transform(
            from_json(raw_fields[10], '[{"costPrice": "JSON", "quantity": "JSON"}]'),
            lambda line : struct_pack(
                cost := coalesce(
                    try_cast(line.costPrice::varchar as decimal(16, 6)),
                    try_cast(number_of(line.costPrice) as decimal(16, 6))
                ),
                quantity := coalesce(
                    try_cast(line.quantity::varchar as decimal(16, 6)),
                    try_cast(number_of(line.quantity) as decimal(16, 6))
                )
            )
        ) as lines
    from read
),
-- Each distinct status is read once.
statuses as (
    select status, text_of(status) as title from (select distinct status from named) where status is not null
)
select
    n.order_id,
    n.version,
    st.title as status,
    trim(json_extract_string(n.status_id, '$')) as status_id,
    'none' as stage,
    date_trunc('millisecond', case
        when n.version > 1 then n.first_seen_at
        else coalesce(updated, created)
    end) as since,
    case
        when n.version > 1 then 'seen'
        when updated is not null then 'updated'
        else 'created'
    end as known_by,
    case
        when n.total is null then 'no total'
        when exact_total is null and is_ambiguous(json_extract_string(n.total, '$')) then 'ambiguous total'
        when exact_total is null then 'unreadable total'
        when exact_total < 0 then 'total is below zero'
        when abs(exact_total - round(exact_total, 2)) > 0.00000001 then 'total with more than two decimals'
        when exact_total >= 10000000000000 then 'total is too large'
    end as total_fault,
    case when total_fault is null then round(exact_total, 2) end as total,
    case when abs(exact_prepayment) < 10000000000000 then round(exact_prepayment, 2) end as prepayment,
    case
        when list_count(costs) = len(costs) and list_sum(costs) < 10000000000000 then round(list_sum(costs), 2)
    end as cost,
    null as meaning_hash
from (
    select
        named.*,
        number_of(total) as exact_total,
        number_of(prepayment) as exact_prepayment,
        list_transform(lines, lambda line : case
            -- Wide, because a product of more than a million would not fit otherwise.
            when line.cost >= 0 and line.quantity >= 0 then line.cost::decimal(38, 6) * line.quantity
        end) as costs,
        sensible(instant_of(text_of(created_at), s.timezone)) as created,
        sensible(instant_of(text_of(if(s.history_date = 'updated', updated_at, null)), s.timezone)) as updated
    from named
    cross join settings s
) n
left join statuses st on st.status = n.status;

update order_stages
set stage = listed.stage, meaning_hash = null
from listed_stages listed
where listed.order_id = order_stages.order_id
    and listed.version = order_stages.version
    and listed.stage <> order_stages.stage;
