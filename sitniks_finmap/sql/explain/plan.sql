-- One row is one planned action for the transaction, due in the shop's time zone ($zone).
select action, standing, why, strftime(timezone($zone, due_at), '%Y-%m-%d %H:%M') as due
from plan
where transaction_id = $transaction_id
