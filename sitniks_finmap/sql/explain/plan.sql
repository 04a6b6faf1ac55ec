-- One row is one planned action for these transactions, due in the shop's time zone ($zone).
select transaction_id, action, standing, why, strftime(timezone($zone, due_at), '%Y-%m-%d %H:%M') as due
from plan
where list_contains($transaction_ids, transaction_id)
order by list_position($transaction_ids, transaction_id), generation
