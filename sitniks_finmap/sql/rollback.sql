-- One row is one operation to take out of Finmap again: what one run created, or what lies in the chosen days. It has
-- the columns of the plan, and is carried out like one.
select
    row_number() over (order by l.occurred_at desc, l.external_id) as position,
    'rollback' as action,
    if(edited and not r.force, 'waiting', 'go') as standing,
    if(edited, 'a person edited it in Finmap', null) as why,
    r.force as approved,
    l.transaction_id,
    l.external_id,
    l.generation,
    l.external_id as known_as,
    l.day,
    l.type,
    l.amount,
    l.occurred_at,
    l.account,
    l.category,
    l.tag,
    l.comment,
    l.content_hash,
    l.type as was_type,
    l.amount as was_amount,
    l.occurred_at as was_occurred_at,
    l.account as was_account,
    l.category as was_category,
    l.tag as was_tag,
    l.comment as was_comment,
    l.content_hash as was_hash,
    l.content_hash as subject,
    l.state,
    l.attempts,
    l.sent_at,
    l.verified_at as was_verified_at,
    l.applied_at as was_applied_at,
    l.deleting_at,
    l.writing,
    l.kept_fields
from (
    select
        l.*,
        f.external_id is not null and l.verified_at is not null and (
            f.type <> l.type or f.amount <> l.amount or f.occurred_at <> l.occurred_at or f.account <> l.account
            or f.comment <> l.comment or (l.category is not null and f.category is distinct from l.category)
        ) as edited
    from finmap_upload l
    left join finmap_operations f using (external_id)
) l
cross join this_rollback r
where l.state in ('sent', 'verified', 'failed', 'rejected') and l.sent_at is not null
    and (
        l.day between r.first_day and r.last_day
        or l.external_id in (
            select external_id from finmap_requests q
            where starts_with(q.run_id, r.run_id) and q.method = 'POST' and q.outcome in ('applied', 'accepted')
        )
    )
