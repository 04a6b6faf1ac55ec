-- One row is one reason why people keep operations of the days from $first to $last out of Finmap, with their number.
select why, count(*) as operations
from (
    select day, why from planned where standing = 'kept' and action in ('create', 'recreate')
    union all
    select day, 'skipped by catch-up' from skipped_operations
)
where day between $first and $last
group by all
order by all
