-- The tables of one connection's warehouse. Instants are timestamptz in UTC, days are dates in the connection's zone,
-- money is decimal(18, 2). A change here needs a step in migrations/ and a higher SCHEMA_VERSION in schema.py.

create table schema_version (version integer not null);

-- One row: the connection's settings that the SQL needs, so that any SQL shell can rerun it.
create table settings (
    connection varchar not null,
    timezone varchar not null,
    comment_fields varchar[] not null,
    source_as_tag boolean not null,
    on_change varchar not null,
    on_delete varchar not null,
    max_change_share double not null,
    first_import varchar not null,
    start_date date not null,
    unmapped_accounts varchar default 'default',
    sitniks_url varchar not null,
    finmap_url varchar not null,
    meaning_hash varchar,
    lookback_days integer not null default 7,
    key_prefix varchar,
    source varchar default 'transactions',
    stock_account varchar,
    restock_on_refund boolean default true,
    history_date varchar default 'created',
    first_read_day date
);
comment on column settings.meaning_hash is 'Hash of every setting that affects operations; rows derived under another hash are derived again.';
comment on column settings.key_prefix is 'The first part of every externalId in Finmap: the connection''s name, or its name before it was renamed.';

-- One row is the last key of one side (sitniks, finmap) verified as that of the company that filled this file.
create table identity (
    side varchar primary key,
    salt varchar not null,
    key_hash varchar not null,
    proven_at timestamptz not null,
    how varchar not null check (how in ('first', 'examined', 'accepted'))
);
comment on column identity.key_hash is 'BLAKE2 of the salt and the key: tells only whether the key is the same.';
comment on column identity.how is 'first (nothing was known yet), examined (known data was found), accepted (by a person, with accept-key).';

-- One row: the installation that writes to Finmap from this file, and the number of its last mark there.
create table installation (installation_id varchar not null, mark integer not null);

-- One row is one classification rule; the matching rule with the lowest position wins.
create table classification_rules (
    position integer not null,
    classification varchar not null,
    sign varchar,
    sources varchar[] not null,
    descriptions varchar[] not null
);

-- One row is one Sitniks settlement account (ID or title) or, from orders, one sales channel, and the Finmap account it
-- goes to; null = all others.
create table account_mapping (settlement_account varchar, account varchar not null, currency varchar not null);

-- One row is one order status (ID or title) and the stage of the orders that have it.
create table order_statuses (status varchar not null, stage varchar not null, status_id varchar);
comment on column order_statuses.status_id is 'Its ID in Sitniks: a status that is renamed there keeps its stage.';

-- One row is one title that a status had, each time Sitniks was asked for its statuses.
create table status_titles (title varchar not null, status_id varchar not null, primary key (title, status_id));

-- One row is the Finmap category of one classification and type.
create table category_mapping (classification varchar not null, type varchar not null, category varchar not null);

-- One row is one Finmap account that the key may write to, as last read.
create table finmap_accounts (account varchar not null, label varchar not null, currency varchar not null);

-- One row says that a day of one resource was read completely.
create table complete_reads (
    resource varchar not null,
    day date not null,
    read_at timestamptz not null,
    run_id varchar,
    primary key (resource, day)
);

-- One row is one kind of run (sync, deliver, preview, partial) or one step of a run: how it last ended, and whether it
-- was started again since. A start without a later end is in progress, or was killed.
create table last_runs (
    what varchar primary key,
    run_id varchar,
    started_at timestamptz not null,
    ended_at timestamptz,
    error varchar,
    succeeded_at timestamptz
);
comment on column last_runs.run_id is 'Dagster run of the last start.';
comment on column last_runs.started_at is 'The last start.';
comment on column last_runs.ended_at is 'The last end.';
comment on column last_runs.succeeded_at is 'The last end without an error.';
comment on column last_runs.error is 'Why it failed when it last ended; null if it did not. Contains no key and no customer data.';
-- One row is one day of one resource (transactions, orders) whose last read failed; a complete read takes it out.
create table unread_days (
    resource varchar not null,
    day date not null,
    failing_since timestamptz not null,
    tried_at timestamptz not null,
    forbidden boolean not null,
    reason varchar not null,
    primary key (resource, day)
);

