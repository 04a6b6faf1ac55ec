-- One row is one version of the order: what was read, the stage that its status means, and the money that it named. A
-- version of zero or less was read back from Finmap after the file was lost.
select
    version,
    strftime(r.first_seen_at, '%Y-%m-%d %H:%M') as first_seen,
    strftime(r.last_seen_at, '%Y-%m-%d %H:%M') as last_seen,
    r.run_id,
    strftime(r.gone_at, '%Y-%m-%d %H:%M') as gone,
    s.status,
    s.stage,
    strftime(s.since, '%Y-%m-%d %H:%M') as since,
    s.known_by,
    s.total,
    s.total_fault,
    s.prepayment,
    s.cost,
    r.payload
from (from raw_sitniks_orders where order_id = $order_id) r
full join (from order_stages where order_id = $order_id) s using (version)
order by version
