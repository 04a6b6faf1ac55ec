-- One row: when a day of transactions was read completely for the first time, and a recent one (from $recent_day on) last.
select
    min(read_at) as first_read,
    max(read_at) filter (day >= $recent_day) as last_read
from complete_reads
where resource = 'transactions'
