-- One row: how many operations share a transaction or an externalId with another one, and how many there are.
select
    count(*) - least(count(distinct transaction_id), count(distinct external_id)) as wrong,
    count(*) as operations
from operations
