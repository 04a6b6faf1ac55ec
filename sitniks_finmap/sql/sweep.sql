-- A generation that was never delivered is void once another one is live and has no deletion or check pending.
update finmap_upload
set state = 'withdrawn', intents = [], refused = null, next_attempt_at = null, last_error = null
from (
    select begun.external_id
    from finmap_upload begun
    join finmap_upload lives using (transaction_id)
    where coalesce(begun.written, begun.shown) is null
        and begun.state in ('failed', 'refused')
        and coalesce(lives.written, lives.shown) is not null
        and not is_out(lives.state)
        and lives.deleting is null
        and lives.missing_since is null
) void
where void.external_id = finmap_upload.external_id;

-- Before a run carries anything out: decisions, holds and shown changes are deleted once their occasion has passed, and
-- too many changes at once are held. `planned` is the current plan.
delete from decisions
where case action
    when 'unbooked' then (transaction_id, occasion) not in (
        select (concat_ws('.', 'order-' || order_id, part), reason) from unbooked_orders
    )
    else (transaction_id, action, occasion) not in (select (transaction_id, action, occasion) from planned)
end;

delete from held_changes
where (transaction_id, action, occasion) not in (select (transaction_id, action, occasion) from planned);

delete from shown_changes
where case action
    when 'unbooked' then (transaction_id, occasion) not in (
        select (concat_ws('.', 'order-' || order_id, part), reason) from unbooked_orders
    )
    else (transaction_id, action, occasion) not in (select (transaction_id, action, occasion) from planned)
end;

-- What changed lists of statuses brought is settled once nothing is left to do about the order, and it is in Finmap.
delete from restaged_orders
where order_id not in (
        select order_of(transaction_id) from planned where action <> 'verify' and order_of(transaction_id) is not null
    )
    and order_id in (
        select order_of(transaction_id) from finmap_upload
        where not is_out(state) and coalesce(written, shown) is not null
    );

insert or ignore into held_changes
select transaction_id, action, occasion
from planned
where standing = 'pending' and kind = 'too_many' and action <> 'create';
