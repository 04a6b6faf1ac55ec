-- One row is one part of one live order whose latest version or settings changed since it was derived: an operation, or
-- the reason why it cannot become one (`reason`), or why there is none for now (`unbooked`), or none of these. The row
-- without a part stands for the whole order. The columns are those of the transactions' derived_transactions.sql.
--
-- An order is a sequence of versions, each in a stage. The last version that is paid or prepaid says what was received;
-- a refund counts only after it. An order that went back to a stage without money has no operations: if they are in
-- Finmap, a person decides.
create or replace temp table derived_transactions as
with here as (
    select
        *,
        timezone(timezone, start_date::timestamp) as first_moment,
        m.account as money_account,
        m.currency as money_currency
    from settings
    cross join (from account_mapping where settlement_account is null) m
),
mapping as (
    select normal_name(settlement_account) as name, min(settlement_account) as mapped_by, any_value(account) as account
    from account_mapping
    where settlement_account is not null
    group by all
),
taken as (
    select o.order_id, o.version, o.day, o.payload
    from latest_orders o
    join order_stages st on st.order_id = o.order_id and st.version = o.version
    cross join settings s
    where o.gone_at is null and st.meaning_hash is distinct from s.meaning_hash
),
told as (
    select
        order_id,
        version,
        day,
        payload,
        text[1] as order_number,
        coalesce(text[2], text[3]) as order_status,
        coalesce(text[4], text[5], text[6]) as counterparty,
        text[7] as source,
        normal_name(text[8]) as channel_id,
        coalesce(text[9], text[10]) as payment_method,
        text[11] as delivery,
        currency_of(raw[12], text[12]) as currency
    from (
        select *, list_transform(raw, lambda value : text_of(value)) as text
        from (
            select *, json_extract(payload, [
                '$.orderNumber', '$.status', '$.orderStatus', '$.client.fullname', '$.client.email', '$.client.id',
                '$.salesChannel', '$.salesChannel.id', '$.paymentMethod', '$.settlementAccount', '$.delivery',
                '$.currency'
            ]) as raw
            from taken
        )
    )
),
stages as (
    select st.* from order_stages st semi join taken using (order_id)
),
turns as (
    select
        order_id,
        max(version) filter (stage in ('paid', 'prepaid')) as last_money,
        max(version) filter (stage = 'paid') as last_paid,
        min(version) filter (stage = 'paid') as first_paid,
        max(version) filter (stage = 'prepaid') as last_prepaid
    from stages
    group by all
),
history as (
    select
        order_id,
        last_paid is not null as was_paid,
        last_money is not null as was_money,
        -- Paid, and not set back to prepaid since.
        coalesce(last_paid > coalesce(last_prepaid, last_paid - 1), false) as sold,
        arg_max(stage, version) as stage,
        arg_max(stage, version) filter (stage in ('refunded', 'partly_refunded') and version > last_money) as returned,
        arg_min(since, version) filter (stage = 'prepaid') as prepaid_at,
        arg_min(since, version) filter (stage = 'paid') as paid_at,
        arg_min(since, version) filter (stage = 'refunded' and version > last_money) as refunded_at,
        arg_min(since, version) filter (stage = 'partly_refunded' and version > last_money) as partly_at,
        arg_max(prepayment, version) filter (stage = 'prepaid' and prepayment > 0) as prepayment,
        max(total) filter (version = last_paid) as total,
        max(total_fault) filter (version = last_paid) as total_fault,
        arg_max(total, version) filter (stage = 'partly_refunded' and version > last_money) as total_left,
        -- Frozen at the sale, or once it is complete.
        arg_min(cost, version) filter (version >= first_paid) as cost,
        bool_or(since is null) as undated,
        arg_max(total, version) as total_now
    from stages
    join turns using (order_id)
    group by order_id, last_money, last_paid, last_prepaid
),
money as (
    select
        *,
        returned is null and stage in ('none', 'cancelled') as reverted,
        prepayment is not null and (returned is not null or stage <> 'none') as has_prepayment,
        sold and not (returned is null and stage in ('none', 'cancelled')) as has_sale,
        total - coalesce(prepayment, 0) as rest
    from history
),
booked as (
    select
        h.*,
        has_prepayment and prepaid_at >= s.first_moment as books_prepayment,
        has_sale and paid_at >= s.first_moment and rest is distinct from 0 as books_sale,
        has_sale and paid_at >= s.first_moment as books_cost,
        case when h.total_fault is not null then h.total_fault
            when h.rest < 0 then 'the prepayment is larger than the total'
        end as sale_fault,
        coalesce(case when books_prepayment then prepayment end, 0) + coalesce(case when books_sale then rest end, 0)
            as received,
        case when total - total_left > 0 and total - total_left <= received then total - total_left end as part_returned
    from money h
    cross join here s
),
parts as (
    select order_id, '.prepayment' as part, 'prepayment' as classification, 'income' as type, false as of_stock,
        prepaid_at as occurred_at, prepayment as amount, null as reason, null as unbooked
    from booked where books_prepayment
    union all
    select order_id, '.sale', 'sale', 'income', false, paid_at, rest, sale_fault, null
    from booked where books_sale
    union all
    select order_id, '.partial', 'refund', 'expense', false, partly_at, part_returned,
        if(books_sale and sale_fault is not null, 'its sale is rejected', null),
        if(part_returned is null, 'partly refunded, but its total does not tell how much', null)
    from booked where partly_at is not null and (received > 0 or sale_fault is not null)
    union all
    select order_id, '.refund', 'refund', 'expense', false, refunded_at, received - coalesce(part_returned, 0),
        if(books_sale and sale_fault is not null, 'its sale is rejected', null), null
    from booked
    where returned = 'refunded' and (received - coalesce(part_returned, 0) > 0 or books_sale and sale_fault is not null)
    union all
    select order_id, '.cogs', 'cost_of_goods', 'expense', true, paid_at, cost,
        if(sale_fault is not null, 'its sale is rejected', null),
        case when cost is null then 'the cost of its goods is incomplete' when cost = 0 then 'its goods cost nothing' end
    from booked cross join here s
    where books_cost and s.stock_account is not null and (received > 0 or sale_fault is not null)
    union all
    select order_id, '.restock', 'restock', 'income', true, refunded_at, cost,
        if(sale_fault is not null, 'its sale is rejected', null), null
    from booked cross join here s
    where books_cost and s.stock_account is not null and s.restock_on_refund and returned = 'refunded' and cost > 0
        and (received > 0 or sale_fault is not null)
),
-- Every part of every order taken, whether wanted or not, and the order as a whole.
rows as (
    select
        t.*,
        coalesce(by_id.mapped_by, by_title.mapped_by) as mapped_by,
        coalesce(by_id.account, by_title.account) as channel_account,
        b.* exclude (order_id),
        p.* exclude (order_id, part),
        part.part
    from told t
    left join mapping by_id on by_id.name = t.channel_id
    left join mapping by_title on by_title.name = normal_name(t.source)
    left join booked b using (order_id)
    cross join (values (''), ('.prepayment'), ('.sale'), ('.refund'), ('.partial'), ('.cogs'), ('.restock')) part(part)
    left join parts p on p.order_id = t.order_id and p.part = part.part
),
judged as (
    select
        r.*,
        s.timezone,
        s.meaning_hash,
        if(r.of_stock, s.stock_account, coalesce(r.channel_account, s.money_account)) as account,
        s.money_currency,
        -- Why the whole order cannot be read.
        case
            when json_type(r.payload) <> 'OBJECT' then 'not a readable record'
            when starts_with(r.order_id, '?') then 'no id'
            when length(url_encode(r.order_id)) > 300 then 'its id is too long'
            when r.undated then 'no readable date'
            when timezone(s.timezone, greatest(r.prepaid_at, r.paid_at, r.refunded_at, r.partly_at))::date > c.today
                then 'its day is in the future'
            when r.currency is not null and r.currency <> s.money_currency and is_currency(r.currency)
                then 'currency ' || r.currency || ', but the Finmap account is in ' || s.money_currency
            when r.currency is not null and r.currency <> s.money_currency
                then 'unknown currency, and the Finmap account is in ' || s.money_currency
        end as unreadable,
        count(r.classification) filter (r.unbooked is null) over (partition by r.order_id) as booked_parts,
        count(r.unbooked) over (partition by r.order_id) as unbooked_parts
    from rows r
    cross join here s
    cross join chosen_days c
)
select
    'order-' || order_id || part as transaction_id,
    nullif(ltrim(part, '.'), '') as part,
    order_id,
    coalesce(timezone(timezone, occurred_at)::date, day) as day,
    occurred_at,
    type,
    amount as rounded_amount,
    money_currency as currency,
    classification,
    null::integer as rule,
    account,
    case part
        when '.prepayment' then 'Передплата'
        when '.sale' then 'Продаж'
        when '.cogs' then 'Собівартість'
        when '.restock' then 'Повернення на склад'
    end as description,
    if(classification = 'refund', 'Refund', null) as heading,
    counterparty,
    source,
    order_number,
    order_status,
    payment_method,
    delivery,
    version as raw_version,
    order_id as order_key,
    version as order_version,
    null::varchar as settlement_account_id,
    null::varchar as settlement_account,
    mapped_by,
    meaning_hash,
    payload,
    day as created_day,
    total_now as order_total,
    -- An unreadable order is rejected as a whole, a part for its own reason.
    case
        when part = '' then unreadable
        when unreadable is not null or classification is null or unbooked is not null then null
        when reason is not null then reason
        when amount >= 10000000000000 then 'amount is too large'
        when epoch_ms(occurred_at) not between 1420070400000 and 2091365243872
            then 'date ' || strftime(occurred_at, '%Y-%m-%d') || ' is outside what Finmap accepts (2015 to 2036)'
    end as reason,
    null::varchar as written,
    part <> '' and unreadable is null and classification is not null and unbooked is null as wanted,
    case
        when unreadable is not null then null
        when part <> '' then if(classification is null, null, unbooked)
        when booked_parts > 0 or unbooked_parts > 0 then null
        when was_money and stage = 'cancelled' and reverted then 'it was cancelled'
        when was_money and reverted then 'it went back to a status that is in no list'
        when was_money and not sold and prepayment is null then 'prepaid, but its prepayment has no amount'
        when was_money and (sold and total = 0 or stage in ('paid', 'prepaid') and total_now = 0) then 'its total is zero'
        when was_money then 'its money came before start_date'
        when stage = 'refunded' then 'refunded before it was ever seen paid'
        when stage = 'partly_refunded' then 'partly refunded before it was ever seen paid'
        when stage = 'cancelled' then 'cancelled before it was paid'
        else 'its status is in no list'
    end as unbooked
from judged;
