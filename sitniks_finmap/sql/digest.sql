-- One row: whether both sides have the same of one day in every account, how many of its records differ, and whether the
-- day was read and reconciled after its end. What is rejected counts on its own: it is in neither sum.
select
    (
        select coalesce(bool_and(
            sitniks_income_count = finmap_income_count
            and sitniks_income_sum = finmap_income_sum
            and sitniks_expense_count = finmap_expense_count
            and sitniks_expense_sum = finmap_expense_sum
        ), true)
        from reconciliation where day = $day
    ) as is_equal,
    (select count(*) from differences where day = $day and kind <> 'rejected')::integer as differences,
    (select count(distinct record) from rejections where day = $day)::integer as rejected,
    read_at is not null as is_read,
    coalesce(
        read_at <= (select max(succeeded_at) from last_runs where what in ('sync', 'reconciliation')), false
    ) as is_reconciled
from (
    select max(read_at) as read_at
    from complete_reads
    where resource = (from main_source) and day = $day and read_at >= timezone($zone, $day::date + interval 1 day)
)
