-- One row is one day of one Finmap account: counts and sums on both sides, over all days. On both sides an operation
-- counts on the day of its transaction.
delete from reconciliation;

insert into reconciliation by name
with sides as (
    select 'sitniks' as side, day, account, type, amount from operations
    union all
    select
        'finmap',
        coalesce(l.day, timezone(s.timezone, f.occurred_at)::date),
        f.account,
        f.type,
        f.amount
    from finmap_operations f
    cross join settings s
    left join finmap_upload l using (external_id)
)
select
    day,
    account,
    count(*) filter (side = 'sitniks' and type = 'income') as sitniks_income_count,
    coalesce(sum(amount) filter (side = 'sitniks' and type = 'income'), 0) as sitniks_income_sum,
    count(*) filter (side = 'sitniks' and type = 'expense') as sitniks_expense_count,
    coalesce(sum(amount) filter (side = 'sitniks' and type = 'expense'), 0) as sitniks_expense_sum,
    count(*) filter (side = 'finmap' and type = 'income') as finmap_income_count,
    coalesce(sum(amount) filter (side = 'finmap' and type = 'income'), 0) as finmap_income_sum,
    count(*) filter (side = 'finmap' and type = 'expense') as finmap_expense_count,
    coalesce(sum(amount) filter (side = 'finmap' and type = 'expense'), 0) as finmap_expense_sum
from sides
group by all;
