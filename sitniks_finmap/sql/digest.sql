-- One row: whether both sides have the same of some days in every account, how many of their records differ, and whether
-- each day was read after its end: in Sitniks, and then in Finmap, too, and compared since. What is rejected counts on its
-- own: it is in neither sum.
select
    (
        select coalesce(bool_and(
            sitniks_income_count = finmap_income_count
            and sitniks_income_sum = finmap_income_sum
            and sitniks_expense_count = finmap_expense_count
            and sitniks_expense_sum = finmap_expense_sum
        ), true)
        from reconciliation where day between $first and $last
    ) as is_equal,
    (
        select count(*) from differences where day between $first and $last and kind <> 'rejected'
    )::integer as differences,
    (select count(distinct record) from rejections where day between $first and $last)::integer as rejected,
    days = $last::date - $first::date + 1 as is_read,
    is_read and days = listed_days and coalesce(
        read_at <= (select max(succeeded_at) from last_runs where what in ('sync', 'reconciliation')), false
    ) as is_reconciled
from (
    select
        count(*) filter (resource <> 'finmap') as days,
        count(*) filter (resource = 'finmap') as listed_days,
        max(read_at) as read_at
    from complete_reads
    where
        resource in ((from main_source), 'finmap')
        and day between $first and $last
        and read_at >= timezone($zone, day + interval 1 day)
)
