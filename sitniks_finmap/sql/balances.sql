-- One row is one Finmap account: its label, and incomes less expenses of the operations from $first to $last.
select o.account, coalesce(a.label, o.account) as label, sum(if(o.type = 'income', o.amount, -o.amount)) as balance
from operations o
left join finmap_accounts a using (account)
where o.day between $first and $last
group by all
order by count(*) desc