create table raw_sitniks_transactions (
    transaction_id varchar not null,
    version integer not null,
    day date not null,
    amount varchar,
    payload json not null,
    content_hash varchar not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    run_id varchar,
    gone_at timestamptz,
    seen_from timestamptz,
    seen_to timestamptz,
    missing_at timestamptz,
    primary key (transaction_id, version)
);
comment on table raw_sitniks_transactions is 'One row is one version of one Sitniks transaction, exactly as Sitniks returned it. If a field that we read changes, that is a new version; nothing is overwritten.';
comment on column raw_sitniks_transactions.transaction_id is 'Sitniks'' id; for a record without one, ? and the hash of its text.';
comment on column raw_sitniks_transactions.version is '1, 2, 3 … for each transaction; the highest is the latest.';
comment on column raw_sitniks_transactions.day is 'Local day of the timestamp that the API filters by: createdAt, else date, else (or if that is implausible) the first day of the window in which it was read.';
comment on column raw_sitniks_transactions.amount is 'The amount as Sitniks wrote it, digit for digit (JSON functions would read a number through a float).';
comment on column raw_sitniks_transactions.payload is 'The transaction as Sitniks returned it, verbatim.';
comment on column raw_sitniks_transactions.content_hash is 'MD5 of the fields of the payload that we read: a change of others makes no new version.';
comment on column raw_sitniks_transactions.first_seen_at is 'When this version was first read.';
comment on column raw_sitniks_transactions.last_seen_at is 'When this version was last read.';
comment on column raw_sitniks_transactions.run_id is 'Dagster run that read this version first.';
comment on column raw_sitniks_transactions.gone_at is 'When a second complete read, in a later run, did not have it; null while it is live.';
comment on column raw_sitniks_transactions.seen_from is 'Start of the narrowest window whose lists showed it: the timestamp that the API filters by is in this window.';
comment on column raw_sitniks_transactions.seen_to is 'End of that window.';
comment on column raw_sitniks_transactions.missing_at is 'When a complete read first did not have it; cleared when a later read has it.';

create table raw_sitniks_orders (
    order_id varchar not null,
    version integer not null,
    day date not null,
    payload json not null,
    content_hash varchar not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    run_id varchar,
    gone_at timestamptz,
    fields struct(
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
    ),
    primary key (order_id, version)
);
comment on table raw_sitniks_orders is 'One row is one version of one Sitniks order, exactly as Sitniks returned it. It contributes status, number, client and sales channel to comments; with source = "orders", operations are derived from it.';
comment on column raw_sitniks_orders.order_id is 'Sitniks'' order id.';
comment on column raw_sitniks_orders.version is '1, 2, 3 … for each order; the highest is the latest.';
comment on column raw_sitniks_orders.day is 'Local day on which the order was created.';
comment on column raw_sitniks_orders.payload is 'The order as Sitniks returned it, verbatim.';
comment on column raw_sitniks_orders.content_hash is 'MD5 of the fields of the payload that we read: a change of others makes no new version.';
comment on column raw_sitniks_orders.first_seen_at is 'When this version was first read.';
comment on column raw_sitniks_orders.last_seen_at is 'When this version was last read.';
comment on column raw_sitniks_orders.run_id is 'Dagster run that read this version first.';
comment on column raw_sitniks_orders.gone_at is 'When Sitniks said for a second time, at least ten minutes later, that it does not exist; the status stays as last known.';
comment on column raw_sitniks_orders.fields is 'With source = "orders": the fields of the payload from which operations follow, as they were read; null if it is no record.';

-- One row is one order whose last read by ID failed: Sitniks has no such order (missing), or could not return it. It
-- stays as last known and is retried less and less often.
create table order_tries (
    order_id varchar primary key,
    missing boolean not null,
    failing_since timestamptz not null,
    tried_at timestamptz not null,
    reason varchar not null
);

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

