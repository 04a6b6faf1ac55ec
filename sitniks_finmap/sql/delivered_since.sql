-- One row: how many of the operations that Finmap has were created or corrected there since a moment ($moment), by the
-- audit log. What a rebuilt ledger only found there is not counted.
select count(distinct l.external_id)
from current_uploads l
join finmap_requests q using (external_id)
where l.state in ('sent', 'verified')
    and q.requested_at >= $moment
    and q.method in ('POST', 'PATCH')
    and q.outcome in ('applied', 'accepted')
