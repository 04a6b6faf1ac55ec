-- Records what `preview` has just shown a person: the pending changes, what `approve --recreate` would restore, both with
-- $external_ids, and the warnings about unbooked orders from $first to $last.
insert into shown_changes
select distinct transaction_id, action, occasion, $now
from previewed
where (standing = 'pending' or action = 'recreate') and list_contains($external_ids::varchar[], external_id)
union
select concat_ws('.', 'order-' || order_id, part), 'unbooked', reason, $now
from unbooked_to_check
where day between $first and $last
