-- Incoming rows that are new, or of which a field that we read changed, become a new version; unchanged ones only update last_seen_at.
create or replace temp table arrived as
select
    i.id as order_id,
    if(json_valid(i.text), i.text, to_json(i.text)::varchar) as payload,
    coalesce(i.own_day, latest.day, r.first_day) as day,
    order_hash(i.text) as content_hash,
    latest.version as latest_version,
    latest.content_hash as latest_hash,
    latest.gone_at,
    r.read_at,
    r.run_id
from incoming i
cross join this_read r
left join latest_orders latest on latest.order_id = i.id;

update raw_sitniks_orders
set last_seen_at = arrived.read_at
from arrived
where raw_sitniks_orders.order_id = arrived.order_id
    and raw_sitniks_orders.version = arrived.latest_version
    and arrived.content_hash = arrived.latest_hash
    and arrived.gone_at is null;

insert into raw_sitniks_orders by name
select
    order_id,
    coalesce(latest_version, 0) + 1 as version,
    day,
    payload,
    content_hash,
    read_at as first_seen_at,
    read_at as last_seen_at,
    run_id
from arrived
where latest_hash is distinct from content_hash or gone_at is not null;

-- What was listed is there, whatever was answered about it by ID.
delete from order_tries where order_id in (select order_id from arrived);
