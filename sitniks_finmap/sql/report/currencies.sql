-- One row is one currency of the shop, the most used first.
select currency
from report_money
group by all
order by
    bool_and(is_stock),
    sum(sitniks_income_count + sitniks_expense_count + finmap_income_count + finmap_expense_count) desc,
    currency
