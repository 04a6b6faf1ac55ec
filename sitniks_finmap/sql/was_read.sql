-- One row: whether what a person named was ever read from Sitniks: a $transaction (its ID, the ID of a part of an order, or
-- the externalId of its operation) or the $order with this ID.
select case
    when $order::varchar is not null then exists (from latest_orders where order_id = $order)
    else exists (from latest_records where transaction_id = $transaction)
        or exists (from finmap_upload where $transaction in (transaction_id, external_id))
        or exists (from operations where external_id = $transaction)
end
