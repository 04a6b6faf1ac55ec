-- One row is one span of days, of those from $first_day to $last_day, to be listed from Finmap now. With transactions as
-- the source, or at most $few operations, all of them. With orders, whose window is weeks long: the last $recent days, the
-- days with anything written and not seen since, those not listed for $longest, and a share of the others, least recently
-- listed first, so that $rounds runs list them all. An operation that a person moved to another day is looked up by its key meanwhile.
with known as (
    select day, min(read_at) as read_at, count(read_at) as operations, bool_or(unsure) as unsure
    from (
        select timezone(s.timezone, f.occurred_at)::date as day, f.read_at, false as unsure
        from finmap_operations f
        cross join settings s
        union all
        select day::date, null, true
        from generate_series($last_day::date - ($recent - 1)::integer, $last_day::date, interval 1 day) days(day)
        union all
        select l.day, null, true
        from finmap_upload l
        left join (select distinct external_id from finmap_operations) f on f.external_id = l.external_id
        where l.state = 'sent'
            or len(l.intents) > 0
            or (l.state = 'verified' and (
                len(l.unseen) > 0 or len(l.owed) > 0 or (f.external_id is null and l.missing_since is null)
            ))
        union all
        -- What a person deleted may be restored: in turn, and always when older days are read again.
        select l.day, null, true
        from finmap_upload l
        cross join settings s
        where l.state in ('deleted', 'rolled_back')
            and (
                hash(l.day) % 17 = (epoch($now)::bigint // 3600) % 17
                or $last_day < timezone(s.timezone, $now)::date - s.lookback_days
            )
    )
    where day between $first_day and $last_day
    group by all
),
ranked as (
    select *, row_number() over (order by day) as place, sum(operations) over () as total
    from known
),
stalest as (
    select place from ranked where not unsure order by read_at, day limit 1
),
chosen as (
    select day, place - row_number() over (order by place) as island
    from (
        select
            r.*,
            r.place >= stalest.place and (r.place = stalest.place or sum(r.operations) filter (r.place >= stalest.place)
                over (order by r.place) - r.operations < greatest($few // 2, r.total // $rounds)) as its_turn
        from ranked r
        left join stalest on true
    )
    where unsure or coalesce(its_turn, false) or read_at <= $now - $longest
),
whole as (
    select s.source <> 'orders' or coalesce((select any_value(total) from ranked), 0) <= $few as everything
    from settings s
)
select $first_day::date as first_day, $last_day::date as last_day
from whole
where everything
union all
select min(day), max(day)
from chosen
cross join whole
where not everything
group by island
order by first_day
