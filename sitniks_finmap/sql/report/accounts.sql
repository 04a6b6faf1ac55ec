-- One row is one Finmap account over all days, on both sides.
select
    label,
    currency,
    is_stock,
    sum(sitniks_income_sum)::decimal(18, 2) as income,
    sum(sitniks_expense_sum)::decimal(18, 2) as expense,
    sum(finmap_income_sum)::decimal(18, 2) as finmap_income,
    sum(finmap_expense_sum)::decimal(18, 2) as finmap_expense,
    sum(sitniks_income_count + sitniks_expense_count)::bigint as operations,
    bool_and(is_equal) as is_equal
from report_money
group by account, label, currency, is_stock
order by is_stock, operations desc, label
