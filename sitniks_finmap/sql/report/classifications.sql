-- One row is one classification and type of operations in one currency, without the stock: of the days of the
-- report, and of the days before.
select
    currency,
    classification,
    type,
    count(*) filter (is_now) as records,
    coalesce(sum(amount) filter (is_now), 0)::decimal(18, 2) as amount,
    coalesce(sum(amount) filter (not is_now), 0)::decimal(18, 2) as amount_before
from report_operations
group by currency, classification, type
order by type desc, amount desc, amount_before desc, classification
