-- One row is one currency in which the two sides differ, the stock apart: how much more Finmap has than Sitniks, negative
-- if it has less. Zero in both: single days or accounts differ, and cancel each other out.
select
    currency,
    is_stock,
    sum(finmap_income_sum - sitniks_income_sum)::decimal(18, 2) as income,
    sum(finmap_expense_sum - sitniks_expense_sum)::decimal(18, 2) as expense
from report_money
group by all
having not bool_and(is_equal)
order by is_stock, currency
