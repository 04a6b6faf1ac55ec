-- One row is one way in which money is missing, doubled, waiting or unread in the chosen days: what is wrong, why, for
-- how many records. `told` are the words of such a record, which the reason may quote. What a person decided, or the
-- connection says (on_change, on_delete), is not wrong. Empty when all that Sitniks has is in Finmap.
with last_decisions as (
    select transaction_id, subject, arg_max(decision, decided_at) as decision from decisions group by all
),
sides as (
    select
        coalesce(o.transaction_id, l.transaction_id) as transaction_id,
        coalesce(o.day, l.day) as day,
        o.transaction_id is not null as wanted,
        o.occurred_at > $now as is_to_come,
        l.state,
        l.sent_at,
        l.last_error,
        o.content_hash is not distinct from l.refused_hash as refused,
        o.content_hash <> l.content_hash and not l.rebuilt as changed,
        o.content_hash = l.content_hash and (o.amount <> l.amount or o.type <> l.type) as unlike,
        l.writing is not null or l.deleting_at is not null as half_done,
        p.standing,
        p.why,
        d.decision,
        s.on_change = 'keep' as changes_are_kept,
        s.on_delete = 'keep' as deletions_are_kept,
        -- Not in the warehouse is not gone: after the file was lost, a day may not have been read yet.
        l.transaction_id in (select transaction_id from raw_sitniks_transactions)
            or l.day in (select day from complete_reads where resource = 'transactions') as ever_read,
        concat_ws(' ', l.comment, l.tag, o.comment, o.tag) as told
    from operations o
    full join current_uploads l on l.transaction_id = o.transaction_id
    cross join settings s
    left join (
        select transaction_id, min_by(standing, standing <> 'waiting') as standing, min_by(why, standing <> 'waiting') as why
        from plan group by all
    ) p on p.transaction_id = coalesce(o.transaction_id, l.transaction_id)
    left join last_decisions d
        on d.transaction_id = coalesce(o.transaction_id, l.transaction_id)
        and d.subject = coalesce(o.content_hash, l.content_hash)
),
judged as (
    select
        *,
        case
            when standing = 'waiting' then 'pending'
            when decision = 'dismiss' or is_to_come then null
            when state = 'dismissed' then if(decision = 'approve', 'undelivered', null)
            when wanted and coalesce(state, 'withdrawn') = 'withdrawn' then 'backlog'
            when wanted and state = 'deleted' then if(decision = 'approve', 'undelivered', 'pending')
            when state = 'failed' then 'failed'
            when wanted and state = 'rejected' then if(refused, 'refused', 'undelivered')
            when half_done then 'undelivered'
            when wanted and changed and not changes_are_kept then if(refused, 'refused', 'undelivered')
            when wanted and unlike and state in ('sent', 'verified') then 'unlike'
            when not wanted and ever_read and not deletions_are_kept
                and state in ('sent', 'verified', 'rejected') and sent_at is not null then 'unwanted'
            when state = 'sent' and sent_at < $seen_by then 'unseen'
        end as problem
    from sides
),
-- Every live transaction is an operation or rejected, never both and never neither.
unaccounted as (
    select t.day, coalesce(k.known, 0) as known
    from latest_transactions t
    cross join settings s
    left join (
        select transaction_id, count(*) as known
        from (select transaction_id from operations union all select transaction_id from rejected_transactions)
        group by all
    ) k using (transaction_id)
    where t.gone_at is null and t.day >= s.start_date and k.known is distinct from 1
),
-- Days that ended long enough ago to have been read after their end, and were not.
unread as (
    select day::date as day
    from generate_series($start_date::date, $read_day::date, interval 1 day) days(day)
    anti join (
        from complete_reads where resource = 'transactions' and read_at >= timezone($zone, day + interval 1 day)
    ) r on r.day = days.day::date
),
-- Days whose corrections nobody has looked for since.
overdue as (
    select day
    from complete_reads
    where resource = 'transactions' and read_at < $read_again_by and day >= $start_date::date
),
problems as (
    select
        problem,
        case problem
            -- What a record says comes after ": ".
            when 'pending' then coalesce(regexp_extract(why, '^[^:]*'), 'a person deleted it in Finmap')
            when 'failed' then coalesce(last_error, '')
            when 'refused' then coalesce(last_error, '')
        end as reason,
        any_value(told) as told,
        count(*) as records
    from judged
    where problem is not null and day between $first and $last
    group by all
    union all
    select 'rejected', regexp_extract(reason, '^[^:]*'), null, count(*)
    from rejected_transactions where day between $first and $last group by all
    union all
    select 'unaccounted', if(known = 0, 'neither', 'both'), null, count(*)
    from unaccounted where day between $first and $last group by all
    union all
    select 'unexplained', kind, null, count(*)
    from differences where not explained and day between $first and $last group by all
    union all
    select 'unread', min(day) || ' to ' || max(day), null, count(*) from unread where day between $first and $last
    union all
    select 'overdue', min(day) || ' to ' || max(day), null, count(*) from overdue where day between $first and $last
)
select problem, reason, told, records from problems where records > 0 order by problem, records desc, reason;
