-- One row is one reason why transactions of these days were rejected, with their number; most first.
select reason, count(*) as transactions
from rejected_transactions
where day between $first and $last
group by all
order by transactions desc, reason
