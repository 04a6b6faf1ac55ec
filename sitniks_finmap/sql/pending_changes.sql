-- One row is one planned change that a $decision (approve, dismiss) with these options would cover. Operations that a
-- person deleted in Finmap need $recreate; conflicts need $conflicts or a named $transaction (its ID or the externalId
-- of its operation). The decision about a named transaction may be reversed until it is carried out.
select transaction_id, action, standing, kind, why, day, type, amount, external_id, occasion
from plan
left join decisions d using (transaction_id, action, occasion)
where (
        standing = 'pending'
        or (standing = 'kept' and action = 'recreate' and $transaction::varchar is not null)
        or (d.decision <> $decision and $transaction::varchar is not null)
    )
    and ($day::date is null or day = $day::date)
    and ($transaction::varchar is null or $transaction in (transaction_id, external_id, known_as))
    and (kind is distinct from 'conflict' or $conflicts or $decision = 'dismiss' or $transaction is not null)
    and (action = 'recreate') = (
        $recreate or (action = 'recreate' and $decision = 'dismiss' and $transaction::varchar is not null)
    )
order by day desc, transaction_id
