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
