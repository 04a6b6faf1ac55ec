-- One row is one order to ask for by its ID now: those that live transactions of these days name without telling the
-- status, and, when the connection names its final statuses, those of operations whose status may still move.
-- An order that moved lately is asked for often (again when it has been quiet for twice as long as when it was last
-- read, after 30 days at most), one in a final status never.
-- What is read again is read newest movement first, within a budget.
with named as (
    select coalesce(t[1], t[2]) as order_id, max(least(first_seen_at, paid_by)) as paid_at
    from (
        select first_seen_at, timezone($zone, day + interval 1 day) as paid_by, list_transform(
            json_extract(payload, ['$.orderId', '$.order.id', '$.order.status', '$.orderStatus']),
            lambda value : text_of(value)
        ) as t
        from latest_transactions
        where day between $first and $last and gone_at is null
            -- Where the list of orders could not be read, thousands would be asked for one by one.
            and day not in (select day from unread_days where resource = 'orders')
    )
    where coalesce(t[3], t[4]) is null
    group by all
),
open as (
    select order_key as order_id, max(occurred_at) as paid_at
    from operations
    where len($final::varchar[]) > 0 and not list_contains($final::varchar[], coalesce(order_status, ''))
    group by all
),
wanted as (
    select order_id, max(paid_at) as paid_at, bool_or(needed) as needed
    from (select *, true as needed from named union all select *, false from open)
    where regexp_full_match(order_id, $pattern) and length(order_id) <= $longest
    group by all
),
looked as (
    select
        w.order_id,
        -- One that tells the comment of a payment and was never read is asked for whatever the budget is.
        o.order_id is not null or t.order_id is not null or not w.needed as budgeted,
        o.order_id is not null as known,
        o.last_seen_at,
        t.failing_since,
        t.missing,
        t.tried_at,
        -- The last that is known to have happened to it: a payment, a change that we saw, its own stamps.
        greatest(
            w.paid_at,
            if(o.version > 1, o.first_seen_at, null),
            coalesce(o.stamps[1], o.stamps[2], o.first_seen_at)
        ) as moved_at
    from wanted w
    left join (
        select *, list_transform(
            list_transform(json_extract(payload, ['$.updatedAt', '$.createdAt']), lambda value : text_of(value)),
            lambda stamp : sensible(instant_of(stamp, $zone))
        ) as stamps, text_of(json_extract(payload, '$.status')) as status
        from latest_orders
    ) o using (order_id)
    left join order_tries t using (order_id)
    where o.gone_at is null
        and not list_contains($final::varchar[], coalesce(o.status, ''))
        and (o.last_seen_at is null or o.last_seen_at < $begun)
)
select order_id
from looked
where case
    -- What does not come is tried again after as long as it has been failing.
    when tried_at is not null
        then tried_at + greatest(interval 1 hour, least(tried_at - failing_since, interval 1 day * if(missing, 30, 1))) <= $now
    when not known then true
    else last_seen_at + least(greatest(($now - moved_at) / 2, interval 0 hour), interval 30 days) <= $now
end
qualify not budgeted
    or row_number() over (partition by budgeted order by tried_at is not null, moved_at desc, order_id) <= $budget
order by budgeted, moved_at desc, order_id
