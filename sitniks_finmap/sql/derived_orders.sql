-- One row is one part of one live order whose latest version or settings changed since it was derived: an operation, or
-- the reason why it cannot become one (`reason`), or why there is none for now (`unbooked`). A row without a part speaks
-- of the whole order: it is rejected, or has no operation at all. operations.sql and rejected_transactions.sql select from
-- this table as they do from that of derived_transactions.sql.
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
    select
        o.order_id,
        o.version,
        o.day,
        -- A record has a total, or a reason why it has none.
        o.fields.total is null and o.fields.total_fault is null as unreadable,
        o.fields.order_number,
        o.fields.status as order_status,
        o.fields.counterparty,
        o.fields.channel as source,
        o.fields.channel_id,
        o.fields.payment_method,
        o.fields.delivery,
        o.fields.currency
    from live_records live
    join raw_sitniks_orders o on o.order_id = live.id and o.version = live.version
    join order_stages st on st.order_id = live.id and st.version = live.version
    cross join settings s
    where st.meaning_hash is distinct from s.meaning_hash
),
-- What many orders share is compared once.
channels as (
    select name, normal_name(name) as normal
    from (select distinct unnest([channel_id, source]) as name from taken)
    where name is not null
),
told as (
    select
        t.* exclude (channel_id),
        coalesce(by_id.mapped_by, by_title.mapped_by) as mapped_by,
        coalesce(by_id.account, by_title.account) as channel_account
    from taken t
    left join channels channel_id on channel_id.name = t.channel_id
    left join channels channel on channel.name = t.source
    left join mapping by_id on by_id.name = channel_id.normal
    left join mapping by_title on by_title.name = channel.normal
),
stages as (
    select st.* from order_stages st semi join taken using (order_id)
),
turns as (
    select
        order_id,
        max(version) filter (stage in ('paid', 'prepaid')) as last_money,
        max(version) filter (stage = 'paid') as last_paid,
        max(version) filter (stage = 'prepaid') as last_prepaid,
        min(version) filter (stage = 'paid') as first_paid,
        min(version) filter (stage = 'prepaid') as first_prepaid,
        max(since) filter (stage = 'paid') as last_paid_at,
        max(since) filter (stage = 'prepaid') as last_prepaid_at
    from stages
    group by order_id
),
-- What was taken out of Finmap while the order had gone back, and came again, begins anew. Replacements do not.
withdrawals as (
    select
        order_id,
        part_of(l.transaction_id) as part,
        l.looked_at,
        arg_max(st.stage, st.version) as stage
    from stages st
    join finmap_upload l
        on l.state = 'withdrawn' and order_of(l.transaction_id) = st.order_id and coalesce(st.since <= l.looked_at, true)
    where part_of(l.transaction_id) in ('prepayment', 'sale')
    group by all
),
taken_back as (
    select
        order_id,
        max(looked_at) filter (part = 'sale' and looked_at < last_paid_at) as sale_at,
        max(looked_at) filter (part = 'prepayment' and looked_at < last_prepaid_at) as prepayment_at
    from withdrawals
    join turns using (order_id)
    where stage in ('none', 'cancelled') or (part = 'sale' and stage = 'prepaid')
    group by order_id
),
begun_anew as (
    select
        order_id,
        min(version) filter (stage = 'paid' and since > sale_at) as first_paid,
        min(version) filter (stage = 'prepaid' and since > prepayment_at) as first_prepaid
    from stages
    join taken_back using (order_id)
    group by order_id
),
begun as (
    select
        turns.* exclude (first_paid, first_prepaid),
        coalesce(anew.first_paid, turns.first_paid) as first_paid,
        coalesce(anew.first_prepaid, turns.first_prepaid) as first_prepaid
    from turns
    left join begun_anew anew using (order_id)
),
history as (
    select
        order_id,
        last_money is not null as was_money,
        -- Paid, and not set back to prepaid since.
        coalesce(last_paid > coalesce(last_prepaid, last_paid - 1), false) as sold,
        arg_max(stage, version) as stage,
        arg_max(stage, version) filter (stage in ('refunded', 'partly_refunded') and version > last_money) as returned,
        arg_min(since, version) filter (stage = 'prepaid' and version >= first_prepaid) as prepaid_at,
        arg_min(since, version) filter (stage = 'paid' and version >= first_paid) as paid_at,
        arg_min(since, version) filter (stage = 'refunded' and version > last_money) as refunded_at,
        arg_min(since, version) filter (stage = 'partly_refunded' and version > last_money) as partly_at,
        -- None says nothing about it; zero takes it back.
        nullif(arg_max(prepayment, version) filter (stage = 'prepaid' and prepayment >= 0), 0) as prepayment,
        any_value(total) filter (version = last_paid) as total,
        any_value(total_fault) filter (version = last_paid) as total_fault,
        arg_max(total, version) filter (stage = 'partly_refunded' and version > last_money) as total_left,
        -- Frozen at the sale, or once it is complete.
        arg_min(cost, version) filter (version >= first_paid) as cost,
        arg_max(since is null, version) as undated,  -- once it is corrected, it counts from when that was seen
        arg_max(total, version) as total_now
    from stages
    join begun using (order_id)
    group by order_id, last_money, last_paid, last_prepaid
),
booked as (
    select
        h.*,
        returned is null and stage in ('none', 'cancelled') as reverted,
        prepayment is not null and (returned is not null or stage <> 'none') and prepaid_at >= s.first_moment
            as books_prepayment,
        total - coalesce(prepayment, 0) as rest,
        sold and not reverted and paid_at >= s.first_moment as is_sold,
        is_sold and rest is distinct from 0 as books_sale,
        is_sold and s.stock_account is not null as books_cost,
        case
            when h.total_fault is not null then h.total_fault
            when rest < 0 then 'the prepayment is larger than the total'
        end as sale_fault,
        if(books_prepayment, prepayment, 0) + if(books_sale and rest is not null, rest, 0) as received,
        case when sold and total - total_left > 0 and total - total_left <= received then total - total_left end
            as part_returned,
        received > 0 or (books_sale and sale_fault is not null) as is_booked,
        if(books_sale and sale_fault is not null, 'its sale is rejected', null) as follows
    from history h
    cross join here s
),
-- Why a whole order cannot be read, or has no operation.
orders as (
    select
        t.*,
        b.* exclude (order_id),
        case
            when t.unreadable then 'not a readable record'
            when starts_with(t.order_id, '?') then 'no id'
            when length(url_encode(t.order_id)) > 300 then 'its id is too long'
            when b.undated then 'no readable date'
            when timezone(s.timezone, greatest(b.prepaid_at, b.paid_at, b.refunded_at, b.partly_at))::date > c.today
                then 'its day is in the future'
            when t.currency <> s.money_currency and is_currency(t.currency)
                then 'currency ' || t.currency || ', but the Finmap account is in ' || s.money_currency
            when t.currency <> s.money_currency then 'unknown currency, and the Finmap account is in ' || s.money_currency
        end as fault,
        case
            when b.books_prepayment or b.books_sale then null
            when b.was_money and b.stage = 'cancelled' and b.reverted then 'it was cancelled'
            when b.was_money and b.reverted then 'it went back to a status that is in no list'
            when b.was_money and not b.sold and b.prepayment is null then 'prepaid, but its prepayment has no amount'
            when b.was_money and (b.sold and b.total = 0 or b.stage in ('paid', 'prepaid') and b.total_now = 0)
                then 'its total is zero'
            when b.was_money and b.returned is not null
                and least(b.refunded_at, b.partly_at) >= s.first_moment then 'refunded, but its money came before start_date'
            when b.was_money then 'its money came before start_date'
            when b.stage = 'refunded' then 'refunded before it was ever seen paid'
            when b.stage = 'partly_refunded' then 'partly refunded before it was ever seen paid'
            when b.stage = 'cancelled' then 'cancelled before it was paid'
            else 'its status is in no list'
        end as nothing
    from told t
    join booked b using (order_id)
    cross join here s
    cross join chosen_days c
),
parts as (
    select
        o.*,
        p.*,
        case
            when part = '.prepayment' then prepaid_at
            when part in ('.sale', '.cogs') then paid_at
            when part in ('.refund', '.restock') then refunded_at
            when part = '.partial' then partly_at
        end as occurred_at,
        case
            when part = '.prepayment' then prepayment
            when part = '.sale' then rest
            when part = '.partial' then part_returned
            when part = '.refund' then received - coalesce(part_returned, 0)
            when of_stock then cost
        end as amount,
        case
            when part = '' then fault
            when part = '.sale' then sale_fault
            when part <> '.prepayment' then follows
        end as reason,
        case
            when part = '' and fault is null then nothing
            when part = '.partial' and part_returned is null then 'partly refunded, but its total does not tell how much'
            when part = '.cogs' and cost is null then 'the cost of its goods is incomplete'
            when part = '.cogs' and cost = 0 then 'its goods cost nothing'
        end as unbooked
    from orders o
    cross join (values
        ('.prepayment', 'prepayment', 'income', false),
        ('.sale', 'sale', 'income', false),
        ('.partial', 'refund', 'expense', false),
        ('.refund', 'refund', 'expense', false),
        ('.cogs', 'cost_of_goods', 'expense', true),
        ('.restock', 'restock', 'income', true),
        ('', null, null, false)
    ) p (part, classification, type, of_stock)
    cross join here s
    where case
        when part = '' then fault is not null or nothing is not null
        when fault is not null then false  -- it is rejected as a whole
        when part = '.prepayment' then books_prepayment
        when part = '.sale' then books_sale
        when part = '.partial' then is_booked and partly_at is not null
        when part = '.refund' then is_booked and returned = 'refunded'
            and (received - coalesce(part_returned, 0) > 0 or follows is not null)
        when part = '.cogs' then is_booked and books_cost
        when part = '.restock' then is_booked and books_cost and s.restock_on_refund and returned = 'refunded' and cost > 0
    end
)
select
    'order-' || r.order_id || r.part as transaction_id,
    nullif(ltrim(r.part, '.'), '') as part,
    coalesce(timezone(s.timezone, r.occurred_at)::date, r.day) as day,
    r.occurred_at,
    r.type,
    r.amount as rounded_amount,
    s.money_currency as currency,
    r.classification,
    null::integer as rule,
    if(r.of_stock, s.stock_account, coalesce(r.channel_account, s.money_account)) as account,
    case r.part
        when '.prepayment' then 'Передплата'
        when '.sale' then 'Продаж'
        when '.cogs' then 'Собівартість'
        when '.restock' then 'Повернення на склад'
    end as description,
    if(r.classification = 'refund', 'Refund', null) as heading,
    r.counterparty,
    r.source,
    r.order_number,
    r.order_status,
    r.payment_method,
    r.delivery,
    r.version as raw_version,
    r.order_id as order_key,
    r.version as order_version,
    null::varchar as settlement_account_id,
    null::varchar as settlement_account,
    r.mapped_by,
    s.meaning_hash,
    r.day as created_day,
    r.total_now as order_total,
    case
        when r.unbooked is not null then null
        when r.reason is not null then r.reason
        when r.amount >= 10000000000000 then 'amount is too large'
        when epoch_ms(r.occurred_at) not between 1420070400000 and 2091365243872
            then 'date ' || strftime(r.occurred_at, '%Y-%m-%d') || ' is outside what Finmap accepts (2015 to 2036)'
    end as reason,
    null::varchar as written,
    r.part <> '' and r.unbooked is null as wanted,
    r.unbooked
from parts r
cross join here s;

-- What was derived from these orders before is derived anew.
delete from operations where order_key in (select order_key from derived_transactions);
delete from rejected_transactions where order_key in (select order_key from derived_transactions);
