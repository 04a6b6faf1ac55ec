-- One row is one version of one order: its stage, since when, and the money it named. Versions that are not there yet are
-- added; if the lists of statuses changed, the stages of all follow.
insert into order_stages by name
select
    order_id,
    version,
    status,
    status_id,
    'none' as stage,
    -- Later versions are dated by when they were seen.
    in_milliseconds(if(version > 1, first_seen_at, coalesce(updated, created))) as since,
    case
        when version > 1 then 'seen'
        when updated is not null then 'updated'
        else 'created'
    end as known_by,
    total,
    -- What is no record has no total either.
    if(total is null, coalesce(total_fault, 'no total'), null) as total_fault,
    prepayment,
    cost,
    null as meaning_hash
from (
    select
        order_id,
        version,
        first_seen_at,
        fields.status,
        fields.status_id,
        fields.total,
        fields.total_fault,
        fields.prepayment,
        fields.cost,
        case when version = 1 then sensible(instant_of(fields.created_at, timezone)) end as created,
        case
            when version = 1 and history_date = 'updated' then sensible(instant_of(fields.updated_at, timezone))
        end as updated
    from raw_sitniks_orders
    anti join order_stages using (order_id, version)
    cross join settings
);

update order_stages
set stage = listed.stage, meaning_hash = null
from listed_stages listed
where listed.order_id = order_stages.order_id
    and listed.version = order_stages.version
    and listed.stage <> order_stages.stage;
