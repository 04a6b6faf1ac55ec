-- One row: how many operations contradict the amount of their transaction in Sitniks, by its sign or its digits.
select count(*) filter (
    o.amount <= 0
    or amount_of(t.amount, json_type(t.payload, '$.amount') = 'VARCHAR')
        - if(o.type = 'expense', -o.amount, o.amount) not between -0.00000001 and 0.00000001
) as wrong
from operations o
join latest_transactions t on t.transaction_id = o.transaction_id and t.version = o.raw_version
