-- One row: the next moment after $now at which time alone changes what `status` shows; null if there is none.
select min(moment) as moment
from (
    select due_at as moment from planned where due_at > $now
    union all
    select sent_at + $seen_within::interval from current_uploads where state = 'sent'
    union all
    select read_at + $read_again_within::interval from complete_reads where resource = (from main_source)
)
where moment >= $now
