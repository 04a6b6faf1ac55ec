-- One row is one day with known transactions or, with orders as the source, orders; the latest first.
select distinct day
from (
    select day from latest_transactions where gone_at is null
    union all
    select o.day from latest_orders o join settings on source = 'orders' where o.gone_at is null
)
order by day desc