create table operations (
    transaction_id varchar not null,
    external_id varchar not null,
    day date not null,
    occurred_at timestamptz not null,
    type varchar not null,
    amount decimal(18, 2) not null,
    currency varchar not null,
    classification varchar not null,
    rule integer,
    account varchar not null,
    category varchar,
    tag varchar,
    description varchar,
    counterparty varchar,
    source varchar,
    order_number varchar,
    order_status varchar,
    payment_method varchar,
    delivery varchar,
    comment varchar not null using compression uncompressed,  -- to compress it costs as much as to derive it
    raw_version integer not null,
    order_key varchar,
    order_version integer,
    settlement_account_id varchar,
    settlement_account varchar,
    mapped_by varchar,
    meaning_hash varchar
);
comment on table operations is 'One row is one live Sitniks transaction, or one part of a live order, as Finmap should have it: the desired state, which can be derived again at any time.';
comment on column operations.transaction_id is 'Sitniks'' id; of a part of an order, as in order-50123.sale.';
comment on column operations.external_id is 'The operation''s idempotency key in Finmap: <key_prefix>:<transaction_id>, percent-encoded.';
comment on column operations.day is 'Local day of the timestamp that the API filters by; the partition.';
comment on column operations.occurred_at is 'The moment of payment, UTC.';
comment on column operations.type is 'income or expense, by the sign of the amount.';
comment on column operations.amount is 'Above zero, in the account''s currency.';
comment on column operations.currency is 'ISO code; UAH if Sitniks gives none.';
comment on column operations.classification is 'The kind of payment, by the first matching rule or the part of the order.';
comment on column operations.rule is 'classification_rules.position of that rule.';
comment on column operations.account is 'ID of the Finmap account.';
comment on column operations.category is 'ID of the Finmap category, if the connection maps one.';
comment on column operations.tag is 'Label of the Finmap tag, if the connection adds the source as a tag.';
comment on column operations.description is 'Sitniks'' description of the transaction; by default the beginning of the comment.';
comment on column operations.counterparty is 'Client''s name, email, Instagram nickname or client id.';
comment on column operations.source is 'Where the sale came from: Instagram, Rozetka, Prom.ua …';
comment on column operations.order_number is 'Order number.';
comment on column operations.order_status is 'Title of the order''s status, as last known.';
comment on column operations.payment_method is 'How it was paid.';
comment on column operations.delivery is 'Delivery method.';
comment on column operations.comment is 'The comment in Finmap: one line, at most 1,000 characters.';
comment on column operations.raw_version is 'The version of the transaction it was derived from.';
comment on column operations.order_key is 'order_id of the order it was joined with.';
comment on column operations.order_version is 'The version of that order.';
comment on column operations.settlement_account_id is 'Sitniks'' ID of the settlement account that received or paid the money.';
comment on column operations.settlement_account is 'Its title, or its ID if it has none.';
comment on column operations.mapped_by is 'The entry of the connection''s accounts setting that determined the Finmap account; null: the default account.';
comment on column operations.meaning_hash is 'settings.meaning_hash when it was derived.';

create table rejected_transactions (
    transaction_id varchar not null,
    day date not null,
    reason varchar not null,
    written varchar,
    payload json not null,
    raw_version integer not null,
    order_key varchar,
    order_version integer,
    settlement_account_id varchar,
    settlement_account varchar,
    mapped_by varchar
);
comment on table rejected_transactions is 'One row is one live transaction, order or part of an order that cannot become an operation, with the reason; it is retried once corrected in Sitniks.';
comment on column rejected_transactions.reason is 'Why, in our own words: it quotes nothing from the record, so it may appear in plans, metadata and messages.';
comment on column rejected_transactions.written is 'The beginning of the value at fault, as Sitniks has it. It may be personal data.';
comment on column rejected_transactions.settlement_account_id is 'Sitniks'' ID of the settlement account that received or paid the money.';
comment on column rejected_transactions.settlement_account is 'Its title, or its ID if it has none.';
comment on column rejected_transactions.mapped_by is 'The entry of the connection''s accounts setting that determines the Finmap account; null: the default account.';

-- The content of an operation on either side as one value: wanted, written, shown or intended.
create type content as struct(
    "type" varchar,
    amount decimal(18, 2),
    occurred_at timestamptz,
    account varchar,
    category varchar,
    tag varchar,
    "comment" varchar,
    project varchar,
    counterparty varchar
);

