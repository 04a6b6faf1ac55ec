-- One row is one kind of planned action on one day, with its reason: the number of operations, and the amounts.
select
    day,
    action,
    standing,
    coalesce(regexp_extract(why, '^[^:]*'), '') as why,
    count(*) as operations,
    sum(coalesce(written.amount, 0))::varchar as amount_before,
    sum(amount)::varchar as amount_after,
    min(transaction_id) as for_example
from plan
where day between $first and $last
group by all
order by standing desc, action, why
