-- Version 5. A status keeps its stage when it is renamed; what changed lists bring is held order by order. The fields of
-- an order are read once, when it is stored; those of the orders stored already, by the next derivation.
alter table order_statuses add column status_id varchar;
comment on column order_statuses.status_id is 'Its ID in Sitniks: a status that is renamed there keeps its stage.';
create table status_titles (title varchar not null, status_id varchar not null, primary key (title, status_id));

create table restaged_orders (order_id varchar primary key);
insert into restaged_orders
select distinct order_key
from operations
where order_key is not null
    and occurred_at <= (select held_until from held_statuses)
    and transaction_id not in (select transaction_id from finmap_upload);
drop table held_statuses;

alter table raw_sitniks_orders add column fields struct(
    order_number varchar,
    status varchar,
    status_id varchar,
    counterparty varchar,
    channel varchar,
    channel_id varchar,
    payment_method varchar,
    delivery varchar,
    currency varchar,
    created_at varchar,
    updated_at varchar,
    total decimal(18, 2),
    total_fault varchar,
    prepayment decimal(18, 2),
    cost decimal(18, 2)
);
comment on column raw_sitniks_orders.fields is 'With source = "orders": the fields of the payload from which operations follow, as they were read; null if it is no record.';
