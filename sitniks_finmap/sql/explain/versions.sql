-- One row is one version of the transaction.
select
    version,
    strftime(first_seen_at, '%Y-%m-%d %H:%M') as first_seen,
    strftime(last_seen_at, '%Y-%m-%d %H:%M') as last_seen,
    run_id,
    strftime(missing_at, '%Y-%m-%d %H:%M') as missing,
    strftime(gone_at, '%Y-%m-%d %H:%M') as gone,
    payload
from raw_sitniks_transactions
where transaction_id = $transaction_id
order by version
