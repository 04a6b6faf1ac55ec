-- Fills a warehouse whose settings are saved with a year of $count operations up to $today, all of them in Finmap: one
-- shop on four channels, with fees, deliveries and refunds, in the accounts acc1 (UAH) and acc3 (USD).
create or replace temp table sold as
select
    'tx_' || n as transaction_id,
    ($today::date - (n * 365 // $count)::integer)::date as day,
    timezone('Europe/Kyiv', day + interval 12 hour) as occurred_at,
    case n % 10 when 0 then 'expense' when 1 then 'expense' when 2 then 'expense' else 'income' end as type,
    (50 + (n * 7919) % 90000 / 100)::decimal(18, 2) as amount,
    case n % 4 when 0 then 'Instagram' when 1 then 'Rozetka' when 2 then 'Prom.ua' else 'Сайт' end as source,
    case
        when type = 'expense' and n % 50 = 0 then 'refund'
        when type = 'expense' and n % 4 in (1, 2) then 'marketplace_commission'
        when type = 'expense' then 'delivery'
        when n % 4 in (1, 2) then 'marketplace_sale'
        when n % 4 = 0 then 'social_sale'
        else 'client_payment'
    end as classification,
    if(n % 97 = 0, 'acc3', 'acc1') as account,
    if(n % 97 = 0, 'USD', 'UAH') as currency,
    'Оплата ' || n as comment,
    if(type = 'expense', '-', '') || amount as written,
    '{"id": "tx_' || n || '", "amount": "' || written || '"}' as payload,
    content_of(type, amount, occurred_at, account, null::varchar, null::varchar, comment, null::varchar, null::varchar)
        as content
from range($count) numbers(n);

insert into raw_sitniks_transactions by name
select
    transaction_id, 1 as version, day, written as amount, payload, md5(payload) as content_hash,
    occurred_at as first_seen_at, occurred_at as last_seen_at, 'run-' || strftime(day, '%Y-%m-%d') as run_id
from sold;

insert into operations by name
select
    transaction_id, 'u1:' || transaction_id as external_id, day, occurred_at, type, amount, currency, classification,
    account, source, 'Клієнт ' || transaction_id as counterparty, comment, 1 as raw_version,
    (select meaning_hash from settings) as meaning_hash
from sold;

insert into finmap_upload by name
select
    'u1:' || transaction_id as external_id, transaction_id, 1 as generation, day, 'verified' as state,
    content as written, content as shown, 1 as attempts, occurred_at as sent_at, occurred_at as applied_at,
    occurred_at as verified_at, occurred_at as looked_at, 'run-' || strftime(day, '%Y-%m-%d') as run_id
from sold;

insert into finmap_requests by name
select
    occurred_at as requested_at, 'run-' || strftime(day, '%Y-%m-%d') as run_id, 'u1:' || transaction_id as external_id,
    'POST' as method, '/operations' as path, 201 as http_status, 'applied' as outcome, 120 as milliseconds
from sold;

insert into finmap_operations by name
select
    'u1:' || transaction_id as external_id, transaction_id as operation_id, type, amount, occurred_at, account, comment,
    occurred_at as read_at
from sold;

insert into complete_reads by name
select
    'transactions' as resource, day::date as day, timezone('Europe/Kyiv', $today::date + interval 12 hour) as read_at,
    null as run_id
from generate_series($today::date - interval 365 day, $today::date, interval 1 day) days(day);
