-- One row is one of at most $most operations that were seen in Finmap and should still be there, with Finmap's own ID.
select l.external_id, any_value(f.operation_id) as operation_id
from finmap_upload l
left join finmap_operations f on f.external_id = l.external_id
where l.state in ('sent', 'verified', 'failed') and coalesce(l.verified_at, l.applied_at) is not null
group by l.external_id
order by hash(l.external_id)
limit $most
