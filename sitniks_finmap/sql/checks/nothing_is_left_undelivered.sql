-- One row: how many operations failed or were refused by Finmap, and how many are backlog.
select
    count(*) filter (l.state in ('failed', 'refused')) as wrong,
    count(*) filter (l.state = 'failed') as failed,
    count(*) filter (l.state = 'refused') as refused,
    count(*) filter (l.state is null) as backlog,
    min(transaction_id) filter (l.state in ('failed', 'refused')) as for_example
from operations o
left join current_uploads l using (transaction_id)
