-- One row is one operation as Finmap shows it, the five largest of each day.
select l.day, external_id, f.type, f.amount::varchar as amount, l.state
from finmap_operations f
join finmap_upload l using (external_id)
where l.day between $first and $last
qualify row_number() over (partition by l.day order by f.amount desc, external_id) <= 5
