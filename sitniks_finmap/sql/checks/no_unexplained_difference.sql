-- One row: how many records differ between Sitniks and Finmap without a known reason, and how they differ.
select
    count(*) filter (not explained) as wrong,
    count(*) filter (kind = 'missing') as missing,
    count(*) filter (kind = 'unexpected') as unexpected,
    count(*) filter (not explained and kind not in ('missing', 'unexpected')) as different,
    count(*) filter (explained) as explained,
    coalesce(sum(f.amount) filter (not explained and kind = 'unexpected'), 0) as difference,
    coalesce(min(transaction_id) filter (not explained), min(external_id) filter (not explained)) as for_example
from differences d
left join (select external_id, sum(amount) as amount from finmap_operations group by all) f using (external_id)
