-- One row: one day over all accounts, on both sides, as `reconciliation` has it; and how many of its records differ.
-- What is rejected counts on its own: it is in neither sum. No row of that day: zeros.
select
    coalesce(sum(sitniks_income_count), 0)::integer as sitniks_income_count,
    coalesce(sum(sitniks_income_sum), 0)::decimal(18, 2) as sitniks_income_sum,
    coalesce(sum(sitniks_expense_count), 0)::integer as sitniks_expense_count,
    coalesce(sum(sitniks_expense_sum), 0)::decimal(18, 2) as sitniks_expense_sum,
    coalesce(sum(finmap_income_count), 0)::integer as finmap_income_count,
    coalesce(sum(finmap_income_sum), 0)::decimal(18, 2) as finmap_income_sum,
    coalesce(sum(finmap_expense_count), 0)::integer as finmap_expense_count,
    coalesce(sum(finmap_expense_sum), 0)::decimal(18, 2) as finmap_expense_sum,
    (select count(*) from differences where day = $day and kind <> 'rejected')::integer as differences,
    (select count(distinct record) from rejections where day = $day)::integer as rejected,
    (
        select if(count(distinct currency) = 1, any_value(currency), '')
        from finmap_accounts where account in (select account from reconciliation where day = $day)
    ) as currency,
    (
        select max(read_at) from complete_reads
        where resource = (from main_source) and day = $day
            and read_at >= timezone($zone, $day::date + interval 1 day)
    ) is not null as is_read,
    coalesce((
        select max(read_at) from complete_reads
        where resource = (from main_source) and day = $day
            and read_at >= timezone($zone, $day::date + interval 1 day)
    ) <= (select max(succeeded_at) from last_runs where what in ('sync', 'reconciliation')), false) as is_reconciled
from reconciliation
where day = $day
