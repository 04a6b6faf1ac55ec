-- One row is one source (sales channel) in one currency, without the stock: its incomes and expenses of the days of the
-- report, and its income of the days before. Spellings that differ in case are one source.
select
    currency,
    min(source) as source,
    count(*) filter (is_now and type = 'income') as incomes,
    coalesce(sum(amount) filter (is_now and type = 'income'), 0)::decimal(18, 2) as income,
    count(*) filter (is_now and type = 'expense') as expenses,
    coalesce(sum(amount) filter (is_now and type = 'expense'), 0)::decimal(18, 2) as expense,
    coalesce(sum(amount) filter (not is_now and type = 'income'), 0)::decimal(18, 2) as income_before
from report_operations
group by currency, coalesce(normal_name(source), '')
having income > 0 or expense > 0 or income_before > 0
order by income desc, expense desc, source
