-- One row: the transaction of the operation with this externalId, as preview prints it.
select transaction_id from finmap_upload where external_id = $external_id
union all
select transaction_id from operations where external_id = $external_id
