-- One row is one kind of difference between the two sides, with its number of records.
select kind, count(*) as records
from differences
where kind <> 'rejected'
group by all
order by records desc, kind
