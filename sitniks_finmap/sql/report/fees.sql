-- One row is one marketplace in one currency: what was sold there on the days from $first to $last, what it charged for
-- it, and the same of the days before ($before_first to $before_last).
select
    currency,
    min(source) as source,
    coalesce(sum(amount) filter (is_sale and is_now), 0)::decimal(18, 2) as sales,
    coalesce(sum(amount) filter (not is_sale and is_now), 0)::decimal(18, 2) as fees,
    coalesce(sum(amount) filter (is_sale and not is_now), 0)::decimal(18, 2) as sales_before,
    coalesce(sum(amount) filter (not is_sale and not is_now), 0)::decimal(18, 2) as fees_before
from (
    select *, day between $first and $last as is_now, classification = 'marketplace_sale' as is_sale
    from operations
    where (day between $first and $last or day between $before_first and $before_last)
        and (
            (classification = 'marketplace_sale' and type = 'income')
            or (classification = 'marketplace_commission' and type = 'expense')
        )
)
group by currency, coalesce(normal_name(source), '')
order by sales desc, source
