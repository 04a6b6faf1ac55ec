-- Writes down that a person was shown all that is pending, and what `approve --recreate` would bring back.
insert into shown_changes
select distinct transaction_id, action, occasion, $now
from plan
where standing = 'pending' or action = 'recreate'
