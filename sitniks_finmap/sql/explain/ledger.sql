-- One row is one generation of an operation of these transactions: what was sent to Finmap, or was to be sent.
select
    external_id,
    state,
    coalesce(written, shown, refused, intents[1]).type as type,
    coalesce(written, shown, refused, intents[1]).amount as amount,
    attempts,
    strftime(missing_since, '%Y-%m-%d %H:%M') as missing,
    last_error,
    strftime(next_attempt_at, '%Y-%m-%d %H:%M') as due
from finmap_upload
where list_contains($transaction_ids, transaction_id)
order by list_position($transaction_ids, transaction_id), generation
