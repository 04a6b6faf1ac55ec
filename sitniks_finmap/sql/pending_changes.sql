-- One row is one planned change that a $decision (approve, dismiss) with these options would cover. Operations that a
-- person deleted in Finmap need $recreate; conflicts need $conflicts, or a name: a $transaction (its ID or the externalId
-- of its operation) or an $order (by its ID; all its parts). A decision about what is named may be reversed until it is
-- carried out.
with asked as (
    select coalesce($transaction::varchar, $order::varchar) is not null as by_name
)
select transaction_id, action, standing, kind, why, day, type, amount, external_id, occasion
from plan
left join decisions d using (transaction_id, action, occasion)
cross join asked
where (
        standing = 'pending'
        or (standing = 'kept' and action = 'recreate' and by_name)
        or (d.decision <> $decision and by_name)
    )
    and ($day::date is null or day = $day::date)
    and ($transaction::varchar is null or $transaction in (transaction_id, external_id, known_as))
    and ($order::varchar is null or order_of(transaction_id) = $order)
    and (kind is distinct from 'conflict' or $conflicts or $decision = 'dismiss' or by_name)
    and (action = 'recreate') = ($recreate or (action = 'recreate' and $decision = 'dismiss' and by_name))
order by day desc, transaction_id
