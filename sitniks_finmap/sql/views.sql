-- Views over the tables; recreated whenever one of them changes.

-- One row: what operations are derived from, transactions or orders.
create or replace view main_source as
select coalesce(max(source), 'transactions') as source from settings;

-- One row is the current operation of one transaction in the ledger: the highest generation that was in Finmap and is
-- not removed, because a person may restore an older one in place of a newer. Else the highest that is still to be
-- created, or the last that was in Finmap: a generation that was never delivered says nothing about one that was.
create or replace view current_uploads as
select l.*
from finmap_upload l
join (
    select
        transaction_id,
        coalesce(
            max(generation) filter (
                not is_out(state) and coalesce(written, shown) is not null
            ),
            max(generation) filter (not is_out(state)),
            max(generation) filter (coalesce(written, shown) is not null),
            max(generation)
        ) as generation
    from finmap_upload
    group by all
) using (transaction_id, generation);

-- One row is the latest version of one live or gone transaction.
create or replace view latest_transactions as
select raw.*
from raw_sitniks_transactions raw
join (select transaction_id, max(version) as version from raw_sitniks_transactions group by all)
    using (transaction_id, version);

-- One row is the latest version of one order.
create or replace view latest_orders as
select raw.*
from raw_sitniks_orders raw
join (select order_id, max(version) as version from raw_sitniks_orders group by all) using (order_id, version);

-- One row is one operation that Finmap should have, as one value.
create or replace view wanted_operations as
select
    transaction_id, external_id, day,
    content_of(
        type, amount, occurred_at, account, category, tag, comment, null::varchar, null::varchar
    ) as content
from operations;

-- One row is one key that Finmap showed when last read, as one value; a duplicate key counts once.
create or replace view shown_operations as
select
    external_id,
    arg_max(content_of(
        type, amount, occurred_at, account, category, tag, comment, project, counterparty
    ), read_at) as content
from finmap_operations
group by all;

-- One row is one operation that is not posted because `catch-up` skipped its day.
create or replace view skipped_operations as
select o.*
from operations o
anti join finmap_upload l using (transaction_id)
where o.day <= (select until_day from caught_up);

-- One row is one unmapped Sitniks settlement account while others are mapped, with the number of its live transactions:
-- they go to the default account or are rejected, depending on `unmapped_accounts`. With orders as the source, one sales
-- channel, with the number of its orders.
create or replace view unmapped_settlement_accounts as
select
    settlement_account_id,
    settlement_account,
    count(distinct record) as transactions,
    count(distinct record) filter (rejected) as rejected_transactions,
    max(day) as last_day
from (
    select transaction_id as record, settlement_account_id, settlement_account, mapped_by, day, false as rejected
    from operations
    union all
    select transaction_id, settlement_account_id, settlement_account, mapped_by, day, true from rejected_transactions
    union all
    select o.order_key, null, o.source, o.mapped_by, o.day, false
    from operations o
    join settings s on s.source = 'orders'
)
where settlement_account is not null
    and mapped_by is null
    and exists (from account_mapping where settlement_account is not null)
group by all;

-- One row is one mapping of a settlement account, or sales channel, that matches no live transaction, once there are any.
create or replace view unused_account_mappings as
with derived as (
    select mapped_by from operations union all select mapped_by from rejected_transactions
)
select m.settlement_account, m.account, a.label as account_label
from account_mapping m
left join finmap_accounts a using (account)
where m.settlement_account is not null
    and m.settlement_account not in (select mapped_by from derived where mapped_by is not null)
    and exists (from derived);

-- One row is one reason why one record of Sitniks, a transaction or an order, cannot become an operation in whole or in
-- part. What is rejected only because its sale is does not count.
create or replace view rejections as
select case s.source when 'orders' then r.order_key else r.transaction_id end as record, r.reason, min(r.day) as day
from rejected_transactions r
cross join settings s
where r.reason <> 'its sale is rejected'
group by all;

-- One row is one order that Sitniks could not return when last requested; its status stays as last known.
create or replace view unreadable_orders as
select order_id, reason, failing_since as since, tried_at
from order_tries
where not missing;

-- One row is one transaction or order whose latest version was not derived, and a day on which it can be.
create or replace view underived_records as
select t.transaction_id, t.day
from latest_transactions t
cross join settings s
left join (
    select transaction_id, raw_version from operations
    union all
    select transaction_id, raw_version from rejected_transactions
) derived using (transaction_id)
where s.source = 'transactions' and t.day >= s.start_date and case
        when t.gone_at is null then derived.raw_version is distinct from t.version
        else derived.raw_version is not null
    end
union all
select o.order_id, greatest(o.day, s.start_date)
from settings s
join latest_orders o on s.source = 'orders'
left join order_stages d on d.order_id = o.order_id and d.version = o.version
where o.gone_at is null and d.meaning_hash is null;

