-- One row is one run that created operations and that a person may mean by $wanted: its ID, or the first characters of it.
select run_id, min(requested_at) as began
from finmap_requests
where method = 'POST' and (run_id = $wanted or starts_with(run_id, $wanted) and not exists (
    from finmap_requests where run_id = $wanted
))
group by all
order by began desc
