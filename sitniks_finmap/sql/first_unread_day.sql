-- The first day from $first to $last that was neither read completely nor failed since it ended: a first import that
-- died resumes there. A failed day is retried separately (see months_to_read_again), so that it does not make every
-- sync read everything after it.
select min(d.day)::date as day
from generate_series($first::date, $last::date, interval 1 day) d(day)
cross join (
    select unnest(if(
        (from main_source) = 'orders', ['orders'], ['transactions', 'orders']
    )) as resource
) r
left join complete_reads c on c.resource = r.resource and c.day = d.day
left join unread_days u on u.resource = r.resource and u.day = d.day
where coalesce(greatest(c.read_at, u.tried_at), timestamptz '-infinity') < timezone($zone, d.day + interval 1 day)