-- One row is one version of one order and the stage that the lists of statuses give it: by the ID of its status or, where
-- it has none, by its title, which may be an old one.
create or replace view listed_stages as
with known as (
    select distinct status, status_id from order_stages where known_by <> 'finmap'
),
by_id as (
    select coalesce(status_id, trim(status)) as status_id, min(stage) as stage from order_statuses group by all
),
by_title as (
    select title, min(stage) as stage
    from (
        select normal_name(t.title) as title, l.stage
        from status_titles t
        join order_statuses l using (status_id)
        union all
        select normal_name(status), stage from order_statuses where status_id is null
    )
    group by all
),
meant as (
    select
        k.status,
        k.status_id,
        coalesce(
            by_id.stage,
            case when coalesce(k.status_id not in (select status_id from status_titles), true) then by_title.stage end,
            'none'
        ) as stage
    from known k
    left join by_id on by_id.status_id = k.status_id
    left join by_title on by_title.title = normal_name(k.status)
)
select s.order_id, s.version, m.stage
from order_stages s
join meant m on m.status is not distinct from s.status and m.status_id is not distinct from s.status_id
where s.known_by <> 'finmap';

-- One row is one record of Sitniks from which an operation may follow: the latest version of one transaction or, with
-- source = "orders", one order and one of its parts. `missing_at`: a read did not show it, which one more confirms.
create or replace view latest_records as
select
    t.transaction_id,
    t.transaction_id as record,
    t.day,
    first.first_seen_at as known_since,
    t.last_seen_at,
    t.missing_at,
    t.gone_at
from settings s
join latest_transactions t on s.source = 'transactions'
join raw_sitniks_transactions first on first.transaction_id = t.transaction_id and first.version = 1
union all
select
    'order-' || o.order_id || part as transaction_id,
    'order-' || o.order_id as record,
    o.day,
    first.first_seen_at,
    o.last_seen_at,
    case when y.missing then y.failing_since end,
    o.gone_at
from settings s
join latest_orders o on s.source = 'orders'
join raw_sitniks_orders first on first.order_id = o.order_id and first.version = 1
left join order_tries y on y.order_id = o.order_id
cross join (values (''), ('.prepayment'), ('.sale'), ('.refund'), ('.partial'), ('.cogs'), ('.restock')) parts(part);

-- One row is one live record of Sitniks: whether nothing says what became of it, or two things contradict each other. A
-- transaction is an operation or rejected. Of an order, each part is an operation, rejected or unbooked, and an order
-- without any is rejected or unbooked as a whole.
create or replace view accounted_records as
select
    t.transaction_id,
    t.day,
    coalesce(k.known, 0) = 0 as missing,
    coalesce(k.known, 0) > 1 as doubled
from settings s
join latest_transactions t on s.source = 'transactions'
left join (
    select transaction_id, count(*) as known
    from (select transaction_id from operations union all select transaction_id from rejected_transactions)
    group by all
) k using (transaction_id)
where t.gone_at is null and t.day >= s.start_date
union all
select
    'order-' || o.order_id,
    o.day,
    coalesce(k.parts, 0) = 0,
    coalesce(k.parts > k.different_parts or (k.whole > 0 and k.parts > 1), false)
from settings s
join latest_orders o on s.source = 'orders'
left join (
    select
        order_id,
        count(*) as parts,
        count(distinct part) as different_parts,
        count(*) filter (part = '') as whole
    from (
        select order_key as order_id, substr(transaction_id, length(order_key) + 8) as part from operations
        union all
        select order_key, substr(transaction_id, length(order_key) + 8) from rejected_transactions
        union all
        select order_id, coalesce(part, '') from unbooked_orders
    )
    where order_id is not null
    group by all
) k using (order_id)
where o.gone_at is null;

-- One row is one operation of an order that waits for others of the same order, which are not in Finmap: no refund goes
-- before what it refunds, and no cost before every payment.
create or replace view waiting_operations as
select
    o.transaction_id,
    list(base.transaction_id) filter (
        l.state is null or is_out(l.state) or coalesce(l.written, l.shown) is null or l.missing_since is not null
    ) as missing
from settings s
join operations o on s.source = 'orders'
join operations base on base.order_key = o.order_key and base.transaction_id <> o.transaction_id and case
        when o.classification in ('refund', 'cost_of_goods') then base.classification in ('prepayment', 'sale')
        when o.classification = 'restock' then base.classification = 'cost_of_goods'
    end
left join current_uploads l on l.transaction_id = base.transaction_id
group by o.transaction_id, o.classification
having missing is not null and (o.classification <> 'cost_of_goods' or len(missing) = count(*));

-- One row is one unbooked order, or part of one, that a person should check, and whose reason nobody has dismissed. An
-- order that went back before anything of it was posted leaves nothing to decide.
create or replace view unbooked_to_check as
with posted as (
    select distinct order_of(transaction_id) as order_id
    from finmap_upload
    where not is_out(state) and (coalesce(written, shown) is not null or len(coalesce(intents, [])) > 0)
)
select u.*
from unbooked_orders u
left join decisions d
    on d.transaction_id = concat_ws('.', 'order-' || order_id, part) and d.action = 'unbooked' and d.occasion = reason
where needs_a_look(reason)
    and d.decision is null
    and (reason <> 'it went back to a status that is in no list' or order_id in (select order_id from posted));
