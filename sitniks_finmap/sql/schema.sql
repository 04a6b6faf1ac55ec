-- The tables of one connection's warehouse. Instants are timestamptz in UTC, days are dates in the connection's zone,
-- money is decimal(18, 2). A change here needs a step in migrations/ and a higher SCHEMA_VERSION in schema.py.

create table schema_version (version integer not null);

-- One row: what the SQL needs to know of the connection, so that any SQL shell can rerun the reasoning.
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
    sitniks_url varchar not null,
    finmap_url varchar not null,
    meaning_hash varchar
);
comment on column settings.meaning_hash is 'Of everything that decides what an operation is; a row derived under another one is derived again.';

-- One row is one classification rule; the lowest position that holds decides.
create table classification_rules (
    position integer not null,
    classification varchar not null,
    sign varchar,
    sources varchar[] not null,
    descriptions varchar[] not null
);

-- One row is one Sitniks settlement account (ID or title; null = all others) and the Finmap account it goes to.
create table account_mapping (settlement_account varchar, account varchar not null, currency varchar not null);

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
comment on table raw_sitniks_transactions is 'One row is one version of one Sitniks transaction, exactly as Sitniks answered it. A changed payload is a new version; nothing is overwritten.';
comment on column raw_sitniks_transactions.transaction_id is 'Sitniks'' id; a row without one is known by ? and the hash of its text.';
comment on column raw_sitniks_transactions.version is '1, 2, 3 … for each transaction; the highest is the present one.';
comment on column raw_sitniks_transactions.day is 'Local day on the axis that the API filters by: createdAt, else date, else (or when that lies elsewhere) the first day of the window in which it was read.';
comment on column raw_sitniks_transactions.amount is 'The amount as Sitniks wrote it, digit for digit (JSON functions would read a number through a float).';
comment on column raw_sitniks_transactions.payload is 'The transaction as Sitniks answered it, verbatim.';
comment on column raw_sitniks_transactions.content_hash is 'MD5 of the payload.';
comment on column raw_sitniks_transactions.first_seen_at is 'When this version was read for the first time.';
comment on column raw_sitniks_transactions.last_seen_at is 'When this version was read for the last time.';
comment on column raw_sitniks_transactions.run_id is 'Dagster run that brought this version.';
comment on column raw_sitniks_transactions.gone_at is 'When a second complete read did not have it, in a later run; null while it lives.';
comment on column raw_sitniks_transactions.seen_from is 'Beginning of the narrowest window in whose lists it was seen: there it is on the axis that the API filters by.';
comment on column raw_sitniks_transactions.seen_to is 'End of that window.';
comment on column raw_sitniks_transactions.missing_at is 'When a complete read did not have it for the first time; a later one that has it takes this back.';

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
    primary key (order_id, version)
);
comment on table raw_sitniks_orders is 'One row is one version of one Sitniks order, exactly as Sitniks answered it; read for its status, number, client and sales channel.';
comment on column raw_sitniks_orders.order_id is 'Sitniks'' id of the order.';
comment on column raw_sitniks_orders.version is '1, 2, 3 … for each order; the highest is the present one.';
comment on column raw_sitniks_orders.day is 'Local day on which the order was created.';
comment on column raw_sitniks_orders.payload is 'The order as Sitniks answered it, verbatim.';
comment on column raw_sitniks_orders.content_hash is 'MD5 of the payload.';
comment on column raw_sitniks_orders.first_seen_at is 'When this version was read for the first time.';
comment on column raw_sitniks_orders.last_seen_at is 'When this version was read for the last time.';
comment on column raw_sitniks_orders.run_id is 'Dagster run that brought this version.';
comment on column raw_sitniks_orders.gone_at is 'When Sitniks answered 404 for it a second time, in a later run; the status stays as last known.';

