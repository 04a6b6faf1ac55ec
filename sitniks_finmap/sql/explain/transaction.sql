-- One row: the transaction of the operation with this externalId, as printed by preview.
select transaction_id from finmap_upload where external_id = $external_id
union all
select transaction_id from operations where external_id = $external_id
