-- One row is one part of the order, or the order as a whole: its operation, or why it was rejected or is unbooked.
select
    transaction_id,
    o.type,
    o.amount,
    strftime(o.occurred_at, '%Y-%m-%d %H:%M:%S') as occurred,
    coalesce(a.label, o.account) as account,
    o.comment,
    coalesce('rejected: ' || r.reason, 'unbooked: ' || u.reason) as why
from (select unnest($transaction_ids) as transaction_id)
left join operations o using (transaction_id)
left join finmap_accounts a on a.account = o.account
left join rejected_transactions r using (transaction_id)
left join unbooked_orders u on 'order-' || u.order_id || coalesce('.' || u.part, '') = transaction_id
where o.transaction_id is not null or r.reason is not null or u.reason is not null
order by list_position($transaction_ids, transaction_id)
