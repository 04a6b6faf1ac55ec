-- One row is one day of one currency on both sides, as `reconciliation` has it, the stock apart: the days from $first to
-- $last, and all others on which an account differs.
select
    day,
    currency,
    is_stock,
    sum(sitniks_income_count)::bigint as incomes,
    sum(sitniks_income_sum)::decimal(18, 2) as income,
    sum(sitniks_expense_count)::bigint as expenses,
    sum(sitniks_expense_sum)::decimal(18, 2) as expense,
    sum(finmap_income_count)::bigint as finmap_incomes,
    sum(finmap_income_sum)::decimal(18, 2) as finmap_income,
    sum(finmap_expense_count)::bigint as finmap_expenses,
    sum(finmap_expense_sum)::decimal(18, 2) as finmap_expense,
    bool_and(is_equal) as is_equal
from report_money
group by all
having day between $first and $last or not bool_and(is_equal)
order by day desc, is_stock, currency
