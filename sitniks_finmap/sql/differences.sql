-- One row is one record that differs between the two sides, over all days.
delete from differences;

insert into differences by name
with finmap as (
    select f.*, timezone(s.timezone, f.content.occurred_at)::date as finmap_day
    from shown_operations f
    cross join settings s
),
open as (
    select transaction_id, max_by(struct_pack(action := action, standing := standing, why := why, kind := kind), position) as plan
    from (select *, if(standing in ('go', 'waiting'), 0, 1) as position from planned)
    group by all
),
both_sides as (
    select
        coalesce(o.day, l.day, f.finmap_day) as day,
        coalesce(o.transaction_id, l.transaction_id) as transaction_id,
        coalesce(f.external_id, l.external_id, o.external_id) as external_id,
        o.transaction_id is not null as in_sitniks,
        f.external_id is not null as in_finmap,
        k.transaction_id is not null as skipped,
        l.state,
        l.missing_since,
        p.plan,
        l.last_error,
        but_for_peoples_fields(differing_fields(o.content, f.content)) as fields,
        edited_fields(f.content, l.shown, l.unseen, l.intents) as edited,
        l.refused is not null as refused_in_part
    from wanted_operations o
    full join current_uploads l on l.transaction_id = o.transaction_id
    full join finmap f on f.external_id = l.external_id
    left join open p on p.transaction_id = coalesce(o.transaction_id, l.transaction_id)
    left join skipped_operations k on k.transaction_id = o.transaction_id
),
judged as (
    select
        day, transaction_id, external_id, fields, plan, last_error,
        case
            when not in_sitniks and not in_finmap and (plan is null or plan.standing in ('go', 'waiting')) then null
            when not in_finmap and skipped then 'skipped'
            when not in_finmap and state = 'deleted' then 'deleted by a person'
            when not in_finmap and state = 'rolled_back' then 'rolled back'
            when not in_finmap and state = 'refused' then 'refused'
            when not in_finmap and missing_since is not null and state = 'verified' then
                if(plan.standing = 'pending', 'pending', 'missing')
            when plan.standing = 'pending' and plan.kind = 'stored_differently' then 'different'
            when plan.standing = 'pending' then 'pending'
            when plan.standing = 'kept' then 'kept'
            when plan.standing in ('go', 'waiting') and (not in_finmap or not in_sitniks or len(fields) > 0) then 'scheduled'
            when not in_finmap then 'missing'
            when not in_sitniks then 'unexpected'
            when state = 'refused' or refused_in_part then 'refused'
            when len(fields) = 0 then null
            when len(list_filter(fields, lambda field : not list_contains(edited, field))) = 0 then 'edited by a person'
            when len(list_intersect(fields, ['type', 'amount', 'account'])) > 0 then 'different'
            else 'stored differently'
        end as kind
    from both_sides
)
select
    j.day,
    transaction_id,
    external_id,
    kind,
    kind not in ('missing', 'unexpected', 'different') as explained,
    case
        when plan is not null then plan.action || coalesce(': ' || plan.why, '') || coalesce(': ' || last_error, '')
        when len(fields) > 0 then named(fields)
        else last_error
    end as detail
from judged j
where kind is not null
union all
select day, transaction_id, null, 'rejected', true, reason
from rejected_transactions
union all
-- The same key twice in Finmap should be impossible; it would count money twice.
select
    timezone(any_value(s.timezone), min(f.occurred_at))::date, null, external_id, 'unexpected', false,
    count(*) || ' operations with this externalId'
from finmap_operations f
cross join settings s
group by all
having count(*) > 1;
