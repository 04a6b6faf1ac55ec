-- One row is one kind of difference on one day, with the number of records.
select
    day,
    kind,
    explained,
    count(*) as records,
    coalesce(any_value(external_id), any_value(transaction_id)) as for_example
from differences
where day between $first and $last
group by all
