-- One row: how many of the listed rows (`told`) are outside the requested window by their own timestamp, and how many
-- by createdAt, which the list filters by. A day on each side allows for time zones.
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
