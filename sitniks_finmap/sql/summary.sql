-- One row: the connection's totals over the days from $first to $last. Delivered transactions that are no longer
-- operations, and older generations, do not count.
with wanted as (
    select o.type, o.amount, l.state, coalesce(l.written, l.shown) as told
    from operations o
    left join current_uploads l using (transaction_id)
    where o.day between $first and $last
)
select
    (select count(distinct record) from latest_records where gone_at is null and day between $first and $last) as transactions,
    count(*) as wanted,
    coalesce(sum(amount) filter (type = 'income'), 0) as wanted_income,
    coalesce(sum(amount) filter (type = 'expense'), 0) as wanted_expense,
    count(*) filter (state in ('sent', 'verified')) as delivered,
    coalesce(sum(told.amount) filter (state in ('sent', 'verified') and told.type = 'income'), 0) as delivered_income,
    coalesce(sum(told.amount) filter (state in ('sent', 'verified') and told.type = 'expense'), 0) as delivered_expense,
    count(*) filter (state = 'failed') as failed,
    count(*) filter (state is null) as backlog,
    count(*) filter (state = 'refused') as refused,
    (select count(distinct record) from rejections where day between $first and $last) as rejected,
    (select count(*) from planned where standing = 'pending' and day between $first and $last) as pending,
    (
        select max(read_at) from complete_reads where resource = (from main_source) and day between $first and $last
    ) as last_read
from wanted
