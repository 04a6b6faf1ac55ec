-- One row is one of the last $most runs that left a trace: when it was at work, what it read that was new or had changed,
-- what it wrote to Finmap, and how many attempts had no success.
with traces as (
    select run_id, first_seen_at as moment, 1 as fresh, null as method, null as outcome from raw_sitniks_transactions
    union all
    select run_id, first_seen_at, if((from main_source) = 'orders', 1, 0), null, null from raw_sitniks_orders
    union all
    select run_id, requested_at, 0, method, outcome from finmap_requests
    union all
    select run_id, read_at, 0, null, null from complete_reads
    union all
    select run_id, started_at, 0, null, null from last_runs
)
select
    run_id,
    min(moment) as began,
    max(moment) as ended,
    sum(fresh)::bigint as fresh,
    count(*) filter (method = 'POST' and outcome in ('applied', 'accepted')) as created,
    count(*) filter (method = 'PATCH' and outcome in ('applied', 'accepted')) as changed,
    count(*) filter (method = 'DELETE' and outcome in ('applied', 'accepted')) as deleted,
    count(*) filter (outcome in ('error', 'refused', 'unknown')) as failed
from traces
where run_id is not null
group by all
order by ended desc, run_id
limit $most
