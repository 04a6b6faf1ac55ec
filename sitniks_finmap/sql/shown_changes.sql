-- Records that a person was shown everything pending, and what `approve --recreate` would restore.
insert into shown_changes
select distinct transaction_id, action, occasion, $now
from plan
where standing = 'pending' or action = 'recreate'