-- One row is one order that did not come when it was last asked for by its ID: Sitniks has none (missing), or could not
-- answer. It stays as last known, and is asked for ever more rarely.
create table order_tries (
    order_id varchar primary key,
    missing boolean not null,
    failing_since timestamptz not null,
    tried_at timestamptz not null,
    reason varchar not null
);

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
    comment varchar not null,
    raw_version integer not null,
    order_key varchar,
    order_version integer,
    meaning_hash varchar,
    content_hash varchar not null
);
comment on table operations is 'One row is one live Sitniks transaction as Finmap should have it: the desired state, derived again at will.';
comment on column operations.transaction_id is 'Sitniks'' id.';
comment on column operations.external_id is 'The key of the operation in Finmap: <connection>:<transaction_id>, percent-encoded.';
comment on column operations.day is 'Local day of the transaction on the axis that the API filters by; the partition.';
comment on column operations.occurred_at is 'The moment of payment, UTC.';
comment on column operations.type is 'income or expense, by the sign of the amount.';
comment on column operations.amount is 'Above zero, in the account''s currency.';
comment on column operations.currency is 'ISO code; UAH when Sitniks says nothing.';
comment on column operations.classification is 'What kind of money it is, by the first rule that holds.';
comment on column operations.rule is 'classification_rules.position of that rule.';
comment on column operations.account is 'ID of the Finmap account.';
comment on column operations.category is 'ID of the Finmap category, where the connection maps one.';
comment on column operations.tag is 'Label of the Finmap tag, where the connection puts the source as a tag.';
comment on column operations.description is 'What Sitniks says the transaction is; the beginning of the comment.';
comment on column operations.counterparty is 'Client''s name, e-mail, Instagram nickname or client id.';
comment on column operations.source is 'Where the sale came from: Instagram, Rozetka, Prom.ua …';
comment on column operations.order_number is 'Number of the order.';
comment on column operations.order_status is 'Title of the order''s status, as last known.';
comment on column operations.payment_method is 'How it was paid.';
comment on column operations.delivery is 'How it was sent.';
comment on column operations.comment is 'The comment in Finmap: one line, at most 1,000 characters.';
comment on column operations.raw_version is 'The version of the transaction it was derived from.';
comment on column operations.order_key is 'order_id of the order it was joined with.';
comment on column operations.order_version is 'The version of that order.';
comment on column operations.meaning_hash is 'settings.meaning_hash when it was derived.';
comment on column operations.content_hash is 'MD5 of what Finmap shall have: type, amount, moment, account, category, tag, comment.';

create table rejected_transactions (
    transaction_id varchar not null,
    day date not null,
    reason varchar not null,
    payload json not null,
    raw_version integer not null,
    order_key varchar,
    order_version integer
);
comment on table rejected_transactions is 'One row is one live transaction that cannot become an operation, with the reason; it heals when the source is corrected.';

