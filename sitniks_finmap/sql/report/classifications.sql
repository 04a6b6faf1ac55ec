-- One row is one classification and type of operations in one currency, without the stock: of the days from $first to
-- $last, and of the days before.
select
    currency,
    classification,
    type,
    count(*) filter (is_now) as records,
    coalesce(sum(amount) filter (is_now), 0)::decimal(18, 2) as amount,
    coalesce(sum(amount) filter (not is_now), 0)::decimal(18, 2) as amount_before
from (
    select o.*, o.day between $first and $last as is_now
    from operations o
    cross join settings s
    where o.account is distinct from s.stock_account
        and (o.day between $first and $last or o.day between $before_first and $before_last)
)
group by currency, classification, type
order by type desc, amount desc, amount_before desc, classification
