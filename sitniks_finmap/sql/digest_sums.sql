-- One row is one currency of some days, without the stock, on both sides, as `reconciliation` has it; the most used
-- first.
select
    coalesce(a.currency, '') as currency,
    sum(sitniks_income_count)::integer,
    sum(sitniks_income_sum)::decimal(18, 2),
    sum(sitniks_expense_count)::integer,
    sum(sitniks_expense_sum)::decimal(18, 2),
    sum(finmap_income_count)::integer,
    sum(finmap_income_sum)::decimal(18, 2),
    sum(finmap_expense_count)::integer,
    sum(finmap_expense_sum)::decimal(18, 2)
from reconciliation r
cross join settings s
left join finmap_accounts a on a.account = r.account
where r.day between $first and $last and r.account is distinct from s.stock_account
group by all
order by sum(sitniks_income_count + sitniks_expense_count + finmap_income_count + finmap_expense_count) desc, currency
