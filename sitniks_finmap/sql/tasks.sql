-- One row is one task of a run: the due part of the plan in the run's days, newest first, so that the owner sees today
-- before last year. $every_failed includes failed and refused operations that are not due yet.
insert into tasks by name
select
    row_number() over (order by p.occurred_at desc, p.transaction_id, p.generation) as position,
    p.action,
    p.approved,
    p.transaction_id,
    p.external_id,
    p.generation,
    p.day,
    p.wanted,
    p.theirs,
    p.edited,
    p.changed,
    p.occasion,
    p.known_as,
    case
        when p.wanted is null then []
        -- After the file was lost, a generation that no list showed may exist.
        when p.generation = 1 and p.state is null and p.occurred_at <= (select rebuilt_at from rebuilt_ledger)
            then [p.external_id || ':2']
        else coalesce(list_filter(
            k.keys, lambda key : key <> p.external_id and not (p.action = 'replace' and key = p.known_as)
        ), [])
    end as other_keys
from planned p
left join (select transaction_id, list(external_id) as keys from finmap_upload group by all) k using (transaction_id)
where p.standing = 'go'
    and p.day between $first_day and $last_day
    and (
        p.due_at is null
        or p.due_at <= $now
        or ($every_failed and p.state in ('failed', 'refused') and p.occurred_at <= $now)
    )
