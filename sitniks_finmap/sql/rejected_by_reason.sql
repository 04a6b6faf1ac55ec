-- One row is one reason why transactions, or orders, of these days were rejected, with their number; most first.
select reason, count(*) as records
from rejections
where day between $first and $last
group by all
order by records desc, reason
