-- One row if any listed transaction or order (`shown`) is known, by its ID and its dates, because two shops may use the
-- same IDs.
select s.id
from (select id::varchar as id, text::varchar as text from shown) s
join (
    select transaction_id as id, payload from latest_transactions where gone_at is null
    union all
    select o.order_id, o.payload from latest_orders o join settings on source = 'orders' where o.gone_at is null
) t on t.id = s.id
where list_transform(
    if(json_valid(s.text), json_extract(s.text, ['$.createdAt', '$.date']), []), lambda stamp : text_of(stamp)
) = list_transform(json_extract(t.payload, ['$.createdAt', '$.date']), lambda stamp : text_of(stamp))
limit 1
