-- One row is one kind of problem with missing, duplicate, pending or unread money in the chosen days: the problem, the
-- reason, the number of records. `told` is the text of one such record, which the reason may quote. What a person or a
-- setting (on_change, on_delete) decided is not a problem. Empty if Finmap has everything that Sitniks has.
with sides as (
    select
        coalesce(o.transaction_id, l.transaction_id) as transaction_id,
        coalesce(o.day, l.day) as day,
        l.state,
        l.sent_at,
        l.last_error,
        l.refused is not null and l.refused is not distinct from o.content as refused,
        p.action,
        p.standing,
        p.why,
        p.kind,
        p.due_at > $now as is_to_come,
        coalesce(o.transaction_id, l.transaction_id) in (select transaction_id from planned where standing = 'pending')
            as is_pending,
        concat_ws(' ', l.written.comment, l.written.tag, l.refused.comment, o.content.comment, o.content.tag) as told
    from wanted_operations o
    full join current_uploads l on l.transaction_id = o.transaction_id
    left join (
        select
            transaction_id,
            any_value(action order by generation desc) as action,
            any_value(standing order by generation desc) as standing,
            any_value(why order by generation desc) as why,
            any_value(kind order by generation desc) as kind,
            max(due_at) as due_at
        from planned
        where standing <> 'pending'
        group by all
    ) p on p.transaction_id = coalesce(o.transaction_id, l.transaction_id)
),
judged as (
    select
        *,
        case
            when is_pending then null  -- each pending change counts, see below
            when standing = 'kept' then null
            when state = 'failed' then 'failed'
            when refused then 'refused'
            -- For another part of its order, which is a problem of its own: messages tell that one.
            when standing = 'waiting' and kind = 'waits' then if(is_to_come, null, 'waiting')
            when action = 'create' then if(is_to_come, null, 'backlog')
            when action = 'verify' and coalesce(is_to_come, false) then null
            when action is not null then 'undelivered'
            when state = 'sent' and sent_at < $seen_by then 'unseen'
        end as problem
    from sides
),
-- Live transactions that are neither an operation nor rejected, or both; live orders alike (see accounted_records).
unaccounted as (
    select day, if(missing, 0, 2) as known from accounted_records where missing or doubled
),
-- Days that ended long enough ago but were not read after their end.
unread as (
    select day::date as day
    from generate_series($start_date::date, $read_day::date, interval 1 day) days(day)
    anti join (
        from complete_reads where resource = (from main_source) and read_at >= timezone($zone, day + interval 1 day)
    ) r on r.day = days.day::date
),
-- Days that were not read again for corrections in time.
overdue as (
    select day
    from complete_reads
    where resource = (from main_source) and read_at < $read_again_by and day >= $start_date::date
),
problems as (
    select
        problem,
        case problem
            -- Quotes of a record come after ": ".
            when 'waiting' then regexp_extract(why, '^[^:]*')
            when 'failed' then coalesce(last_error, '')
            when 'refused' then coalesce(last_error, '')
        end as reason,
        any_value(told) as told,
        count(*) as records
    from judged
    where problem is not null and day between $first and $last
    group by all
    union all
    select 'pending', regexp_extract(why, '^[^:]*'), any_value(told), count(*)
    from planned
    left join (select transaction_id, told from sides) using (transaction_id)
    where standing = 'pending' and day between $first and $last group by all
    union all
    select 'rejected', regexp_extract(reason, '^[^:]*'), null, count(*)
    from rejections where day between $first and $last group by all
    union all
    select if(part is null, 'unbooked', 'unbooked parts'), reason, null, count(*)
    from unbooked_to_check where day between $first and $last group by all
    union all
    select 'unaccounted', if(known = 0, 'neither', 'both'), null, count(*)
    from unaccounted where day between $first and $last group by all
    union all
    select 'unexplained', kind, null, count(*)
    from differences where not explained and day between $first and $last group by all
    union all
    select 'unread', 'between ' || min(day) || ' and ' || max(day), null, count(*) from unread where day between $first and $last
    union all
    select 'unread orders', 'between ' || min(day) || ' and ' || max(day) || ': ' || any_value(reason), null, count(*)
    from unread_days where resource = 'orders' and (from main_source) = 'transactions' and day between $first and $last
    union all
    select 'unreadable orders', reason, null, count(*)
    from unreadable_orders where $everything group by all
    union all
    select
        'missing orders',
        strftime(timezone($zone, min(asked_again_at(y.tried_at, y.failing_since, y.missing))), '%Y-%m-%d %H:%M'),
        null,
        count(*)
    from order_tries y
    join latest_orders o using (order_id)
    where y.missing and o.gone_at is null and (from main_source) = 'orders' and $everything
    union all
    select 'unmapped', settlement_account, null, transactions from unmapped_settlement_accounts where $everything
    union all
    select 'unused', settlement_account, null, 1 from unused_account_mappings where $everything
    union all
    select 'overdue', min(day) || ' to ' || max(day), null, count(*) from overdue where day between $first and $last
)
select problem, reason, told, records from problems where records > 0 order by problem, records desc, reason;
