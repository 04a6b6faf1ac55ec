-- Incoming rows that are new, or of which a field that we read changed, become a new version; unchanged ones only update last_seen_at.
create or replace temp table arrived as
select
    i.id as transaction_id,
    i.amount,
    if(json_valid(i.text), i.text, to_json(i.text)::varchar) as payload,
    -- A timestamp before the import or after today was never requested, so it is not the one that the API filters by.
    if(
        i.own_day between s.start_date and greatest(r.last_day, timezone(s.timezone, r.read_at)::date) + 1,
        i.own_day,
        coalesce(latest.day, r.first_day)
    ) as day,
    transaction_hash(i.text, i.amount) as content_hash,
    latest.version as latest_version,
    latest.content_hash as latest_hash,
    latest.gone_at,
    r.read_at,
    r.run_id,
    -- The windows in which it was seen narrow down the timestamp that the API filters by.
    if(latest.seen_from <= r.read_to and latest.seen_to >= r.read_from,
        greatest(latest.seen_from, r.read_from), coalesce(r.read_from, latest.seen_from)) as seen_from,
    if(latest.seen_from <= r.read_to and latest.seen_to >= r.read_from,
        least(latest.seen_to, r.read_to), coalesce(r.read_to, latest.seen_to)) as seen_to
from incoming i
cross join settings s
cross join this_read r
left join latest_transactions latest on latest.transaction_id = i.id;

update raw_sitniks_transactions
set last_seen_at = arrived.read_at, seen_from = arrived.seen_from, seen_to = arrived.seen_to, missing_at = null
from arrived
where raw_sitniks_transactions.transaction_id = arrived.transaction_id
    and raw_sitniks_transactions.version = arrived.latest_version
    and arrived.content_hash = arrived.latest_hash
    and arrived.gone_at is null;

insert into raw_sitniks_transactions by name
select
    transaction_id,
    coalesce(latest_version, 0) + 1 as version,
    day,
    amount,
    payload,
    content_hash,
    read_at as first_seen_at,
    read_at as last_seen_at,
    run_id,
    seen_from,
    seen_to
from arrived
where latest_hash is distinct from content_hash or gone_at is not null;
