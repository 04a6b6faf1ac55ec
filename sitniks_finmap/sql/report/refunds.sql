-- One row is one source in one currency with refunds on the days from $first to $last: how many, their sum, and all
-- income of this source on these days.
select
    currency,
    min(source) as source,
    count(*) filter (is_refund) as refunds,
    sum(amount) filter (is_refund)::decimal(18, 2) as refunded,
    coalesce(sum(amount) filter (not is_refund), 0)::decimal(18, 2) as income
from (
    select o.*, o.classification = 'refund' and o.type = 'expense' as is_refund
    from operations o
    cross join settings s
    where o.day between $first and $last and o.account is distinct from s.stock_account
        and (o.type = 'income' or o.classification = 'refund')
)
group by currency, coalesce(normal_name(source), '')
having refunds > 0
order by refunded desc, source
