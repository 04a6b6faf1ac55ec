-- One row is one record of the chosen days in which the two sides differ. `plan` holds what is still to be done.
delete from differences
where day between (select first_day from chosen_days) and (select last_day from chosen_days);

insert into differences by name
with finmap as (
    select f.*, timezone(s.timezone, f.occurred_at)::date as finmap_day
    from finmap_operations f
    cross join settings s
),
both_sides as (
    select
        coalesce(o.day, l.day, f.finmap_day) as day,
        coalesce(o.transaction_id, l.transaction_id) as transaction_id,
        coalesce(f.external_id, l.external_id, o.external_id) as external_id,
        o.transaction_id is not null as in_sitniks,
        f.external_id is not null as in_finmap,
        l.state,
        l.verified_at is not null as verified,
        l.next_attempt_at is not null as pending,
        p.action,
        p.standing,
        p.why,
        l.last_error,
        o.content_hash is not distinct from l.content_hash as told,
        list_filter([
            if(o.type <> f.type, 'type', null),
            if(o.amount <> f.amount, 'amount', null),
            if(o.occurred_at <> f.occurred_at, 'occurred_at', null),
            if(o.account <> f.account, 'account', null),
            if(o.comment <> f.comment, 'comment', null)
        ], lambda field : field is not null) as fields,
        l.kept_fields
    from operations o
    full join current_uploads l on l.transaction_id = o.transaction_id
    full join finmap f on f.external_id = l.external_id
    left join plan p on p.transaction_id = coalesce(o.transaction_id, l.transaction_id)
),
judged as (
    select
        day, transaction_id, external_id,
        case
            when not in_sitniks and not in_finmap then null
            when not in_finmap and state = 'deleted' then 'edited by a person'
            when not in_finmap and state = 'dismissed' then 'dismissed'
            when not in_finmap and state = 'rejected' then 'refused by Finmap'
            when not in_finmap and action is not null then if(standing = 'kept', 'kept', 'waiting')
            when not in_finmap and state in ('sent', 'failed') and pending then 'waiting'
            when not in_finmap then 'missing'
            when not in_sitniks and action is not null then if(standing = 'kept', 'kept', 'waiting')
            when not in_sitniks then 'unexpected'
            when len(fields) = 0 then null
            when action is not null then if(standing = 'kept', 'kept', 'waiting')
            when told and (verified or len(list_filter(fields, lambda f : not list_contains(kept_fields, f))) = 0)
                then 'edited by a person'
            when state = 'rejected' then 'refused by Finmap'
            else if(fields[1] = 'occurred_at', 'date', fields[1])
        end as kind,
        case
            when not in_finmap and state = 'deleted' then 'deleted in Finmap'
            when action is not null
                then action || coalesce(': ' || why, '') || coalesce(': ' || last_error, '')
            when len(fields) > 0 then array_to_string(fields, ', ')
            else last_error
        end as detail
    from both_sides
)
select
    j.day,
    transaction_id,
    external_id,
    kind,
    kind in ('edited by a person', 'dismissed', 'waiting', 'kept', 'refused by Finmap', 'rejected') as explained,
    detail
from judged j
cross join chosen_days c
where kind is not null and j.day between c.first_day and c.last_day
union all
select
    r.day, transaction_id, null, 'rejected', true, reason
from rejected_transactions r
cross join chosen_days c
where r.day between c.first_day and c.last_day
union all
-- The same key twice in Finmap cannot be, and would be money counted twice.
select
    f.finmap_day, null, external_id, 'unexpected', false, count(*) || ' operations with this externalId'
from finmap f
cross join chosen_days c
where f.finmap_day between c.first_day and c.last_day
group by all
having count(*) > 1;
