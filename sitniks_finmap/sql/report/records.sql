-- One row is one record that needs a person, the newest $most of each problem, with their number: a planned change that is
-- pending, a record that is rejected, an operation that Finmap refused or does not have yet, an unexplained difference, an
-- order without an operation. `reason` is in our own words; `customer` is null unless $names.
with found as (
    select
        'pending' as problem,
        transaction_id,
        day,
        type,
        amount,
        -- Quotes of a record come after ": ".
        coalesce(regexp_extract(why, '^[^:]*'), '') as reason
    from planned
    where standing = 'pending'
    union all
    select 'rejected', transaction_id, day, null, null, reason
    from rejected_transactions
    where reason <> 'its sale is rejected'
    union all
    select
        case
            when kind = 'refused' then 'refused'
            when kind = 'scheduled' then 'failing'
            else 'difference'
        end,
        coalesce(d.transaction_id, d.external_id),
        d.day,
        null,
        null,
        kind
    from differences d
    where kind in ('refused', 'scheduled', 'missing', 'unexpected', 'different')
    union all
    select 'unbooked', 'order-' || order_id, day, null, total, reason
    from unbooked_to_check
),
customers as (
    select transaction_id, counterparty from operations where $names
    union all
    select
        r.transaction_id,
        coalesce(
            o.fields.counterparty,
            text_of(json_extract(r.payload, '$.counterparty')),
            text_of(json_extract(r.payload, '$.client.fullname')),
            text_of(json_extract(r.payload, '$.client.name')),
            text_of(json_extract(r.payload, '$.order.client.fullname'))
        )
    from rejected_transactions r
    left join latest_orders o on o.order_id = r.order_key
    where $names and case when json_valid(r.payload::varchar) then json_type(r.payload) = 'OBJECT' end
    union all
    select 'order-' || order_id, o.fields.counterparty
    from latest_orders o
    where $names and o.fields is not null
),
joined as (
    select
        f.problem,
        f.transaction_id,
        f.day,
        coalesce(f.type, o.type, l.written.type, l.shown.type) as type,
        coalesce(f.amount, o.amount, l.written.amount, l.shown.amount)::decimal(18, 2) as amount,
        coalesce(o.currency, a.currency, main.currency, '') as currency,
        f.reason,
        coalesce(o.order_number, u.order_number) as order_number,
        any_value(c.counterparty) as customer
    from found f
    left join operations o using (transaction_id)
    left join current_uploads l using (transaction_id)
    left join finmap_accounts a on a.account = coalesce(l.written.account, l.shown.account)
    left join (select max(currency) as currency from account_mapping where settlement_account is null) main on true
    left join (
        select order_id, max(order_number) as order_number from unbooked_orders group by all
    ) u on 'order-' || u.order_id = f.transaction_id
    left join customers c using (transaction_id)
    group by all
)
select *, count(*) over (partition by problem) as records
from joined
qualify row_number() over (partition by problem order by day desc, transaction_id) <= $most
order by problem, day desc, transaction_id

