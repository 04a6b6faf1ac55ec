-- A generation that never came to be is void once another one lives on, and nothing is being done to it.
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

-- Before a run carries anything out: a decision, a hold, or what a person was shown, dies with its occasion, and what
-- is too many at once is held. `planned` is the plan as it is now.
delete from decisions
where (transaction_id, action, occasion) not in (select (transaction_id, action, occasion) from planned);

delete from held_changes
where (transaction_id, action, occasion) not in (select (transaction_id, action, occasion) from planned);

delete from shown_changes
where (transaction_id, action, occasion) not in (select (transaction_id, action, occasion) from planned);

insert or ignore into held_changes
select transaction_id, action, occasion
from planned
where standing = 'pending' and kind = 'too_many' and action <> 'create';
