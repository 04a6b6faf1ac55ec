-- Version 5. A status keeps its stage when it is renamed; what changed lists bring is held order by order.
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
