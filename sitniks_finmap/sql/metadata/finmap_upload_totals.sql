-- One row is one day: how many of its operations are in Finmap, are not, or are pending, and the delivered sums.
select
    coalesce(o.day, l.day) as day,
    count(*) filter (l.state in ('sent', 'verified')) as delivered,
    count(*) filter (l.state = 'failed') as failed,
    count(*) filter (l.state = 'refused') as refused,
    count(*) filter (l.state is null) as backlog,
    count(*) filter (p.standing = 'pending') as pending,
    coalesce(sum(l.written.amount) filter (l.written.type = 'income' and l.state in ('sent', 'verified')), 0)
        as income_sum,
    coalesce(sum(l.written.amount) filter (l.written.type = 'expense' and l.state in ('sent', 'verified')), 0)
        as expense_sum
from operations o
full join current_uploads l using (transaction_id)
left join plan p on p.transaction_id = coalesce(o.transaction_id, l.transaction_id)
where coalesce(o.day, l.day) between $first and $last
group by all
