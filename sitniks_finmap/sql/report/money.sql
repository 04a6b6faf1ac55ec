-- One row is one day of one Finmap account as `reconciliation` has it, with the label and currency of the account, and
-- whether it is that of the stock: the cost of goods is no income and no expense.
create or replace temp table report_money as
select
    r.*,
    coalesce(a.label, r.account) as label,
    coalesce(a.currency, o.currency, '') as currency,
    coalesce(r.account = s.stock_account, false) as is_stock,
    r.sitniks_income_count = r.finmap_income_count
        and r.sitniks_income_sum = r.finmap_income_sum
        and r.sitniks_expense_count = r.finmap_expense_count
        and r.sitniks_expense_sum = r.finmap_expense_sum as is_equal
from reconciliation r
left join finmap_accounts a using (account)
left join (select account, any_value(currency) as currency from operations group by all) o using (account)
left join (select max(stock_account) as stock_account from settings) s on true
