-- One row is one day: how many transactions and versions of them it has, and whether it could not be read.
select
    day,
    count(distinct transaction_id) as rows,
    count(transaction_id) as versions,
    (count(u.day) > 0)::int as unread
from (from raw_sitniks_transactions where day between $first and $last)
full join (from unread_days where resource = 'transactions' and day between $first and $last) u using (day)
group by all
