-- One row is one thing to do so that Finmap has the operations of the chosen days; newest first, so that the owner
-- sees today before last year.
create or replace table plan as
select
    row_number() over (order by o.occurred_at desc, o.external_id) as position,
    if(l.state = 'sent', 'verify', 'create') as action,
    o.external_id,
    o.transaction_id,
    coalesce(l.generation, 1) as generation,
    o.day,
    o.type,
    o.amount,
    o.occurred_at,
    o.account,
    o.category,
    o.tag,
    o.comment,
    o.content_hash,
    coalesce(l.attempts, 0) as attempts,
    l.sent_at
from operations o
cross join this_delivery d
left join finmap_upload l on l.external_id = o.external_id
where o.day between d.first_day and d.last_day
    and (
        l.external_id is null
        or (l.state = 'failed' and (d.every_failed or l.next_attempt_at <= d.planned_at))
        or (l.state = 'sent' and l.next_attempt_at <= d.planned_at)
        or (l.state = 'rejected' and l.content_hash <> o.content_hash)
    );
