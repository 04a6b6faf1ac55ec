-- Views that answer what people ask of the data: docs/cookbook.md. Nothing is decided from them.

-- One row is one operation of money, the stock apart: what Sitniks says of it, and whether Finmap has it.
create or replace view money as
select
    o.transaction_id,
    o.day,
    o.occurred_at,
    o.type,
    o.amount,
    case o.type when 'income' then o.amount else -o.amount end as balance_change,
    o.currency,
    o.classification,
    o.source,
    coalesce(a.label, o.account) as account,
    o.description,
    o.counterparty,
    o.order_number,
    o.order_status,
    o.payment_method,
    o.delivery,
    coalesce(not is_out(l.state) and coalesce(l.written, l.shown) is not null, false) as in_finmap
from operations o
cross join settings s
left join finmap_accounts a on a.account = o.account
left join current_uploads l on l.transaction_id = o.transaction_id
where o.account is distinct from s.stock_account;

-- One row is one sign of who the client of an operation is: a phone, an e-mail, a nickname, an ID in Sitniks. Records
-- name one client in many ways, and an order often says more than its payment.
create or replace view client_signs as
with told as (
    select
        o.transaction_id,
        trim(o.counterparty) as named,
        unnest([
            json_extract(t.payload, '$.client'),
            json_extract(t.payload, '$.order.client'),
            json_extract(r.payload, '$.client')
        ]) as client
    from operations o
    left join latest_transactions t on t.transaction_id = o.transaction_id
    left join latest_orders r on r.order_id = o.order_key
),
said as (
    select
        transaction_id,
        unnest([
            {'kind': 'phone', 'sign': json_extract_string(client, '$.phone')},
            {'kind': 'email', 'sign': json_extract_string(client, '$.email')},
            {'kind': 'nickname', 'sign': json_extract_string(client, '$.instagram')},
            {'kind': 'id', 'sign': json_extract_string(client, '$.id')},
            -- Where Sitniks gives text alone, its form says what it is.
            {
                'kind': case
                    when regexp_full_match(named, '[^\s@]+@[^\s@]+\.[^\s@]+') then 'email'
                    when regexp_full_match(named, '@\S+') then 'nickname'
                    when regexp_full_match(named, '\+?[0-9][0-9 ()-]{8,}') then 'phone'
                    when regexp_full_match(named, '[0-9]+') then 'id'
                end,
                'sign': named
            }
        ], recursive := true)
    from told
)
select distinct transaction_id, kind || ' ' || sign as sign
from (
    select
        transaction_id,
        kind,
        case kind
            -- Its last ten digits, whatever the country code; not one that stands for no phone.
            when 'phone' then regexp_extract(regexp_replace(sign, '[^0-9]', '', 'g'), '[0-9]{10}$')
            when 'nickname' then normal_name(regexp_replace(trim(sign), '^@', ''))
            else normal_name(sign)
        end as sign
    from said
)
where kind is not null and sign <> '' and not regexp_full_match(sign, '0*|1*|9*');

-- One row is one operation and its client, by the least of all the signs that lead to each other: who gave a phone in one
-- order and an e-mail in another is one client if any record has both. A record with a name alone is of the one client
-- who has that name; if there are several, of nobody known.
create or replace view client_of_operation as
with recursive known (sign, client) using key (sign) as (
    select distinct sign, sign from client_signs
    union
    select link.other, min(known.client)
    from known
    join (
        select distinct a.sign, b.sign as other
        from client_signs a
        join client_signs b on b.transaction_id = a.transaction_id and b.sign <> a.sign
    ) link on link.sign = known.sign
    join recurring.known now on now.sign = link.other
    where known.client < now.client
    group by link.other
),
by_sign as (
    select s.transaction_id, min(k.client) as client
    from client_signs s
    join known k on k.sign = s.sign
    group by s.transaction_id
),
named as (
    select normal_name(o.counterparty) as name, min(c.client) as client
    from by_sign c
    join operations o on o.transaction_id = c.transaction_id
    where normal_name(o.counterparty) is not null
    group by normal_name(o.counterparty)
    having count(distinct c.client) = 1
)
select
    o.transaction_id,
    coalesce(c.client, n.client, 'name ' || normal_name(o.counterparty)) as client
from operations o
left join by_sign c on c.transaction_id = o.transaction_id
left join named n on n.name = normal_name(o.counterparty)
where coalesce(c.client, normal_name(o.counterparty)) is not null;

-- One row is one client in one currency: how they are called most often, how often they paid, what they paid and got
-- back, and when.
create or replace view clients as
select
    c.client,
    coalesce(mode(m.counterparty) filter (not is_sign(m.counterparty)), mode(m.counterparty), c.client) as name,
    m.currency,
    count(*) filter (m.type = 'income') as payments,
    count(distinct m.order_number) as orders,
    coalesce(sum(m.amount) filter (m.type = 'income'), 0)::decimal(18, 2) as paid,
    coalesce(sum(m.amount) filter (m.type = 'expense' and m.classification = 'refund'), 0)::decimal(18, 2) as refunded,
    min(m.day) as first_day,
    max(m.day) as last_day
from client_of_operation c
join money m on m.transaction_id = c.transaction_id
where m.type = 'income' or m.classification = 'refund'
group by c.client, m.currency;

-- One row is one change of a record in Sitniks after it was first read: when it was seen, which of its fields differ, and
-- its amount before and after.
create or replace view changes_in_sitniks as
with versions as (
    select transaction_id as record, day, version, first_seen_at, try_cast(amount as decimal(18, 2)) as amount, payload
    from raw_sitniks_transactions
    union all
    select 'order ' || coalesce(fields.order_number, order_id), day, version, first_seen_at, fields.total, payload
    from raw_sitniks_orders
),
pairs as (
    select *, lag(payload) over earlier as payload_before, lag(amount) over earlier as amount_before
    from versions
    window earlier as (partition by record order by version)
)
select
    record,
    day,
    first_seen_at as seen_at,
    changed_fields(payload_before, payload) as changed,
    amount_before,
    amount
from pairs
where payload_before is not null;

-- One row is one operation that a person edited or deleted in Finmap: which fields, and what we had written.
create or replace view edits_in_finmap as
select
    l.transaction_id,
    l.external_id,
    l.day,
    case l.state when 'deleted' then 'deleted' else 'edited' end as what,
    case l.state when 'deleted' then [] else edited_fields(f.content, l.shown, l.unseen, l.intents) end as fields,
    coalesce(l.shown, l.written) as ours,
    f.content as theirs
from current_uploads l
left join shown_operations f on f.external_id = l.external_id
where l.state = 'deleted'
    or len(edited_fields(f.content, l.shown, l.unseen, l.intents)) > 0;

-- One row is one live order that brought no money, as far as orders are read: with transactions as the source, only those
-- of the days that are synced, and payments that name no order count for none.
create or replace view orders_without_money as
select
    o.order_id,
    coalesce(o.fields.order_number, json_extract_string(o.payload, '$.orderNumber')) as order_number,
    o.day,
    coalesce(
        o.fields.status,
        json_extract_string(o.payload, '$.status.title'),
        json_extract_string(o.payload, '$.status')
    ) as status,
    coalesce(
        o.fields.total,
        try_cast(json_extract_string(o.payload, '$.totalPriceDiscount') as decimal(18, 2)),
        try_cast(json_extract_string(o.payload, '$.totalPrice') as decimal(18, 2))
    ) as total,
    u.reason
from latest_orders o
left join unbooked_orders u on u.order_id = o.order_id and u.part is null
where o.gone_at is null
    and not exists (from operations m where m.order_key = o.order_id and m.type = 'income');