create table finmap_upload (
    external_id varchar primary key,
    transaction_id varchar not null,
    generation integer not null,
    day date not null,
    type varchar not null,
    state varchar not null check (
        state in ('sent', 'verified', 'failed', 'rejected', 'withdrawn', 'deleted', 'dismissed')
    ),
    amount decimal(18, 2) not null,
    occurred_at timestamptz not null,
    account varchar not null,
    category varchar,
    tag varchar,
    comment varchar not null,
    content_hash varchar not null,
    refused_hash varchar,
    kept_fields varchar[] not null default [],
    rebuilt boolean not null default false,
    attempts integer not null,
    last_error varchar,
    next_attempt_at timestamptz,
    sent_at timestamptz,
    applied_at timestamptz,
    deleting_at timestamptz,
    writing struct(amount decimal(18, 2), occurred_at timestamptz, account varchar, category varchar, tag varchar, comment varchar),
    verified_at timestamptz,
    run_id varchar
);
comment on table finmap_upload is 'One row is one operation that Finmap was told of: the ledger. It makes delivery fast; the external_id makes it right.';
comment on column finmap_upload.external_id is 'The key of the operation in Finmap.';
comment on column finmap_upload.transaction_id is 'Sitniks'' id.';
comment on column finmap_upload.generation is '1; counts up when the operation had to be created anew.';
comment on column finmap_upload.day is 'Local day of the transaction; the partition.';
comment on column finmap_upload.type is 'income or expense, as delivered.';
comment on column finmap_upload.state is 'sent (accepted), verified (seen in Finmap, equal), failed (will be tried again), rejected (refused by Finmap until it changes), withdrawn (deleted by us, for it is gone in Sitniks), deleted (by a person in Finmap), dismissed (a person decided that Finmap shall not have it).';
comment on column finmap_upload.amount is 'As delivered, in the account''s currency.';
comment on column finmap_upload.occurred_at is 'As delivered, UTC.';
comment on column finmap_upload.account is 'ID of the Finmap account, as delivered.';
comment on column finmap_upload.category is 'ID of the Finmap category, as delivered.';
comment on column finmap_upload.tag is 'Label of the tag, as delivered.';
comment on column finmap_upload.comment is 'As delivered.';
comment on column finmap_upload.content_hash is 'operations.content_hash of what was delivered.';
comment on column finmap_upload.refused_hash is 'operations.content_hash of what Finmap refused; not tried again until it changes.';
comment on column finmap_upload.kept_fields is 'Fields that a person had changed in Finmap when it was last settled; they are not ours to write.';
comment on column finmap_upload.rebuilt is 'Read back from Finmap after the file was lost: what differs may be a person''s edit, and is not overwritten unasked.';
comment on column finmap_upload.attempts is 'How often it was tried.';
comment on column finmap_upload.last_error is 'Why the last attempt did not succeed.';
comment on column finmap_upload.next_attempt_at is 'When it is due again: a failed one is tried, one that Finmap only stored is looked up.';
comment on column finmap_upload.sent_at is 'When Finmap accepted it.';
comment on column finmap_upload.applied_at is 'When Finmap said that the last write is done, not only stored: from then on it is there.';
comment on column finmap_upload.verified_at is 'When it was last seen in Finmap, equal.';
comment on column finmap_upload.deleting_at is 'When a run set out to delete it and did not come to say how that ended: if it is not there, we did it and not a person.';
comment on column finmap_upload.writing is 'What a run set out to change it to and did not come to say how that ended: what is there may be as it was, or as this.';
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
comment on table finmap_requests is 'One row is one write attempt at Finmap: the audit log. No key and no header is in it.';

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
    read_at timestamptz not null
);
comment on table finmap_operations is 'One row is one operation of this connection as Finmap showed it when it was last read back.';
comment on column finmap_operations.external_id is 'The key that we gave it.';
comment on column finmap_operations.operation_id is 'Finmap''s own id.';
comment on column finmap_operations.type is 'income or expense.';
comment on column finmap_operations.amount is 'Finmap''s sum, in the account''s currency.';
comment on column finmap_operations.occurred_at is 'Finmap''s date, UTC.';
comment on column finmap_operations.account is 'ID of the Finmap account.';
comment on column finmap_operations.category is 'ID of the category.';
comment on column finmap_operations.tag is 'IDs of the tags, joined by commas.';
comment on column finmap_operations.comment is 'The comment as Finmap has it.';
comment on column finmap_operations.read_at is 'When it was read.';

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
comment on table reconciliation is 'One row is one day of one Finmap account: what Sitniks says and what Finmap has, in number and sum. The records that differ are in differences.';
comment on column reconciliation.day is 'Local day of the transaction; the partition.';
comment on column reconciliation.account is 'ID of the Finmap account.';
comment on column reconciliation.sitniks_income_count is 'Income operations that Sitniks'' transactions make.';
comment on column reconciliation.sitniks_income_sum is 'Their sum.';
comment on column reconciliation.sitniks_expense_count is 'Expense operations that Sitniks'' transactions make.';
comment on column reconciliation.sitniks_expense_sum is 'Their sum.';
comment on column reconciliation.finmap_income_count is 'Income operations that Finmap has.';
comment on column reconciliation.finmap_income_sum is 'Their sum.';
comment on column reconciliation.finmap_expense_count is 'Expense operations that Finmap has.';
comment on column reconciliation.finmap_expense_sum is 'Their sum.';

create table differences (
    day date not null,
    transaction_id varchar,
    external_id varchar,
    kind varchar not null,
    explained boolean not null,
    detail varchar
);
comment on table differences is 'One row is one record in which the two sides differ. An explained one has a reason that a person knows or decides; an unexplained one is a defect.';

-- One row is one decision of a person about one planned action (approve or dismiss) and about nothing else; the last
-- one holds, until anything is carried out about the transaction.
create table decisions (
    transaction_id varchar not null,
    action varchar not null,
    subject varchar not null,
    decision varchar not null check (decision in ('approve', 'dismiss')),
    decided_at timestamptz not null
);

-- One row, once a first import is held for review: operations up to this moment wait for approve.
create table held_import (held_until timestamptz not null);

-- One row is one planned change that was too many at once: it waits for approve, whatever else is planned with it.
create table held_changes (
    transaction_id varchar not null,
    action varchar not null,
    subject varchar not null,
    why varchar not null,
    primary key (transaction_id, action, subject)
);

-- What a sync has still to do; made anew by each, from sql/plan.sql.
create table plan (transaction_id varchar, action varchar, standing varchar, why varchar, day date);
