-- One row is one day: how many of its operations Finmap shows, and their sums.
select
    l.day,
    count(*) as operations,
    coalesce(sum(f.amount) filter (f.type = 'income'), 0) as income_sum,
    coalesce(sum(f.amount) filter (f.type = 'expense'), 0) as expense_sum
from finmap_operations f
join finmap_upload l using (external_id)
where l.day between $first and $last
group by all
