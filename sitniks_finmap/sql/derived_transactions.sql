-- The beginning of something unreadable, on one line.
create or replace temp macro shown(written) as nullif(trim(left(
    regexp_replace(written, '[\p{C}\p{Z}]+', ' ', 'g'), 40
)), '');

-- The value at a path in a list extracted by these paths, and the values from one path to another.
create or replace temp macro field(list, path) as list[list_position(transaction_paths(), path)];
create or replace temp macro fields_between(list, first, last) as list[
    list_position(transaction_paths(), first):list_position(transaction_paths(), last)
];
create or replace temp macro order_field(list, path) as list[list_position(order_paths(), path)];

-- One row is one live transaction with every field extracted from its payload, and the reason why it cannot become an
-- operation, or null. The value at fault is in `written`, never in the reason, because it may be a customer's name and
-- reasons appear in plans, metadata and messages. Covers the transactions of the chosen days, those without an
-- operation, and any whose version, order version or settings have changed since it was derived.
create or replace temp table derived_transactions as
with known as (
    select transaction_id, raw_version, order_key, order_version, meaning_hash from operations
),
here as (
    select
        *,
        timezone(timezone, start_date::timestamp) as first_moment,
        exists (from account_mapping where settlement_account is not null) as maps_accounts
    from settings
),
mapping as (
    select
        normal_name(settlement_account) as name,
        min(settlement_account) as mapped_by,
        any_value(account) as account,
        any_value(currency) as currency
    from account_mapping
    where settlement_account is not null
    group by all
),
orders as (
    select
        order_id,
        version,
        order_field(text, '$.orderNumber') as order_number,
        coalesce(order_field(text, '$.status'), order_field(text, '$.orderStatus')) as status,
        coalesce(
            order_field(text, '$.client.fullname'),
            order_field(text, '$.client.email'),
            order_field(text, '$.client.id')
        ) as client,
        order_field(text, '$.salesChannel') as channel
    from (
        select
            order_id,
            version,
            list_transform(json_extract(payload, order_paths()), lambda value : text_of(value)) as text
        from latest_orders
    )
),
orders_by_number as (
    select order_number, any_value(order_id) as order_id
    from orders
    where order_number is not null
    group by all
    having count(*) = 1
),
taken as (
    select t.transaction_id, t.version, t.day, t.amount, t.payload
    from latest_transactions t
    left join known k using (transaction_id)
    left join orders o on o.order_id = k.order_key
    cross join chosen_days c
    cross join settings s
    where t.gone_at is null
        -- Operations from before a later start_date stay as they are.
        and (t.day >= s.start_date or k.transaction_id is null)
        and (
            t.day between c.first_day and c.last_day
            or k.transaction_id is null
            or k.meaning_hash is distinct from s.meaning_hash
            or k.raw_version <> t.version
            or k.order_version is distinct from o.version
        )
),
extracted as (
    select *, json_extract(payload, transaction_paths()) as raw from taken
),
-- Once for all fields: expanding the macro for each field would take longer than deriving a day.
texts as (
    select *, list_transform(raw, lambda value : text_of(value)) as text from extracted
),
-- The first present field wins, readable or not.
chosen as (
    select
        *,
        is_there(field(raw, '$.date'), field(text, '$.date'))
            or is_there(field(raw, '$.createdAt'), field(text, '$.createdAt')) as dated,
        if(
            is_there(field(raw, '$.date'), field(text, '$.date')),
            field(text, '$.date'),
            field(text, '$.createdAt')
        ) as stamp,
        list_filter(
            ['$.currency', '$.currencyCode', '$.currencyId', '$.settlementAccount.currency'],
            lambda path : is_there(field(raw, path), field(text, path))
        )[1] as currency_at,
        if(
            list_any_value(fields_between(raw, '$.type', '$.isExpense')) is null,
            null,
            list_filter(flatten([
                fields_between(text, '$.type', '$.category.type'),
                flatten(list_transform(
                    list_filter(
                        fields_between(raw, '$.type', '$.category.type'), lambda value : json_type(value) = 'OBJECT'
                    ),
                    lambda value : words_of(value)
                )),
                [
                    case field(raw, '$.isIncome')::varchar when 'true' then 'income' when 'false' then 'expense' end,
                    case field(raw, '$.isExpense')::varchar when 'true' then 'expense' when 'false' then 'income' end
                ]
            ]), lambda word : word is not null)
        ) as directions
    from texts
),
read as (
    select
        transaction_id,
        version as raw_version,
        day,
        payload,
        amount as amount_as_written,
        amount_of(amount, json_type(field(raw, '$.amount')) = 'VARCHAR') as exact_amount,
        directions,
        dated,
        stamp,
        date_trunc('millisecond', instant_of(stamp, s.timezone)) as occurred_at,
        field(text, currency_at) as currency_as_written,
        if(currency_at is null, 'UAH', currency_of(field(raw, currency_at), field(text, currency_at))) as currency,
        coalesce(field(text, '$.description'), field(text, '$.comment')) as description,
        coalesce(
            field(text, '$.counterparty'),
            field(text, '$.client.fullname'),
            field(text, '$.order.client.fullname'),
            field(text, '$.client.name'),
            field(text, '$.client.email'),
            field(text, '$.client.instagram'),
            field(text, '$.client.id')
        ) as counterparty,
        coalesce(
            field(text, '$.source'),
            field(text, '$.salesChannel'),
            field(text, '$.order.salesChannel'),
            field(text, '$.order.source')
        ) as source,
        coalesce(field(text, '$.orderNumber'), field(text, '$.order.orderNumber')) as order_number,
        coalesce(field(text, '$.paymentMethod'), field(text, '$.settlementAccount')) as payment_method,
        coalesce(field(text, '$.delivery'), field(text, '$.order.delivery')) as delivery,
        coalesce(field(text, '$.order.status'), field(text, '$.orderStatus')) as order_status,
        coalesce(field(text, '$.orderId'), field(text, '$.order.id')) as referred_order,
        coalesce(field(text, '$.settlementAccountId'), field(text, '$.settlementAccount.id')) as settlement_account_id,
        coalesce(
            field(text, '$.settlementAccount'),
            field(text, '$.settlementAccountId'),
            field(text, '$.settlementAccount.id'),
            if(is_there(field(raw, '$.settlementAccount'), null), '(unreadable)', null)
        ) as settlement_account
    from chosen
    cross join here s
),
named as (
    select
        *,
        if(s.maps_accounts, normal_name(settlement_account_id), null) as account_id_name,
        if(s.maps_accounts, normal_name(settlement_account), null) as account_name
    from read
    cross join (select maps_accounts from here) s
),
joined as (
    select
        r.* exclude (day, counterparty, source, order_number, order_status),
        -- Whatever day it was filed under, an operation must be on a day that is synced.
        if(r.occurred_at >= s.first_moment, greatest(r.day, s.start_date), r.day) as day,
        if(r.exact_amount < 0, 'expense', 'income') as type,
        round(abs(r.exact_amount), 2) as rounded_amount,
        coalesce(r.counterparty, o.client) as counterparty,
        coalesce(r.source, o.channel) as source,
        coalesce(r.order_number, o.order_number) as order_number,
        coalesce(r.order_status, o.status) as order_status,
        coalesce(r.referred_order, n.order_id) as order_key,
        o.version as order_version,
        coalesce(by_id.mapped_by, by_title.mapped_by) as mapped_by,
        coalesce(by_id.account, by_title.account, by_default.account) as account,
        coalesce(by_id.currency, by_title.currency, by_default.currency) as account_currency
    from named r
    left join orders_by_number n on r.referred_order is null and n.order_number = r.order_number
    left join orders o on o.order_id = coalesce(r.referred_order, n.order_id)
    left join mapping by_id on by_id.name = r.account_id_name
    left join mapping by_title on by_title.name = r.account_name
    cross join (from account_mapping where settlement_account is null) by_default
    cross join here s
),
searched as (
    select transaction_id, type, lower(nfc_normalize(source)) as source, lower(nfc_normalize(description)) as description
    from joined
),
classified as (
    select transaction_id, arg_min(r.classification, r.position) as classification, min(r.position) as rule
    from searched j
    join classification_rules r
        on (r.sign is null or r.sign = j.type)
        and (len(r.sources) = 0 or list_bool_or([contains(j.source, word) for word in r.sources]))
        and (len(r.descriptions) = 0 or list_bool_or([contains(j.description, word) for word in r.descriptions]))
    group by all
),
judged as (
    select
        j.*,
        k.classification,
        k.rule,
        c.today,
        s.meaning_hash,
        if(j.directions is null, null, list_filter(
            j.directions, lambda word : direction_of(word) <> j.type
        )[1]) as contradiction,
        case
            when json_type(j.payload) = 'ARRAY' and not starts_with(j.transaction_id, '?')
                then 'several different records have this id'
            when json_type(j.payload) <> 'OBJECT' then 'not a readable record'
            when regexp_full_match(j.transaction_id, '\?[0-9a-f]{32}(-\d+)?') then 'no id'
            when length(url_encode(j.transaction_id)) > 300 then 'its id is too long'
            when len(json_keys(j.payload)) > len(list_distinct(json_keys(j.payload))) then 'a duplicate field'
            when j.occurred_at is null then if(j.dated, 'unreadable date', 'no date')
            when j.day > c.today then 'its day, ' || j.day || ', is in the future'
            when j.exact_amount is null and is_ambiguous(j.amount_as_written) then 'ambiguous amount'
            when j.exact_amount is null then 'unreadable amount'
            when abs(abs(j.exact_amount) - j.rounded_amount) > 0.00000001 then 'amount with more than two decimals'
            when j.rounded_amount = 0 then 'amount is zero'
            -- Finmap uses JavaScript numbers, which are not exact to the kopiyka from here on.
            when j.rounded_amount >= 10000000000000 then 'amount is too large'
            when contradiction is not null then 'the sign of the amount contradicts its direction'
            when j.mapped_by is null and j.settlement_account is not null
                and s.maps_accounts and s.unmapped_accounts = 'reject'
                then 'its settlement account is not mapped to a Finmap account'
            when j.currency is null then 'unreadable currency'
            when j.currency <> j.account_currency and is_currency(j.currency)
                then 'currency ' || j.currency || ', but the Finmap account is in ' || j.account_currency
            when j.currency <> j.account_currency
                then 'unknown currency, and the Finmap account is in ' || j.account_currency
            when epoch_ms(j.occurred_at) not between 1420070400000 and 2091365243872
                then 'date ' || strftime(j.occurred_at, '%Y-%m-%d') || ' is outside what Finmap accepts (2015 to 2036)'
            when j.occurred_at < s.first_moment
                then 'its date, ' || timezone(s.timezone, j.occurred_at)::date || ', is before start_date'
        end as reason
    from joined j
    cross join chosen_days c
    cross join here s
    left join classified k using (transaction_id)
)
select
    *,
    null::varchar as heading,
    reason is null as wanted,
    case
        when reason is null then null
        when reason = 'unreadable date' then shown(stamp)
        when starts_with(reason, 'the sign of the amount') then shown(amount_as_written) || ' and ' || shown(contradiction)
        when contains(reason, 'amount') then shown(amount_as_written)
        when contains(reason, 'currency') then shown(currency_as_written)
        when contains(reason, 'settlement account') then shown(settlement_account)
    end as written
from judged;
