-- One row is one write attempt at Finmap for these transactions.
select
    external_id,
    strftime(requested_at, '%Y-%m-%d %H:%M:%S') as requested,
    method,
    path,
    http_status,
    outcome,
    milliseconds,
    error
from finmap_requests
where external_id in (select external_id from finmap_upload where list_contains($transaction_ids, transaction_id))
order by requested_at
