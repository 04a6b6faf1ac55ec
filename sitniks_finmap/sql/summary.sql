-- One row: the connection's totals over the days from $first to $last. `wanted` and `delivered` are sums of money: what
-- Sitniks makes, and what Finmap has of it, without older generations. The other numbers count each operation once, also
-- one that Finmap still has and should not, such as an older generation: pending (a person decides), left out (a person
-- keeps it out of Finmap), failed or refused, left (a run does it), else delivered. Together they are `operations`.
with wanted as (
    select o.type, o.amount, l.state, coalesce(l.written, l.shown) as told
    from operations o
    left join current_uploads l using (transaction_id)
    where o.day between $first and $last
),
todo as (
    select
        p.transaction_id,
        p.generation < c.generation as is_older,
        any_value(p.day) as day,
        bool_or(standing = 'pending') as is_pending,
        bool_or(standing = 'kept' and action in ('create', 'recreate')) as is_left_out,
        bool_or(standing in ('go', 'waiting') and action <> 'verify') as is_left
    from planned p
    left join current_uploads c using (transaction_id)
    group by all
),
placed as (
    select case
        when coalesce(t.is_pending, false) then 'pending'
        when coalesce(t.is_left_out, false) or k.transaction_id is not null then 'left out'
        when l.state in ('failed', 'refused') then l.state
        when t.is_left or l.state is null or l.state not in ('sent', 'verified') then 'left'
        else 'delivered'
    end as place
    from operations o
    full join todo t on t.transaction_id = o.transaction_id and t.is_older is distinct from true
    left join current_uploads l on l.transaction_id = coalesce(o.transaction_id, t.transaction_id)
    left join skipped_operations k on k.transaction_id = o.transaction_id
    where coalesce(o.day, t.day) between $first and $last
        -- What Sitniks no longer makes is only counted while something is to be done about it.
        and (o.transaction_id is not null or t.is_pending or t.is_left)
),
places as (
    select
        count(*) as operations,
        count(*) filter (place = 'delivered') as done,
        count(*) filter (place = 'failed') as failed,
        count(*) filter (place = 'left') as backlog,
        count(*) filter (place = 'refused') as refused,
        count(*) filter (place = 'pending') as pending
    from placed
)
select
    (select count(distinct record) from latest_records where gone_at is null and day between $first and $last) as transactions,
    count(type) as wanted,
    coalesce(sum(amount) filter (type = 'income'), 0) as wanted_income,
    coalesce(sum(amount) filter (type = 'expense'), 0) as wanted_expense,
    count(*) filter (state in ('sent', 'verified')) as delivered,
    coalesce(sum(told.amount) filter (state in ('sent', 'verified') and told.type = 'income'), 0) as delivered_income,
    coalesce(sum(told.amount) filter (state in ('sent', 'verified') and told.type = 'expense'), 0) as delivered_expense,
    any_value(places.operations) as operations,
    any_value(done) as done,
    any_value(failed) as failed,
    any_value(backlog) as backlog,
    any_value(refused) as refused,
    (select count(distinct record) from rejections where day between $first and $last) as rejected,
    any_value(pending) as pending,
    (
        select max(read_at) from complete_reads where resource = (from main_source) and day between $first and $last
    ) as last_read
from places
left join wanted on true
