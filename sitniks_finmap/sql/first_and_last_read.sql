-- One row: when a day of transactions was first read completely, and when a recent one (from $recent_day on) was last.
select
    min(read_at) as first_read,
    max(read_at) filter (day >= $recent_day) as last_read
from complete_reads
where resource = (from main_source)
