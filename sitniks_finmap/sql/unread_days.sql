-- Records that these days of one resource could not be read at $now, keeping failing_since.
insert into unread_days
select $resource, day::date, $now, $now, $forbidden, $reason
from generate_series($first::date, $last::date, interval 1 day) days(day)
on conflict do update set
    tried_at = excluded.tried_at, forbidden = excluded.forbidden, reason = excluded.reason
