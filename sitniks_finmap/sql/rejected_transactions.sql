-- One row is one live transaction that cannot become an operation, with the reason.
delete from rejected_transactions
where transaction_id in (select transaction_id from derived_transactions)
    or transaction_id not in (select transaction_id from latest_records where gone_at is null);

insert into rejected_transactions by name
select
    transaction_id,
    day,
    reason,
    written,
    payload,
    raw_version,
    order_key,
    order_version,
    settlement_account_id,
    settlement_account,
    mapped_by
from derived_transactions
where reason is not null;
