-- One row is one thing to do so that Finmap follows the operations of the chosen days; newest first, so that the owner
-- sees today before last year. standing: go, waiting (for a person, see why), kept (the connection says so).
with subjects as (
    select
        coalesce(o.transaction_id, l.transaction_id) as transaction_id,
        coalesce(o.day, l.day) as day,
        o.external_id as first_external_id,
        o.type,
        o.amount,
        o.occurred_at,
        o.account,
        o.category,
        o.tag,
        o.comment,
        o.content_hash,
        l.external_id as known_as,
        l.generation,
        l.state,
        l.type as was_type,
        l.amount as was_amount,
        l.occurred_at as was_occurred_at,
        l.account as was_account,
        l.category as was_category,
        l.tag as was_tag,
        l.comment as was_comment,
        l.content_hash as was_hash,
        l.refused_hash,
        l.kept_fields,
        l.rebuilt,
        coalesce(l.attempts, 0) as attempts,
        l.sent_at,
        l.verified_at as was_verified_at,
        l.applied_at as was_applied_at,
        l.deleting_at,
        l.writing,
        l.next_attempt_at,
        l.state in ('sent', 'verified', 'failed', 'rejected') and l.sent_at is not null as delivered,
        (l.state not in ('failed', 'sent') or l.next_attempt_at is null or l.next_attempt_at <= d.planned_at) as due,
        d.every_failed,
        r.reason as rejected,
        -- Not in the warehouse is not gone: after the file was lost, a day may not have been read yet.
        l.transaction_id in (select transaction_id from raw_sitniks_transactions)
            or l.day in (select day from complete_reads where resource = 'transactions') as ever_read,
        f.external_id is not null and (
            f.type <> l.type or f.amount <> l.amount or f.occurred_at <> l.occurred_at
            or f.account <> l.account or f.comment <> l.comment
            or (l.category is not null and f.category is distinct from l.category)
        ) or list_contains(l.kept_fields, 'tag') as edited,  -- labels here and IDs there: an attempt to write compared
        -- A rebuilt ledger knows no hash: it is compared field by field.
        if(
            l.rebuilt,
            o.amount <> l.amount or o.occurred_at <> l.occurred_at or o.account <> l.account or o.comment <> l.comment
                or (o.category is not null and o.category is distinct from l.category),
            o.content_hash <> l.content_hash
        ) as changed,
        list_filter([
            if(o.amount <> l.amount and f.amount not in (l.amount, o.amount), 'amount', null),
            if(o.occurred_at <> l.occurred_at and f.occurred_at not in (l.occurred_at, o.occurred_at), 'date', null),
            if(o.account <> l.account and f.account not in (l.account, o.account), 'account', null),
            if(o.comment <> l.comment and f.comment not in (l.comment, o.comment), 'comment', null)
        ], lambda field : field is not null) as conflicts
    from operations o
    full join current_uploads l on l.transaction_id = o.transaction_id
    cross join this_delivery d
    -- Not of what a killed run may have changed: the attempt to write looks, and knows what we did.
    left join finmap_operations f
        on f.external_id = l.external_id and l.verified_at is not null and l.writing is null
    left join rejected_transactions r on r.transaction_id = l.transaction_id
    where coalesce(o.day, l.day) between d.first_day and d.last_day
),
actions as (
    select
        *,
        case
            when content_hash is null
                then if(ever_read and (delivered or (state = 'failed' and sent_at is null)), 'withdraw', null)
            when state is null then 'create'
            when state = 'withdrawn' then 'create'
            when state = 'deleted' then 'recreate'
            when state = 'dismissed' then if(sent_at is null, null, 'recreate')
            when not delivered and content_hash is not distinct from refused_hash and not every_failed then null
            when not delivered then if(deleting_at is null, 'create', 'verify')
            when type <> was_type then 'replace'
            when changed and (content_hash is distinct from refused_hash or every_failed) then 'update'
            when state = 'sent' and next_attempt_at is not null then 'verify'
            when state = 'failed' then 'verify'
            when deleting_at is not null or writing is not null then 'verify'
        end as action
    from subjects
),
judged as (
    select
        a.*,
        a.action in ('update', 'replace', 'withdraw') and not (
            -- An order that moves on is everyday life; a broken source changes more than that.
            a.action = 'update' and a.type = a.was_type and a.amount = a.was_amount and a.occurred_at = a.was_occurred_at
            and a.account = a.was_account
            and without_status(a.comment) = without_status(a.was_comment)
        ) as counts_as_change,
        if(a.action = 'withdraw', a.was_hash, a.content_hash) as subject,
        -- Finmap may never give a key twice: what comes back after a deletion takes the next generation.
        a.action = 'replace' or (a.action in ('create', 'recreate') and a.state in ('withdrawn', 'deleted', 'dismissed'))
            as anew,
        a.action in ('create', 'recreate') and a.state in ('withdrawn', 'deleted', 'dismissed') as unknown_yet
    from actions a
    where a.action is not null
        and (a.due or (a.every_failed and a.state = 'failed') or a.action in ('update', 'replace', 'withdraw') and a.state = 'sent')
),
decided as (
    select j.*, p.decision
    from judged j
    left join (
        select transaction_id, action, subject, arg_max(decision, decided_at) as decision from decisions group by all
    ) p
        on p.transaction_id = j.transaction_id and p.action = j.action and p.subject = j.subject
),
catch as (
    select
        (select count(*) from subjects where delivered) as known,
        (select count(*) from decided where counts_as_change and decision is null) as changes
),
weighed as (
    select
        d.*,
        d.counts_as_change and c.known >= 20 and c.changes > s.max_change_share * c.known as caught,
        c.changes || ' of ' || c.known || ' operations would change at once' as caught_why
    from decided d
    cross join catch c
    cross join settings s
)
select
    row_number() over (order by coalesce(j.occurred_at, j.was_occurred_at) desc, j.transaction_id) as position,
    j.action,
    case
        when j.decision = 'approve' then 'go'
        when j.decision = 'dismiss' then 'kept'
        when j.action = 'verify' then 'go'
        when j.action = 'create' and j.occurred_at > d.planned_at then 'kept'
        when j.action = 'create' and j.occurred_at <= h.held_until and j.state is null then 'waiting'
        when j.action = 'create' then 'go'
        when j.action = 'recreate' then if(j.state = 'dismissed', 'kept', 'waiting')
        when j.action in ('update', 'replace') and s.on_change = 'keep' then 'kept'
        when j.action = 'withdraw' and s.on_delete = 'keep' then 'kept'
        when j.caught or k.why is not null then 'waiting'
        when len(j.conflicts) > 0 then 'waiting'
        when j.rebuilt and j.action <> 'verify' then 'waiting'
        when j.edited and j.action in ('replace', 'withdraw') then 'waiting'
        when j.action = 'withdraw' and j.rejected is not null then 'waiting'
        when j.action in ('update', 'replace') and s.on_change = 'ask' then 'waiting'
        when j.action = 'withdraw' and s.on_delete = 'ask' then 'waiting'
        else 'go'
    end as standing,
    case
        when j.decision = 'approve' then 'approved'
        when j.decision = 'dismiss' then 'dismissed by a person'
        when j.action = 'verify' then null
        when j.action = 'create' and j.occurred_at > d.planned_at then 'its moment has not come yet'
        when j.action = 'create' and j.occurred_at <= h.held_until and j.state is null
            then 'the first import is held for review'
        when j.action = 'create' then null
        when j.action = 'recreate'
            then if(j.state = 'dismissed', 'taken out by a rollback', 'a person deleted it in Finmap')
        when j.action in ('update', 'replace') and s.on_change = 'keep' then 'on_change is keep'
        when j.action = 'withdraw' and s.on_delete = 'keep' then 'on_delete is keep'
        when j.caught then j.caught_why
        when k.why is not null then k.why
        when len(j.conflicts) > 0 then 'a person changed in Finmap what also changed in Sitniks: '
            || array_to_string(j.conflicts, ', ')
        when j.rebuilt and j.action <> 'verify' then 'the ledger was rebuilt: who changed it is not known'
        when j.edited and j.action in ('replace', 'withdraw') then 'a person edited it in Finmap'
        when j.action = 'withdraw' and j.rejected is not null
            then 'Sitniks has it, but as it is now it cannot become an operation: ' || j.rejected
        when j.action in ('update', 'replace') and s.on_change = 'ask' then 'on_change is ask'
        when j.action = 'withdraw' and s.on_delete = 'ask' then 'gone from Sitniks, and on_delete is ask'
    end as why,
    coalesce(j.decision = 'approve', false) as approved,
    j.transaction_id,
    if(j.anew, j.first_external_id || ':' || (j.generation + 1), coalesce(j.known_as, j.first_external_id)) as external_id,
    coalesce(j.generation, 1) + if(j.anew, 1, 0) as generation,
    if(j.unknown_yet, null, j.known_as) as known_as,
    j.day,
    coalesce(j.type, j.was_type) as type,
    coalesce(j.amount, j.was_amount) as amount,
    coalesce(j.occurred_at, j.was_occurred_at) as occurred_at,
    coalesce(j.account, j.was_account) as account,
    if(j.content_hash is null, j.was_category, j.category) as category,
    if(j.content_hash is null, j.was_tag, j.tag) as tag,
    coalesce(j.comment, j.was_comment) as comment,
    coalesce(j.content_hash, j.was_hash) as content_hash,
    j.was_type,
    j.was_amount,
    j.was_occurred_at,
    j.was_account,
    j.was_category,
    j.was_tag,
    j.was_comment,
    if(j.unknown_yet, null, j.was_hash) as was_hash,
    j.subject,
    j.decision,
    j.caught,
    j.state,
    j.attempts,
    if(j.unknown_yet, null, j.sent_at) as sent_at,
    if(j.unknown_yet, null, j.was_verified_at) as was_verified_at,
    if(j.unknown_yet, null, j.was_applied_at) as was_applied_at,
    if(j.unknown_yet, null, j.deleting_at) as deleting_at,
    if(j.unknown_yet, null, j.writing) as writing,
    if(j.unknown_yet or j.kept_fields is null, [], j.kept_fields) as kept_fields
from weighed j
cross join settings s
cross join this_delivery d
left join held_import h on true
left join held_changes k on k.transaction_id = j.transaction_id and k.action = j.action and k.subject = j.subject
