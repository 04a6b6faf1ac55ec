-- One row is one order to read by ID now, with orders as the source: those of these days that the list no longer showed,
-- since only its own answer says that an order was deleted; and those of other days that may still be paid or refunded.
-- A recently changed order is read often (again once it has been unchanged for twice as long as at the last read, after
-- at most 30 days), one in a final stage never. Limited by a budget, least recently read first; those that may have moved
-- are spread over the runs of a day, at least $share in each.
with looked as (
    select
        o.order_id,
        o.day between $first and $last as hidden,
        o.last_seen_at,
        y.failing_since,
        y.missing,
        y.tried_at,
        greatest(o.first_seen_at, st.since) as moved_at
    from latest_orders o
    left join order_stages st on st.order_id = o.order_id and st.version = o.version
    left join order_tries y on y.order_id = o.order_id
    where o.gone_at is null
        and o.last_seen_at < $begun
        and regexp_full_match(o.order_id, $pattern)
        and length(o.order_id) <= $longest
        and case
            -- Of a day that could not be read, nothing is known.
            when o.day between $first and $last
                then o.day not in (select day from unread_days where resource = 'orders')
            else st.stage in ('none', 'prepaid', 'partly_refunded')
                and not list_contains($final::varchar[], coalesce(st.status, ''))
                or y.missing
        end
),
due as (
    select *
    from looked
    where case
        when tried_at is not null then asked_again_at(tried_at, failing_since, missing) <= $now
        else hidden or last_seen_at + least(greatest(($now - moved_at) / 2, interval 0 hour), interval 30 days) <= $now
    end
)
select order_id
from (
    select
        order_id,
        row_number() over (order by hidden desc, last_seen_at, moved_at desc, order_id) as place,
        count(*) filter (hidden) over () as unlisted,
        count(*) filter (not hidden) over () as waiting
    from due
)
where place <= least($budget, unlisted + greatest($share, ceil(waiting / 24)))
order by place
