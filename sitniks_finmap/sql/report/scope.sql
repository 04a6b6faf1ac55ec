-- One row: what the whole comparison covers, when it was made, and how many of its days and accounts differ.
select
    min(day) as first_day,
    max(day) as last_day,
    coalesce(sum(sitniks_income_count + sitniks_expense_count), 0)::bigint as operations,
    count(*) filter (not is_equal) as unequal,
    (select max(ended_at) from last_runs where what = 'reconciliation') as reconciled_at,
    (select max(read_at) from complete_reads where resource <> 'finmap') as read_at
from report_money
