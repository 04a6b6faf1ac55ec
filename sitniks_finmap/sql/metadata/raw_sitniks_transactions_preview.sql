-- One row is one version of a transaction, five of each day.
select
    day,
    transaction_id,
    version,
    if(amount_of(amount, false) is null, 'unreadable', amount) as amount,
    strftime(first_seen_at, '%Y-%m-%d %H:%M') as first_seen_utc
from raw_sitniks_transactions
where day between $first and $last
qualify row_number() over (partition by day order by transaction_id, version) <= 5