create table finmap_upload (
    external_id varchar primary key,
    transaction_id varchar not null,
    generation integer not null,
    day date not null,
    state varchar not null check (
        state in ('sent', 'verified', 'failed', 'refused', 'withdrawn', 'deleted', 'rolled_back')
    ),
    written content,
    shown content,
    unseen varchar[] not null default [],
    intents content[] not null default [],
    deleting varchar,
    deleting_at timestamptz,
    refused content,
    carried content,
    owed varchar[] not null default [],
    attempts integer not null default 0,
    last_error varchar,
    next_attempt_at timestamptz,
    sent_at timestamptz,
    applied_at timestamptz,
    verified_at timestamptz,
    looked_at timestamptz,
    missing_since timestamptz,
    run_id varchar
);
comment on table finmap_upload is 'The ledger: one row is one operation that was sent to Finmap. It makes delivery fast; the external_id makes it correct.';
comment on column finmap_upload.external_id is 'The operation''s idempotency key in Finmap.';
comment on column finmap_upload.transaction_id is 'Sitniks'' id; of a part of an order, as in order-50123.sale.';
comment on column finmap_upload.generation is '1, 2, 3 …; a new one each time the operation had to be created again.';
comment on column finmap_upload.day is 'Local day of the transaction, or of the order''s money; the partition.';
comment on column finmap_upload.state is 'sent (accepted, not seen since), verified (seen in Finmap), failed (will be retried), refused (by Finmap; retried once a day or when it changes), withdrawn (deleted by us), deleted (by a person in Finmap), rolled_back (deleted by rollback).';
comment on column finmap_upload.written is 'What Finmap last accepted; the tag is a label. Null if nothing is known to have been accepted, or the ledger was rebuilt from Finmap.';
comment on column finmap_upload.shown is 'What Finmap showed when first read after that: the base of every comparison. The tag is a list of IDs.';
comment on column finmap_upload.unseen is 'Fields written but not seen in Finmap since.';
comment on column finmap_upload.intents is 'Writes with an unknown outcome, oldest first; resolved by the next check.';
comment on column finmap_upload.deleting is 'withdraw, replace or rollback: a deletion that was started and not yet confirmed.';
comment on column finmap_upload.deleting_at is 'When that deletion started.';
comment on column finmap_upload.refused is 'What Finmap refused, in whole or in part.';
comment on column finmap_upload.carried is 'What a person had set on it when we deleted it: carried over to the next generation.';
comment on column finmap_upload.owed is 'Fields of carried that Finmap has not accepted yet.';
comment on column finmap_upload.attempts is 'Number of attempts.';
comment on column finmap_upload.last_error is 'Why the last attempt failed.';
comment on column finmap_upload.next_attempt_at is 'When it is due again: a failed operation is retried, one that Finmap only stored is looked up.';
comment on column finmap_upload.sent_at is 'When Finmap accepted it.';
comment on column finmap_upload.applied_at is 'When Finmap confirmed the last write as applied, not only stored.';
comment on column finmap_upload.verified_at is 'When it was last seen in Finmap.';
comment on column finmap_upload.looked_at is 'When it was last checked in Finmap, seen or not.';
comment on column finmap_upload.missing_since is 'When a check first did not show it; null while it is shown. One check proves nothing.';
comment on column finmap_upload.run_id is 'Dagster run of the last attempt.';

create table finmap_requests (
    requested_at timestamptz not null,
    run_id varchar,
    external_id varchar not null,
    method varchar not null,
    path varchar not null,
    http_status integer,
    outcome varchar not null,
    milliseconds integer not null,
    error varchar
);
comment on table finmap_requests is 'The audit log: one row is one write attempt at Finmap. It contains no key and no header.';

create table finmap_operations (
    external_id varchar not null,
    operation_id varchar,
    type varchar not null,
    amount decimal(18, 2) not null,
    occurred_at timestamptz not null,
    account varchar not null,
    category varchar,
    tag varchar,
    comment varchar not null,
    read_at timestamptz not null,
    project varchar,
    counterparty varchar
);
comment on table finmap_operations is 'One row is one operation of this connection as Finmap showed it when last read back.';
comment on column finmap_operations.external_id is 'Our idempotency key.';
comment on column finmap_operations.operation_id is 'Finmap''s own id.';
comment on column finmap_operations.type is 'income or expense.';
comment on column finmap_operations.amount is 'Finmap''s sum, in the account''s currency.';
comment on column finmap_operations.occurred_at is 'Finmap''s date, UTC.';
comment on column finmap_operations.account is 'ID of the Finmap account.';
comment on column finmap_operations.category is 'ID of the category.';
comment on column finmap_operations.tag is 'IDs of the tags, joined by commas.';
comment on column finmap_operations.comment is 'The comment as Finmap has it.';
comment on column finmap_operations.project is 'IDs of the projects, joined by commas.';
comment on column finmap_operations.counterparty is 'ID of the counterparty.';
comment on column finmap_operations.read_at is 'When it was read.';

