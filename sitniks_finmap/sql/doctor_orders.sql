-- doctor's analysis of the latest orders: `told` (text) are the verbatim rows of the list, `known` (id, title) the
-- statuses of the company, `listed` (stage, status) the configured ones.

-- One row is one order.
create or replace temp table page as
select
    payload,
    text_of(coalesce(json_extract(payload, '$.status'), json_extract(payload, '$.orderStatus'))) as status,
    text_of(coalesce(json_extract(payload, '$.status.id'), json_extract(payload, '$.statusId'))) as status_id,
    instant_of(text_of(json_extract(payload, '$.createdAt')), 'UTC') as filed_at,
    coalesce(json_array_length(payload, '$.products'), 0) as lines,
    len(list_filter(json_extract(payload, '$.products[*].costPrice'), lambda v : json_type(v) <> 'NULL')) as costs,
    len(list_filter(json_extract(payload, '$.products[*].quantity'), lambda v : json_type(v) <> 'NULL')) as quantities
from (select if(json_valid(text), text, 'null')::json as payload from told);

-- One row is one status of the company, or of an order: how many orders have it, and its stage.
create or replace temp view statuses as
with counted as (
    select status_id, status, count(*) as orders from page where coalesce(status_id, status) is not null group by all
),
every as (
    select k.id, k.title, coalesce(sum(c.orders), 0)::integer as orders
    from known k
    left join counted c on c.status_id = k.id
        or (c.status_id is null and normal_name(c.status) = normal_name(k.title))
    group by all
    union all
    select c.status_id, coalesce(c.status, c.status_id), c.orders
    from counted c
    where not exists (
        from known k
        where k.id = c.status_id or (c.status_id is null and normal_name(c.status) = normal_name(k.title))
    )
)
select
    e.id,
    e.title,
    e.orders,
    coalesce(
        any_value(l.stage) filter (trim(l.status) = e.id),
        any_value(l.stage) filter (normal_name(l.status) = normal_name(e.title))
    ) as stage
from every e
left join listed l on trim(l.status) = e.id or normal_name(l.status) = normal_name(e.title)
group by all
order by e.orders desc, e.title;

-- One row is the name of one field of an order, of its payment or of its lines that is not known, and how many orders
-- have it. Names that look like anything else are left out: they might be a customer's.
create or replace temp view unknown_fields as
with names as (
    select payload, unnest(json_keys(payload)) as name, '' as place from page where json_type(payload) = 'OBJECT'
    union all
    select payload, unnest(json_keys(payload, '$.payment')), 'payment.'
    from page where json_type(payload, '$.payment') = 'OBJECT'
    union all
    select payload, unnest(json_keys(line)), 'products.'
    from (select payload, unnest(json_extract(payload, '$.products[*]')) as line from page)
    where json_type(line) = 'OBJECT'
)
select place || name as name, count(distinct payload) as orders
from names
where regexp_full_match(name, '[A-Za-z][A-Za-z0-9_]*')
    and length(name) <= 40
    and place || name not in (
        'id', 'orderNumber', 'externalId', 'createdAt', 'updatedAt', 'status', 'orderStatus', 'statusId', 'client',
        'salesChannel', 'responsible', 'managerComment', 'totalPrice', 'totalPriceDiscount', 'payment',
        'cashOnDelivery', 'products', 'currency', 'paymentMethod', 'settlementAccount', 'delivery',
        'payment.amount',
        'products.title', 'products.quantity', 'products.price', 'products.offerPriceDiscount', 'products.costPrice',
        'products.productVariation'
    )
group by all
order by orders desc, name;
