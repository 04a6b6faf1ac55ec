-- Version 4. Orders as a source of operations. A record gets a new version only when a field that we read changed.
alter table settings add column source varchar default 'transactions';
alter table settings add column stock_account varchar;
alter table settings add column restock_on_refund boolean default true;
alter table settings add column history_date varchar default 'created';
alter table settings add column first_read_day date;
update settings set first_read_day = start_date;

create table order_statuses (status varchar not null, stage varchar not null);
create table held_statuses (held_until timestamptz not null);

create table order_stages (
    order_id varchar not null,
    version integer not null,
    status varchar,
    status_id varchar,
    stage varchar not null,
    since timestamptz,
    known_by varchar not null check (known_by in ('created', 'updated', 'seen', 'finmap')),
    total decimal(18, 2),
    total_fault varchar,
    prepayment decimal(18, 2),
    cost decimal(18, 2),
    meaning_hash varchar
);
comment on table order_stages is 'One row is one version of one order: the stage that its status means, since when, and the money it named. With source = "orders", operations follow from it.';
comment on column order_stages.order_id is 'Sitniks'' order id.';
comment on column order_stages.version is 'The version of the order; zero or less: read back from Finmap after the file was lost.';
comment on column order_stages.status is 'Title of its status.';
comment on column order_stages.status_id is 'ID of its status, if Sitniks gives one.';
comment on column order_stages.stage is 'paid, prepaid, refunded, partly_refunded or cancelled, as the connection lists the status; none: it is in no list.';
comment on column order_stages.since is 'When this version was first known: the date of the money if the stage begins with it.';
comment on column order_stages.known_by is 'How: created, updated (the order''s own date, an estimate for orders that had a history when first read), seen (by us), finmap (the date in Finmap).';
comment on column order_stages.total is 'What the order costs after discounts.';
comment on column order_stages.total_fault is 'Why the total is unreadable, or null.';
comment on column order_stages.prepayment is 'The declared prepayment.';
comment on column order_stages.cost is 'Cost of the goods; null if the cost or quantity of a line is missing.';
comment on column order_stages.meaning_hash is 'settings.meaning_hash when operations were derived from it; null: not yet.';

create table unbooked_orders (
    order_id varchar not null,
    part varchar,
    order_number varchar,
    day date,
    status varchar,
    reason varchar not null,
    total decimal(18, 2)
);
comment on table unbooked_orders is 'One row is one live order, or one part of it, for which there is no operation, with the reason. With source = "orders".';
comment on column unbooked_orders.order_id is 'Sitniks'' order id.';
comment on column unbooked_orders.part is 'The part (cogs, partial …) without an operation; null: the whole order.';
comment on column unbooked_orders.order_number is 'Order number.';
comment on column unbooked_orders.day is 'Local day on which the order was created.';
comment on column unbooked_orders.status is 'Title of its status, as last known.';
comment on column unbooked_orders.reason is 'Why, in our own words.';
comment on column unbooked_orders.total is 'What the order costs after discounts.';

update raw_sitniks_transactions
set content_hash = transaction_hash(payload::varchar, amount)
where json_type(payload) = 'OBJECT';
update raw_sitniks_orders set content_hash = order_hash(payload::varchar) where json_type(payload) = 'OBJECT';
comment on table raw_sitniks_transactions is 'One row is one version of one Sitniks transaction, exactly as Sitniks returned it. If a field that we read changes, that is a new version; nothing is overwritten.';
comment on column raw_sitniks_transactions.content_hash is 'MD5 of the fields of the payload that we read: a change of others makes no new version.';
comment on table raw_sitniks_orders is 'One row is one version of one Sitniks order, exactly as Sitniks returned it. It contributes status, number, client and sales channel to comments; with source = "orders", operations are derived from it.';
comment on column raw_sitniks_orders.content_hash is 'MD5 of the fields of the payload that we read: a change of others makes no new version.';

create table other_operations (
    looked_at timestamptz not null,
    income integer not null,
    expense integer not null
);
comment on table other_operations is 'One row, once Finmap was searched for operations of others: how many the accounts of the money had in the 30 days before. Looked at once a week; empty with bank_feed = "accepted".';
comment on column other_operations.looked_at is 'When Finmap was asked.';
comment on column other_operations.income is 'Incomes that no connection of ours posted, such as those of a bank feed or a person.';
comment on column other_operations.expense is 'Expenses that no connection of ours posted.';

comment on table operations is 'One row is one live Sitniks transaction, or one part of a live order, as Finmap should have it: the desired state, which can be derived again at any time.';
comment on column operations.transaction_id is 'Sitniks'' id; of a part of an order, as in order-50123.sale.';
comment on column operations.classification is 'The kind of payment, by the first matching rule or the part of the order.';
comment on table rejected_transactions is 'One row is one live transaction, order or part of an order that cannot become an operation, with the reason; it is retried once corrected in Sitniks.';
comment on column finmap_upload.transaction_id is 'Sitniks'' id; of a part of an order, as in order-50123.sale.';
comment on column finmap_upload.day is 'Local day of the transaction, or of the order''s money; the partition.';
comment on column reconciliation.day is 'Local day of the transaction, or of the order''s money; the partition.';
comment on column reconciliation.sitniks_income_count is 'Income operations derived from Sitniks.';
comment on column reconciliation.sitniks_expense_count is 'Expense operations derived from Sitniks.';
