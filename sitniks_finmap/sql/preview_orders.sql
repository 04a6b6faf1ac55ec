-- One row is one kind of operation that the orders with one status would become: how many orders, and the sum. `held`:
-- only because the lists of statuses changed.
from (
    select
        coalesce(st.status, '–') as status,
        st.stage as stage,
        if(o.classification in ('cost_of_goods', 'restock'), o.classification, o.type) as becomes,
        coalesce(p.kind = 'status_lists', false) as held,
        count(distinct o.order_key) as orders,
        sum(o.amount) as amount
    from previewed p
    join operations o using (transaction_id)
    join order_stages st on st.order_id = o.order_key and st.version = o.order_version
    where p.action in ('create', 'recreate') and p.standing <> 'kept'
    group by all
)
order by
    held,
    list_position(['paid', 'prepaid', 'partly_refunded', 'refunded', 'cancelled', 'none'], stage),
    status,
    list_position(['income', 'expense', 'cost_of_goods', 'restock'], becomes)
