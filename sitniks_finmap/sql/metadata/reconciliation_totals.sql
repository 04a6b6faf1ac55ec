-- One row is one day: how many records differ, how many of them without a known reason, and the total difference.
select
    day,
    count(*) filter (kind is not null) as differences,
    count(*) filter (kind is not null and not explained) as unexplained,
    coalesce(any_value(difference), 0) as difference_sum
from (
    select coalesce(r.day, d.day) as day, d.kind, d.explained, r.difference
    from (
        select
            day,
            sum(sitniks_income_sum - sitniks_expense_sum - finmap_income_sum + finmap_expense_sum) as difference
        from reconciliation
        group by all
    ) r
    full join differences d on d.day = r.day
)
where day between $first and $last
group by all
