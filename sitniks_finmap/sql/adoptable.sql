-- One row is one of $transaction_ids whose operation in Finmap may be considered ours although the ledger does not know
-- its key. A server may lowercase keys.
select distinct told.transaction_id
from (select unnest($transaction_ids::varchar[]) as transaction_id) told
join latest_records t
    on t.transaction_id = told.transaction_id
    or lower(url_encode(t.transaction_id)) = lower(url_encode(told.transaction_id))
left join current_uploads l on l.transaction_id = t.transaction_id
where l.state is null or is_out(l.state) or exists (from rebuilt_ledger)
