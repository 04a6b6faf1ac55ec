-- One row: the operations of the days from $first to $last that Finmap still has although Sitniks no longer makes them,
-- because a person has not decided yet, or because a person or a setting keeps them.
select
    count(*) as operations,
    coalesce(sum(amount) filter (type = 'income'), 0) as income,
    coalesce(sum(amount) filter (type = 'expense'), 0) as expense
from planned
where action = 'withdraw' and standing <> 'go' and day between $first and $last
