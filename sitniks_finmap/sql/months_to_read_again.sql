-- One row is the least recently tried month that is due to be read again: one of its days was read longer ago than
-- $every, failed, or misses a transaction, which a second read must confirm. A failed day is retried after as long as
-- it has been failing, from $soon to a day; a recent one (from $recent on) every $soon, because the sync leaves it out.
with days as (
    select
        day,
        resource,
        coalesce(u.tried_at, c.read_at) as tried_at,
        if(
            u.day is null,
            c.read_at < $now - $every and not day >= $recent,
            u.tried_at + if(day >= $recent, $soon, greatest($soon, least(u.tried_at - u.failing_since, interval 1 day))) <= $now
                -- Without the right to orders, wait until any day of them can be read.
                and (not u.forbidden or u.tried_at < (
                    select max(read_at) from complete_reads r where r.resource = resource_of
                ))
        ) as due
    from (select *, resource as resource_of from complete_reads where day >= $first and resource <> 'finmap') c
    full join (select *, resource as resource_of from unread_days where day >= $first) u using (day, resource, resource_of)
),
missing as (
    -- The month of the window in which it was last seen, or of its own day if that is unknown.
    select date_trunc('month', coalesce(timezone($zone, seen_from + interval 1 millisecond)::date, day)) as month, max(missing_at) as at
    from latest_transactions
    where gone_at is null and missing_at <= $now - 2 * $soon
    group by all
),
months as (
    select date_trunc('month', day) as month, min(tried_at) as tried_at, bool_or(due) as due
    from (select day, max(tried_at) as tried_at, bool_or(due) as due from days group by all)
    group by all
)
select greatest(month, $first)::date as first_day, least(last_day(month), $today)::date as last_day
from months
left join missing using (month)
where due or tried_at < missing.at + interval 10 minutes
order by tried_at, month
limit 1
