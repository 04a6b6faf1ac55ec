-- One row is one order to read by ID now: those that live transactions of these days name without a status, and, if the
-- connection lists its final statuses, those of operations whose status may still change.
-- A recently changed order is read often (again once it has been unchanged for twice as long as at the last read, after
-- at most 30 days), one in a final status never.
-- Re-reads are limited by a budget, most recently changed first.
with named as (
    select coalesce(order_id, id_in_order) as order_id, max(least(first_seen_at, paid_by)) as paid_at
    from (
        select
            first_seen_at,
            paid_by,
            text[1] as order_id,
            text[2] as id_in_order,
            text[3] as status_in_order,
            text[4] as order_status
        from (
            select first_seen_at, timezone($zone, day + interval 1 day) as paid_by, list_transform(
                json_extract(payload, ['$.orderId', '$.order.id', '$.order.status', '$.orderStatus']),
                lambda value : text_of(value)
            ) as text
            from latest_transactions
            where day between $first and $last and gone_at is null
                -- If the list of orders could not be read, thousands would be requested one by one.
                and day not in (select day from unread_days where resource = 'orders')
        )
    )
    where coalesce(status_in_order, order_status) is null
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
        -- An order needed for a payment's comment and never read is not subject to the budget.
        o.order_id is not null or t.order_id is not null or not w.needed as budgeted,
        o.order_id is not null as known,
        o.last_seen_at,
        t.failing_since,
        t.missing,
        t.tried_at,
        -- Its last known activity: a payment, a change that we saw, its own timestamps.
        greatest(
            w.paid_at,
            if(o.version > 1, o.first_seen_at, null),
            coalesce(o.updated_at, o.created_at, o.first_seen_at)
        ) as moved_at
    from wanted w
    left join (
        select *, instants[1] as updated_at, instants[2] as created_at
        from (
            select *, list_transform(
                list_transform(json_extract(payload, ['$.updatedAt', '$.createdAt']), lambda value : text_of(value)),
                lambda stamp : sensible(instant_of(stamp, $zone))
            ) as instants, text_of(json_extract(payload, '$.status')) as status
            from latest_orders
        )
    ) o using (order_id)
    left join order_tries t using (order_id)
    where o.gone_at is null
        and not list_contains($final::varchar[], coalesce(o.status, ''))
        and (o.last_seen_at is null or o.last_seen_at < $begun)
)
select order_id
from looked
where case
    -- A failed order is retried after as long as it has been failing.
    when tried_at is not null
        then tried_at + greatest(interval 1 hour, least(tried_at - failing_since, interval 1 day * if(missing, 30, 1))) <= $now
    when not known then true
    else last_seen_at + least(greatest(($now - moved_at) / 2, interval 0 hour), interval 30 days) <= $now
end
qualify not budgeted
    or row_number() over (partition by budgeted order by tried_at is not null, moved_at desc, order_id) <= $budget
order by budgeted, moved_at desc, order_id
