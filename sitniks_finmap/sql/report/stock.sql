-- One row is one currency of the stock account: the cost of the goods that were sold and that came back on the days from
-- $first to $last, as `reconciliation` has them.
select
    currency,
    sum(sitniks_expense_count)::bigint as sold_count,
    sum(sitniks_expense_sum)::decimal(18, 2) as sold,
    sum(sitniks_income_count)::bigint as returned_count,
    sum(sitniks_income_sum)::decimal(18, 2) as returned
from report_money
where is_stock and day between $first and $last
group by all
