-- One row is one action that brings Finmap in line with Sitniks, over all days. `standing`: go (a run does it, from
-- `due_at` on), waiting (a run will do it when something else has happened, see `why`), pending (a person decides, see
-- `why`), kept (not done: the connection's settings or a person decided so).
create or replace view plan as
with subjects as (
    select
        coalesce(o.transaction_id, l.transaction_id) as transaction_id,
        coalesce(o.day, l.day) as day,
        o.external_id as first_external_id,
        o.content as wanted,
        l.external_id as known_as,
        coalesce(g.last_generation, 1) as last_generation,
        coalesce(g.last_delivered, 0) as last_delivered,
        g.begun_generation,
        coalesce(l.generation, 1) as generation,
        l.state,
        l.written,
        l.shown,
        l.refused,
        l.deleting,
        l.missing_since,
        l.next_attempt_at,
        l.written is not null or l.shown is not null as delivered,
        l.verified_at is not null or l.applied_at is not null as was_there,
        len(coalesce(l.intents, [])) > 0 as unsettled,
        len(coalesce(l.owed, [])) > 0 as owes,
        f.content as theirs,
        coalesce(r.reason, whole.reason) as rejected,
        u.reason as unbooked,
        -- Of what belongs together: the money of an order, or its stock.
        if(t.record <> t.transaction_id, if(part_of(t.transaction_id) in ('cogs', 'restock'), 'stock ', 'money ') || t.record, null)
            as books,
        r2.order_id is not null as restaged,
        t.known_since,
        t.gone_at is not null as is_gone,
        t.last_seen_at,
        t.missing_at is not null and t.gone_at is null as absent_once,
        t.missing_at,
        -- Not being in the warehouse does not mean gone: after the file was lost, a day may not have been read yet.
        t.transaction_id is not null or case s.source
            when 'transactions' then l.day in (select day from complete_reads where resource = 'transactions')
            -- The order may have been created long before the day of its money.
            else l.day < unread.first_day
        end as ever_read,
        case
            when o.content is null then []
            when l.written is not null then differing_fields(o.content, l.written)
            -- What was written is unknown, and Finmap has tag IDs where we have labels.
            when l.shown is not null then but_for_labels(differing_fields(o.content, l.shown), o.content)
            else []
        end as differ,
        edited_fields(f.content, l.shown, l.unseen, l.intents) as edited,
        if(
            l.written is null or l.shown is null or len(l.unseen) > 0,
            [],
            money_fields(differing_fields(l.written, l.shown))
        ) as respelled,
        coalesce(
            timezone(s.timezone, l.written.occurred_at)::date <> timezone(s.timezone, l.shown.occurred_at)::date, false
        ) as on_another_day
    from wanted_operations o
    full join current_uploads l on l.transaction_id = o.transaction_id
    left join shown_operations f on f.external_id = l.external_id
    left join rejected_transactions r on r.transaction_id = l.transaction_id
    left join latest_records t on t.transaction_id = coalesce(o.transaction_id, l.transaction_id)
    -- Of an order as a whole, not of a part of it.
    left join rejected_transactions whole on whole.transaction_id = t.record and t.record <> t.transaction_id
    left join unbooked_orders u on 'order-' || u.order_id = t.record and u.part is null
    left join restaged_orders r2 on 'order-' || r2.order_id = t.record
    left join (
        select
            transaction_id,
            max(generation) as last_generation,
            max(generation) filter (coalesce(written, shown) is not null) as last_delivered,
            -- An interrupted replacement continues under its original key.
            max(generation) filter (
                coalesce(written, shown) is null and not is_out(state)
            ) as begun_generation
        from finmap_upload
        group by all
    ) g on g.transaction_id = l.transaction_id
    cross join settings s
    cross join (
        select min(day) as first_day
        from (
            select first_read_day as day from settings
            union all
            select r.day + 1 from complete_reads r cross join settings where resource = 'orders' and r.day >= first_read_day
        )
        where day not in (select day from complete_reads where resource = 'orders')
    ) unread
),
compared as (
    select
        * exclude (differ),
        -- Keep a person's labels, and skip changes that a person has already made.
        list_filter(
            differ,
            lambda field : not (list_contains(edited, field) and (
                is_peoples(field)
                or not list_contains(differing_fields(wanted, theirs), field)
            ))
        ) as changed,
        -- A time truncated by Finmap within the same day moves no money.
        list_filter(respelled, lambda field : field <> 'occurred_at' or on_another_day)
            as other_money
    from subjects
),
actions as (
    select
        *,
        case
            when deleting = 'rollback' and not is_out(state) then 'rollback'
            when wanted is null then if(
                ever_read and not is_out(state)
                    and (delivered or unsettled or deleting is not null),
                'withdraw', null
            )
            when state is null then if(day <= (select until_day from caught_up), null, 'create')
            when state = 'withdrawn' then 'create'
            when state in ('deleted', 'rolled_back') then 'recreate'
            when not delivered then if(deleting is null, 'create', 'verify')
            when wanted.type <> coalesce(written.type, shown.type) then 'replace'
            -- A person changed the type, which a patch cannot change back.
            when wanted.type <> theirs.type and (len(changed) > 0 or len(other_money) > 0) then 'replace'
            when len(changed) > 0 or len(other_money) > 0 then 'update'
            when state = 'failed' or next_attempt_at is not null or missing_since is not null or deleting is not null
                or unsettled or owes then 'verify'
        end as action
    from compared
),
occasions as (
    select
        a.*,
        action in ('create', 'recreate') and is_out(state) or action = 'replace' as anew,
        if(begun_generation > generation, begun_generation, last_generation + 1) as next_generation,
        list_intersect(list_distinct(changed || other_money), edited)
            || if(list_contains(edited, 'type') and len(changed) > 0, ['type'], []) as conflicts,
        action in ('update', 'replace', 'withdraw') and not (
            -- A new order status is routine; a broken source changes more than that.
            action = 'update' and changed = ['comment']
            and without_status(wanted.comment) = without_status(written.comment)
        ) as is_change,
        action = 'verify' and missing_since is not null and deleting is null and was_there as is_missing,
        md5(to_json([
            coalesce(wanted, written, shown)::varchar,
            if(len(edited) > 0, theirs, null)::varchar,
            (rejected is not null)::varchar,
            if(len(other_money) > 0, shown, null)::varchar
        ])::varchar) as occasion,
        case
            -- The last read did not show it: the next one tells whether it is gone, or was never this company's.
            when action = 'create' and absent_once then missing_at + interval 1 day
            when action in ('create', 'recreate') then greatest(
                wanted.occurred_at,
                if(refused is not null and refused is distinct from wanted, null, next_attempt_at)
            )
            when action = 'verify' and missing_since is not null and was_there and deleting is null
                then greatest(missing_since + interval 2 hour, coalesce(next_attempt_at, missing_since))
            -- Before anything else, a second check must tell whether a person deleted it.
            when action in ('update', 'replace') and missing_since is not null and was_there and deleting is null
                then least(missing_since + interval 2 hour, next_attempt_at)
            when action in ('update', 'replace') and refused is distinct from wanted and state in ('sent', 'verified', 'refused')
                and deleting is null then null
            else next_attempt_at
        end as due_at
    from actions a
    where action is not null
),
decided as (
    select o.*, d.decision
    from occasions o
    left join decisions d
        on d.transaction_id = o.transaction_id and d.action = o.action and d.occasion = o.occasion
),
-- How many operations exist, change and are missing around each day: on the scale of a sync, a month, and everything.
days as (
    select
        day,
        count(*) as known,
        count(d.transaction_id) filter (d.is_change and d.decision is null) as changes,
        count(d.transaction_id) filter (d.is_missing and d.decision is null) as missing,
        count(*) filter (s.absent_once or (d.action = 'withdraw' and d.decision is null)) as vanishing
    from (select transaction_id, day, absent_once from subjects where delivered) s
    left join decided d using (transaction_id, day)
    group by all
),
crowds as (
    select
        a.day,
        sum(b.known) as known,
        sum(b.changes) as changes,
        sum(b.missing) as missing,
        sum(b.vanishing) as vanishing
    from (select day from days where changes > 0 or missing > 0 or vanishing > 0) a
    cross join (select unnest([lookback_days // 2, 15, 100000]) as scale from settings)
    join days b on b.day between a.day - scale::integer and a.day + scale::integer
    group by a.day, scale
),
catch as (
    select
        c.day,
        max(struct_pack(known := c.known, changes := c.changes))
            filter (c.known >= 20 and c.changes > s.max_change_share * c.known) as too_many,
        max(struct_pack(known := c.known, missing := c.missing))
            filter (c.known >= 20 and c.missing > s.max_change_share * c.known) as vanished
    from crowds c
    cross join settings s
    group by all
),
weighed as (
    select
        d.*,
        if(d.is_change, t.too_many, null) as too_many,
        if(d.is_missing, t.vanished, null) as vanished,
        d.action in ('replace', 'withdraw') or (d.action = 'update' and list_contains(d.changed || d.other_money, 'amount'))
            as moves_money,
        h.transaction_id is not null as held,
        w.transaction_id is not null and d.action in ('create', 'recreate') as waits
    from decided d
    left join catch t using (day)
    left join held_changes h
        on h.transaction_id = d.transaction_id and h.action = d.action and h.occasion = d.occasion
    left join waiting_operations w on w.transaction_id = d.transaction_id
),
-- If too many known transactions vanish from Sitniks, even in one read, hold what arrived since they were last seen: it
-- may be another company's, or the same transactions under other IDs.
doubted as (
    select count(*) as vanished, min(s.last_seen_at) as since
    from subjects s
    left join decided d using (transaction_id)
    where s.delivered and (s.absent_once or (d.action = 'withdraw' and d.decision is null))
    having (
        select count(*) from crowds c cross join settings where c.known >= 20 and c.vanishing > max_change_share * c.known
    ) > 0
),
-- After the file was lost: sales in Finmap without a prepayment there, of orders that declare one.
lost_prepayments as (
    select l.transaction_id, arg_max(st.prepayment, st.version) as prepayment
    from current_uploads l
    join order_stages st on st.order_id = order_of(l.transaction_id) and st.version > 0
    left join current_uploads other
        on other.transaction_id = 'order-' || order_of(l.transaction_id) || '.prepayment' and not is_out(other.state)
    where l.written is null and l.shown is not null and part_of(l.transaction_id) = 'sale' and other.transaction_id is null
    group by all
),
judged as materialized (
    select
        w.*,
        case
            when w.vanished is not null and w.decision is null then {
                'standing': 'pending', 'kind': 'missing',
                'why': 'Finmap no longer shows ' || w.vanished.missing || ' of ' || w.vanished.known || ' operations'}
            when w.action in ('verify', 'rollback') then {'standing': 'go', 'kind': null, 'why': null}
            when w.waits and (w.decision = 'approve' or w.state is not null) then
                {'standing': 'waiting', 'kind': 'waits', 'why': 'it waits until the payment of its order is in Finmap'}
            when w.decision = 'approve' then {'standing': 'go', 'kind': null, 'why': 'approved'}
            when w.decision = 'dismiss' then {'standing': 'kept', 'kind': 'dismissed', 'why': 'dismissed by a person'}
            when w.action = 'create' and w.state is null and coalesce(w.known_since > u.since, false) then {
                'standing': 'pending', 'kind': 'too_many',
                'why': 'it appeared when ' || u.vanished || if(s.source = 'orders', ' known parts of orders', ' known transactions')
                    || ' vanished from Sitniks'}
            when w.action = 'create' and w.restaged then {
                'standing': 'pending', 'kind': 'status_lists', 'why': 'it follows from changed lists of order statuses'}
            when w.action = 'create' and w.state is null and s.first_import = 'review'
                and (
                    h.held_until is null and not any_upload.there
                    or w.wanted.occurred_at <= h.held_until
                    -- What an order was when it was first read after the file was lost.
                    or w.books is not null and rebuilt.there
                        and w.wanted.occurred_at = date_trunc('millisecond', w.known_since)
                )
                then {'standing': 'pending', 'kind': 'first_import', 'why': 'the first import is held for review'}
            when w.waits then
                {'standing': 'waiting', 'kind': 'waits', 'why': 'it waits until the payment of its order is in Finmap'}
            when w.action = 'create' then {'standing': 'go', 'kind': null, 'why': null}
            when w.action = 'recreate' and w.state = 'rolled_back'
                then {'standing': 'kept', 'kind': 'recreate', 'why': 'removed by a rollback'}
            when w.action = 'recreate'
                then {'standing': 'pending', 'kind': 'recreate', 'why': 'a person deleted it in Finmap'}
            when w.action in ('update', 'replace') and s.on_change = 'keep'
                then {'standing': 'kept', 'kind': 'setting', 'why': 'on_change is keep'}
            when w.action = 'withdraw' and s.on_delete = 'keep'
                then {'standing': 'kept', 'kind': 'setting', 'why': 'on_delete is keep'}
            when len(w.conflicts) > 0 then {
                'standing': 'pending', 'kind': 'conflict',
                'why': 'a person changed in Finmap what also changed in Sitniks: ' || named(w.conflicts)}
            -- What Finmap has is the total less the prepayment that the order declares, and that is not there.
            when w.action = 'update' and w.wanted.amount - w.shown.amount = p.prepayment then {
                'standing': 'pending', 'kind': 'conflict',
                'why': 'the ledger was rebuilt, and the prepayment of its order is not in Finmap: a person may have '
                    || 'deleted it; the sale would become the whole total'}
            when w.written is null and w.shown is not null and w.action in ('update', 'replace', 'withdraw') then {
                'standing': 'pending', 'kind': 'conflict',
                'why': if(
                    rebuilt.there, 'the ledger was rebuilt: who changed it is unknown',
                    'Finmap had it already, with other values: who wrote them is unknown'
                )}
            when w.action = 'withdraw' and len(w.edited) > 0
                or w.action = 'replace' and len(but_for_peoples_fields(w.edited)) > 0
                then {'standing': 'pending', 'kind': 'conflict', 'why': 'a person edited it in Finmap'}
            when w.action = 'replace' and w.last_delivered > w.generation then {
                'standing': 'pending', 'kind': 'conflict',
                'why': 'a person restored it in Finmap in place of a newer operation'}
            when w.action = 'withdraw' and w.rejected is not null then {
                'standing': 'pending', 'kind': 'unreadable',
                'why': 'Sitniks has it, but it can no longer become an operation: ' || w.rejected}
            when w.action = 'update' and len(w.changed) = 0
                or w.action = 'replace' and list_contains(w.other_money, 'type') then {
                'standing': 'pending', 'kind': 'stored_differently',
                'why': 'Finmap stored a different ' || named(w.other_money) || ' than was written'}
            when w.restaged then {
                'standing': 'pending', 'kind': 'status_lists', 'why': 'it follows from changed lists of order statuses'}
            when w.too_many is not null then {
                'standing': 'pending', 'kind': 'too_many',
                'why': w.too_many.changes || ' of ' || w.too_many.known || ' operations would change at once'}
            when w.held and s.max_change_share < 1 then {
                'standing': 'pending', 'kind': 'too_many', 'why': 'too many operations would have changed at once'}
            when w.action in ('update', 'replace') and s.on_change = 'ask'
                then {'standing': 'pending', 'kind': 'setting', 'why': 'on_change is ask'}
            when w.action = 'withdraw' and s.on_delete = 'ask' and w.unbooked is not null then {
                'standing': 'pending', 'kind': 'unpaid', 'why': 'its order is no longer paid: ' || w.unbooked}
            when w.action = 'withdraw' and s.on_delete = 'ask' and w.known_since is not null and not w.is_gone then {
                'standing': 'pending', 'kind': 'unpaid', 'why': 'its order no longer has this part'}
            when w.action = 'withdraw' and s.on_delete = 'ask'
                then {'standing': 'pending', 'kind': 'setting', 'why': 'gone from Sitniks, and on_delete is ask'}
            else {'standing': 'go', 'kind': null, 'why': null}
        end as verdict
    from weighed w
    cross join settings s
    left join doubted u on true
    cross join (select count(*) > 0 as there from finmap_upload where state <> 'rolled_back') any_upload
    cross join (select count(*) > 0 as there from rebuilt_ledger) rebuilt
    left join held_import h on true
    left join lost_prepayments p on p.transaction_id = w.transaction_id
),
-- What waits for a payment that will not come.
unpaid as (
    select
        w.transaction_id,
        any_value(case
            when b.state = 'rolled_back' then 'was removed by a rollback'
            when b.state = 'deleted' then 'was deleted in Finmap'
            when b.transaction_id is not null then 'was dismissed'
            else 'was skipped'
        end) as payment
    from (select transaction_id, unnest(missing) as base from waiting_operations) w
    left join judged b on b.transaction_id = w.base
    where b.transaction_id is null or (b.verdict.standing = 'kept' and b.verdict.kind in ('dismissed', 'recreate'))
    group by all
),
-- And what waits for something that a rollback removed with such a payment.
stranded as (
    from unpaid
    union all
    select w.transaction_id, any_value(u.payment)
    from (select transaction_id, unnest(missing) as base from waiting_operations) w
    join unpaid u on u.transaction_id = w.base
    join judged b on b.transaction_id = w.base
    where b.action = 'recreate' and b.state = 'rolled_back' and b.decision is null
        and w.transaction_id not in (select transaction_id from unpaid)
    group by all
),
-- The money of an order changes as a whole: what is not carried out of it holds up the rest.
held_up as (
    select
        books,
        bool_or(verdict.standing = 'pending') as by_asking,
        bool_or(verdict.standing = 'kept') as by_keeping
    from judged
    where books is not null
        and (moves_money or action = 'create')
        and verdict.standing in ('pending', 'kept')
    group by all
),
resolved as (
    select
        j.* exclude (verdict),
        case
            when j.verdict.standing = 'waiting' and s.payment is not null and j.action = 'recreate' and j.decision is null
                then if(
                    j.state = 'rolled_back',
                    {'standing': 'kept', 'kind': 'recreate', 'why': 'removed by a rollback'},
                    {'standing': 'pending', 'kind': 'recreate', 'why': 'a person deleted it in Finmap'}
                )
            when j.verdict.standing = 'waiting' and s.payment is not null then case
                when j.decision = 'approve' then {'standing': 'go', 'kind': null, 'why': 'approved'}
                when j.decision = 'dismiss'
                    then {'standing': 'kept', 'kind': 'dismissed', 'why': 'dismissed by a person'}
                else {
                    'standing': 'pending', 'kind': 'no_payment',
                    'why': 'the payment of its order is not in Finmap: it ' || s.payment}
            end
            when j.verdict.standing <> 'go' or j.decision is not null then j.verdict
            when j.action not in ('create', 'recreate') and not j.moves_money then j.verdict
            when h.by_asking then {
                'standing': 'waiting', 'kind': 'waits', 'why': 'it waits for a decision about another part of its order'}
            when h.by_keeping then {
                'standing': 'pending', 'kind': 'part_kept', 'why': 'another part of its order was not changed'}
            else j.verdict
        end as verdict
    from judged j
    left join stranded s using (transaction_id)
    left join held_up h using (books)
),
of_every_generation as (
    select
        j.transaction_id,
        j.action,
        j.verdict.standing as standing,
        j.verdict.kind as kind,
        j.verdict.why as why,
        j.due_at,
        j.day,
        if(
            j.anew,
            coalesce(j.first_external_id, split_part(j.known_as, ':', 1) || ':' || split_part(j.known_as, ':', 2))
                || ':' || j.next_generation,
            coalesce(j.known_as, j.first_external_id)
        ) as external_id,
        if(j.anew, j.next_generation, j.generation) as generation,
        j.known_as,
        j.state,
        coalesce(j.wanted, j.written, j.shown).type as type,
        coalesce(j.wanted, j.written, j.shown).amount as amount,
        coalesce(j.wanted, j.written, j.shown).occurred_at as occurred_at,
        j.wanted,
        j.written,
        j.shown,
        j.theirs,
        j.changed || j.other_money as changed,
        j.edited,
        j.occasion,
        coalesce(j.decision = 'approve', false) as approved,
        j.absent_once
    from resolved j
    union all
    -- An older generation that Finmap shows, or that is not known to be gone: at most one per transaction may be live.
    select
        e.transaction_id, 'withdraw',
        case when len(e.lost) = 0 or d.decision = 'approve' then 'go' when d.decision = 'dismiss' then 'kept' else 'pending' end,
        if(len(e.lost) = 0, null, 'conflict'),
        if(
            len(e.lost) = 0,
            'an older operation of the same transaction is still in Finmap',
            'a person edited an older operation of the same transaction: ' || named(e.lost)
        ),
        case
            -- A person may have restored the older one in place of the newer: a second check tells.
            when e.newer_missing_since is not null then e.newer_missing_since + interval 1 day
            when e.deleting is not null then e.next_attempt_at
        end,
        e.day, e.external_id, e.generation, e.external_id, e.state,
        coalesce(e.theirs, e.written, e.shown).type,
        coalesce(e.theirs, e.written, e.shown).amount,
        coalesce(e.theirs, e.written, e.shown).occurred_at,
        null, e.written, e.shown, e.theirs, [], e.edited, e.occasion, len(e.lost) = 0 or coalesce(d.decision = 'approve', false),
        false
    from (
        select
            l.*,
            f.content as theirs,
            newer.missing_since as newer_missing_since,
            edited_fields(f.content, l.shown, [], l.intents) as edited,
            but_for_carried(edited, f.content, l.shown, l.carried) as lost,
            l.external_id || coalesce(':' || md5(f.content::varchar), '') as occasion
        from finmap_upload l
        join current_uploads newer on newer.transaction_id = l.transaction_id and newer.generation > l.generation
        left join shown_operations f on f.external_id = l.external_id
        -- If the newer one is removed as well, the next read-back makes this one current again.
        where not is_out(newer.state) and (
            f.content is not null
            or not is_out(l.state) and coalesce(l.written, l.shown) is not null
        )
    ) e
    left join decisions d on d.transaction_id = e.transaction_id and d.action = 'withdraw' and d.occasion = e.occasion
)
select
    * exclude (absent_once, hindrance) replace (
        if(standing = 'go' and hindrance is not null, 'waiting', standing) as standing,
        if(standing = 'go', coalesce(hindrance, why), why) as why
    )
from (
    select
        *,
        -- Whether due or not.
        case
            when action in ('create', 'recreate', 'replace') and absent_once
                then 'the last read did not show it: the next one tells whether Sitniks still has it'
            when action in ('create', 'recreate') and count(*) over (partition by transaction_id) > 1
                then 'it waits until an older operation of the same transaction is gone'
        end as hindrance
    from of_every_generation
);
