-- One row is one version of one order: its stage, since when, and the money it named. Versions that are not there yet are
-- added; if the lists of statuses changed, the stages of all follow.
insert into order_stages by name
select
    n.order_id,
    n.version,
    n.fields.status,
    n.fields.status_id,
    'none' as stage,
    -- Later versions are dated by when they were seen.
    date_trunc('millisecond', case
        when n.version > 1 then n.first_seen_at
        else coalesce(updated, created)
    end) as since,
    case
        when n.version > 1 then 'seen'
        when updated is not null then 'updated'
        else 'created'
    end as known_by,
    -- A text that is no record has no total either.
    if(n.fields is null, 'no total', n.fields.total_fault) as total_fault,
    n.fields.total,
    n.fields.prepayment,
    n.fields.cost,
    null as meaning_hash
from (
    select
        raw.*,
        case when raw.version = 1 then sensible(instant_of(raw.fields.created_at, s.timezone)) end as created,
        case
            when raw.version = 1 and s.history_date = 'updated'
                then sensible(instant_of(raw.fields.updated_at, s.timezone))
        end as updated
    from raw_sitniks_orders raw
    anti join order_stages using (order_id, version)
    cross join settings s
) n;

update order_stages
set stage = listed.stage, meaning_hash = null
from listed_stages listed
where listed.order_id = order_stages.order_id
    and listed.version = order_stages.version
    and listed.stage <> order_stages.stage;
