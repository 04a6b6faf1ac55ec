-- One row: how many of the rows that a list showed (`told`) lie outside of the window that was asked for, by the stamp
-- of their own, and how many of them by createdAt, which the list filters by. A day to each side is for time zones.
select
    count(*) filter (created_at < first or created_at > last) as by_created_at,
    count(*) filter (coalesce(created_at, dated) < first or coalesce(created_at, dated) > last) as outside,
    count(*) as rows
from (
    select
        $start::timestamptz - interval 1 day as first,
        $end::timestamptz + interval 1 day as last,
        instants[1] as created_at,
        instants[2] as dated
    from (
        select list_transform(
            list_transform(
                if(json_valid(text::varchar), json_extract(text::varchar, ['$.createdAt', '$.date']), []),
                lambda value : text_of(value)
            ),
            lambda stamp : instant_of(stamp, $zone)
        ) as instants
        from told
    )
)
