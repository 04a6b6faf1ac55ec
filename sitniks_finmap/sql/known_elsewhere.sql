-- One row is a transaction of a complete read (told) that was last seen as a different record on a day outside the
-- requested window, and that day: it was moved, or two records share an id. Each record with a shared id counts.
select distinct k.id, timezone($zone, k.instant)::date as day
from (
    select id, list_transform(
        list_transform(json_extract(record, ['$.createdAt', '$.date']), lambda value : text_of(value)),
        lambda stamp : sensible(instant_of(stamp, $zone))
    ) as instants, coalesce(instants[1], instants[2]) as instant
    from (
        select t.id, t.text, unnest(
            if(json_type(l.payload) = 'ARRAY', json_extract(l.payload, '$[*]'), [l.payload])
        )::varchar as record
        from (select id::varchar as id, amount::varchar as amount, text::varchar as text from told) t
        join latest_transactions l on l.transaction_id = t.id
        where l.gone_at is null and l.content_hash <> transaction_hash(t.text, t.amount) and not starts_with(t.id, '?')
    )
    where record <> text
) k
where k.instant not between $start and $end
order by day, id