create table other_operations (
    looked_at timestamptz not null,
    income integer not null,
    expense integer not null
);
comment on table other_operations is 'One row, once Finmap was searched for operations of others: how many the accounts of the money had in the 30 days before. Looked at once a week; empty with bank_feed = "accepted".';
comment on column other_operations.looked_at is 'When Finmap was asked.';
comment on column other_operations.income is 'Incomes that no connection of ours posted, such as those of a bank feed or a person.';
comment on column other_operations.expense is 'Expenses that no connection of ours posted.';

create table reconciliation (
    day date not null,
    account varchar not null,
    sitniks_income_count integer not null,
    sitniks_income_sum decimal(18, 2) not null,
    sitniks_expense_count integer not null,
    sitniks_expense_sum decimal(18, 2) not null,
    finmap_income_count integer not null,
    finmap_income_sum decimal(18, 2) not null,
    finmap_expense_count integer not null,
    finmap_expense_sum decimal(18, 2) not null
);
comment on table reconciliation is 'One row is one day of one Finmap account: counts and sums in Sitniks and in Finmap. The records that differ are in differences.';
comment on column reconciliation.day is 'Local day of the transaction, or of the order''s money; the partition.';
comment on column reconciliation.account is 'ID of the Finmap account.';
comment on column reconciliation.sitniks_income_count is 'Income operations derived from Sitniks.';
comment on column reconciliation.sitniks_income_sum is 'Their sum.';
comment on column reconciliation.sitniks_expense_count is 'Expense operations derived from Sitniks.';
comment on column reconciliation.sitniks_expense_sum is 'Their sum.';
comment on column reconciliation.finmap_income_count is 'Income operations in Finmap.';
comment on column reconciliation.finmap_income_sum is 'Their sum.';
comment on column reconciliation.finmap_expense_count is 'Expense operations in Finmap.';
comment on column reconciliation.finmap_expense_sum is 'Their sum.';

create table differences (
    day date not null,
    transaction_id varchar,
    external_id varchar,
    kind varchar not null,
    explained boolean not null,
    detail varchar
);
comment on table differences is 'One row is one record that differs between the two sides. An explained one has a known reason or is pending a decision; an unexplained one is a defect.';

-- One row is one decision of a person (approve or dismiss) about one planned action on one occasion, which is a hash of
-- everything the person was shown. It expires with its occasion.
create table decisions (
    transaction_id varchar not null,
    action varchar not null,
    occasion varchar not null,
    decision varchar not null check (decision in ('approve', 'dismiss')),
    decided_at timestamptz not null,
    primary key (transaction_id, action, occasion)
);

-- One row is one planned change held because there were too many at once: it stays pending however few there are later.
create table held_changes (
    transaction_id varchar not null,
    action varchar not null,
    occasion varchar not null,
    primary key (transaction_id, action, occasion)
);

-- One row is one pending change as it was last shown to a person: what `approve --yes` may approve.
create table shown_changes (
    transaction_id varchar not null,
    action varchar not null,
    occasion varchar not null,
    shown_at timestamptz not null,
    primary key (transaction_id, action, occasion)
);

-- One row, once a first import is held for review: operations up to this moment need approval.
create table held_import (held_until timestamptz not null);

-- One row is one order to which changed lists of order statuses gave another stage: what follows needs approval.
create table restaged_orders (order_id varchar primary key);

-- One row, once a ledger was rebuilt from Finmap: older transactions may have another generation that no list showed.
create table rebuilt_ledger (rebuilt_at timestamptz not null);

-- One row, once `catch-up` was used: unsent transactions of days up to this one are not posted.
create table caught_up (until_day date not null);

-- One row is one task of the current or last run: the part of the plan that it carries out.
create table tasks (
    position integer primary key,
    action varchar not null,
    approved boolean not null,
    transaction_id varchar not null,
    external_id varchar not null,
    generation integer not null,
    day date not null,
    wanted content,
    theirs content,
    edited varchar[] not null,
    occasion varchar,
    known_as varchar,
    other_keys varchar[] not null,
    changed varchar[]
);
