-- One row is one of the $spans (name, first day, last day) in one currency: incomes and expenses of Sitniks without the
-- stock, as `reconciliation` has them.
select
    m.currency,
    s.name,
    sum(m.sitniks_income_count)::bigint as incomes,
    sum(m.sitniks_income_sum)::decimal(18, 2) as income,
    sum(m.sitniks_expense_count)::bigint as expenses,
    sum(m.sitniks_expense_sum)::decimal(18, 2) as expense
from (
    select unnest($spans::struct(name varchar, first date, last date)[], recursive := true)
) s
join report_money m on m.day between s.first and s.last and not m.is_stock
group by all
