-- One row if any listed transaction (`shown`) is known, by its ID and its dates, because two shops may use the same
-- transaction IDs.
select s.id
from (select id::varchar as id, text::varchar as text from shown) s
join latest_transactions t on t.transaction_id = s.id and t.gone_at is null
where list_transform(
    if(json_valid(s.text), json_extract(s.text, ['$.createdAt', '$.date']), []), lambda stamp : text_of(stamp)
) = list_transform(json_extract(t.payload, ['$.createdAt', '$.date']), lambda stamp : text_of(stamp))
limit 1
