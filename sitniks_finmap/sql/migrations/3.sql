-- Version 3. The ledger knows what was written and how Finmap showed it, every intent with an unknown outcome, and since
-- when an operation is not shown. Decisions and held changes refer to an occasion. The plan is a view over all days.
create table caught_up (until_day date not null);
insert into caught_up
select max(day) from finmap_upload where state = 'dismissed' and sent_at is null having count(*) > 0;
delete from finmap_upload where state = 'dismissed' and sent_at is null;

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

alter table finmap_upload rename to finmap_upload_2;
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
comment on column finmap_upload.transaction_id is 'Sitniks'' id.';
comment on column finmap_upload.generation is '1, 2, 3 …; a new one each time the operation had to be created again.';
comment on column finmap_upload.day is 'Local day of the transaction; the partition.';
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

-- Version 2 had no projects and no counterparties.
create temp macro known_content(type, amount, occurred_at, account, category, tag, comment) as struct_pack(
    "type" := type, amount := amount, occurred_at := occurred_at, account := account, category := category,
    tag := tag, "comment" := comment, project := null::varchar, counterparty := null::varchar
);

insert into finmap_upload by name
with known as (
    select
        *,
        known_content(type, amount, occurred_at, account, category, tag, comment) as content
    from finmap_upload_2
),
seen as (
    select
        external_id,
        any_value(known_content(type, amount, occurred_at, account, category, tag, comment)) as content
    from finmap_operations group by all
)
select
    k.external_id, k.transaction_id, k.generation, k.day,
    case k.state when 'rejected' then 'refused' when 'dismissed' then 'rolled_back' else k.state end as state,
    if(k.sent_at is not null and not k.rebuilt, k.content, null) as written,
    -- A person's known changes stay theirs: the base is what we wrote.
    case
        when k.sent_at is null or (k.verified_at is null and k.applied_at is null) then null
        when k.rebuilt then coalesce(s.content, k.content)
        when s.content is null then k.content
        else known_content(
            k.type, k.amount, k.occurred_at, k.account,
            if(k.category is null and not list_contains(k.kept_fields, 'category'), s.content.category, k.category),
            if(list_contains(k.kept_fields, 'tag'), '', s.content.tag),
            k.comment
        )
    end as shown,
    if(k.state = 'sent' and k.applied_at is null and k.verified_at is null, ['type', 'amount', 'occurred_at', 'account', 'category', 'tag', 'comment', 'project', 'counterparty'], []) as unseen,
    case
        when k.writing is not null then [known_content(
            k.type, k.writing.amount, k.writing.occurred_at, k.writing.account, k.writing.category, k.writing.tag,
            k.writing.comment
        )]
        when k.sent_at is null and k.state = 'failed' then [k.content]
        else []
    end as intents,
    if(k.deleting_at is not null, 'withdraw', null) as deleting,
    k.deleting_at,
    if(k.state = 'rejected', k.content, null) as refused,
    k.attempts, k.last_error, k.next_attempt_at, k.sent_at, k.applied_at, k.verified_at, k.verified_at as looked_at,
    k.run_id
from known k
left join seen s using (external_id);
drop table finmap_upload_2;
drop macro temp.known_content;

alter table finmap_operations add column project varchar;
comment on column finmap_operations.project is 'IDs of the projects, joined by commas.';
alter table finmap_operations add column counterparty varchar;
comment on column finmap_operations.counterparty is 'ID of the counterparty.';

alter table settings add column lookback_days integer default 7;
update settings set lookback_days = 7;
alter table settings alter column lookback_days set not null;

drop table decisions;
drop table held_changes;
drop table plan;

create table decisions (
    transaction_id varchar not null,
    action varchar not null,
    occasion varchar not null,
    decision varchar not null check (decision in ('approve', 'dismiss')),
    decided_at timestamptz not null,
    primary key (transaction_id, action, occasion)
);

create table held_changes (
    transaction_id varchar not null,
    action varchar not null,
    occasion varchar not null,
    primary key (transaction_id, action, occasion)
);

create table shown_changes (
    transaction_id varchar not null,
    action varchar not null,
    occasion varchar not null,
    shown_at timestamptz not null,
    primary key (transaction_id, action, occasion)
);

create table rebuilt_ledger (rebuilt_at timestamptz not null);

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
    others varchar[] not null
);
-- How the last run of each kind ended, for `status`.
create table last_runs (
    what varchar primary key,
    run_id varchar,
    started_at timestamptz not null,
    ended_at timestamptz,
    error varchar
);
comment on column last_runs.run_id is 'Dagster run of the last start.';
comment on column last_runs.started_at is 'The last start.';
comment on column last_runs.ended_at is 'The last end.';
comment on column last_runs.error is 'Why it failed when it last ended; null if it did not. Contains no key and no customer data.';
-- Each side's key is verified as that of the company that filled the file; an installation leaves its mark in Finmap.
alter table settings add column key_prefix varchar;
comment on column settings.key_prefix is 'The first part of every externalId in Finmap: the connection''s name, or its name before it was renamed.';
update settings set key_prefix = connection;
create table identity (
    side varchar primary key,
    salt varchar not null,
    key_hash varchar not null,
    proven_at timestamptz not null,
    how varchar not null check (how in ('first', 'examined', 'accepted'))
);
comment on column identity.key_hash is 'BLAKE2 of the salt and the key: tells only whether the key is the same.';
comment on column identity.how is 'first (nothing was known yet), examined (known data was found), accepted (by a person, with accept-key).';
create table installation (installation_id varchar not null, mark integer not null);
-- Settlement accounts without a mapping are listed or rejected; a reason quotes no record.
alter table settings add column unmapped_accounts varchar default 'default';
alter table operations add column settlement_account_id varchar;
comment on column operations.settlement_account_id is 'Sitniks'' ID of the settlement account that received or paid the money.';
alter table operations add column settlement_account varchar;
comment on column operations.settlement_account is 'Its title, or its ID if it has none.';
alter table operations add column mapped_by varchar;
comment on column operations.mapped_by is 'The entry of the connection''s accounts setting that determined the Finmap account; null: the default account.';
alter table rejected_transactions add column written varchar;
update rejected_transactions
set written = regexp_extract(reason, '^[^:]*: (.*)$', 1), reason = regexp_extract(reason, '^[^:]*')
where contains(reason, ': ');
comment on column rejected_transactions.reason is 'Why, in our own words: it quotes nothing from the record, so it may appear in plans, metadata and messages.';
comment on column rejected_transactions.written is 'The beginning of the value at fault, as Sitniks has it. It may be personal data.';
alter table rejected_transactions add column settlement_account_id varchar;
comment on column rejected_transactions.settlement_account_id is 'Sitniks'' ID of the settlement account that received or paid the money.';
alter table rejected_transactions add column settlement_account varchar;
comment on column rejected_transactions.settlement_account is 'Its title, or its ID if it has none.';
alter table rejected_transactions add column mapped_by varchar;
comment on column rejected_transactions.mapped_by is 'The entry of the connection''s accounts setting that determines the Finmap account; null: the default account.';
-- What could not be read and when it was tried, and the window in which a transaction was last seen.
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

-- One row is one order whose last read by ID failed: Sitniks has no such order (missing), or could not return it. It
-- stays as last known and is retried less and less often.
create table order_tries (
    order_id varchar primary key,
    missing boolean not null,
    failing_since timestamptz not null,
    tried_at timestamptz not null,
    reason varchar not null
);

alter table raw_sitniks_transactions add column seen_from timestamptz;
alter table raw_sitniks_transactions add column seen_to timestamptz;
alter table raw_sitniks_transactions add column missing_at timestamptz;
comment on column raw_sitniks_transactions.gone_at is 'When a second complete read, in a later run, did not have it; null while it is live.';
comment on column raw_sitniks_transactions.seen_from is 'Start of the narrowest window whose lists showed it: the timestamp that the API filters by is in this window.';
comment on column raw_sitniks_transactions.seen_to is 'End of that window.';
comment on column raw_sitniks_transactions.missing_at is 'When a complete read first did not have it; cleared when a later read has it.';
comment on column raw_sitniks_orders.gone_at is 'When Sitniks said for a second time, at least ten minutes later, that it does not exist; the status stays as last known.';
-- Comments that were reworded.
comment on column settings.meaning_hash is 'Hash of every setting that affects operations; rows derived under another hash are derived again.';
comment on table raw_sitniks_transactions is 'One row is one version of one Sitniks transaction, exactly as Sitniks returned it. A changed payload is a new version; nothing is overwritten.';
comment on column raw_sitniks_transactions.transaction_id is 'Sitniks'' id; for a record without one, ? and the hash of its text.';
comment on column raw_sitniks_transactions.version is '1, 2, 3 … for each transaction; the highest is the latest.';
comment on column raw_sitniks_transactions.day is 'Local day of the timestamp that the API filters by: createdAt, else date, else (or if that is implausible) the first day of the window in which it was read.';
comment on column raw_sitniks_transactions.payload is 'The transaction as Sitniks returned it, verbatim.';
comment on column raw_sitniks_transactions.first_seen_at is 'When this version was first read.';
comment on column raw_sitniks_transactions.last_seen_at is 'When this version was last read.';
comment on column raw_sitniks_transactions.run_id is 'Dagster run that read this version first.';
comment on table raw_sitniks_orders is 'One row is one version of one Sitniks order, exactly as Sitniks returned it; read for its status, number, client and sales channel.';
comment on column raw_sitniks_orders.order_id is 'Sitniks'' order id.';
comment on column raw_sitniks_orders.version is '1, 2, 3 … for each order; the highest is the latest.';
comment on column raw_sitniks_orders.payload is 'The order as Sitniks returned it, verbatim.';
comment on column raw_sitniks_orders.first_seen_at is 'When this version was first read.';
comment on column raw_sitniks_orders.last_seen_at is 'When this version was last read.';
comment on column raw_sitniks_orders.run_id is 'Dagster run that read this version first.';
comment on table operations is 'One row is one live Sitniks transaction as Finmap should have it: the desired state, which can be derived again at any time.';
comment on column operations.external_id is 'The operation''s idempotency key in Finmap: <key_prefix>:<transaction_id>, percent-encoded.';
comment on column operations.day is 'Local day of the timestamp that the API filters by; the partition.';
comment on column operations.currency is 'ISO code; UAH if Sitniks gives none.';
comment on column operations.classification is 'The kind of payment, by the first matching rule.';
comment on column operations.category is 'ID of the Finmap category, if the connection maps one.';
comment on column operations.tag is 'Label of the Finmap tag, if the connection adds the source as a tag.';
comment on column operations.description is 'Sitniks'' description of the transaction; by default the beginning of the comment.';
comment on column operations.counterparty is 'Client''s name, email, Instagram nickname or client id.';
comment on column operations.order_number is 'Order number.';
comment on column operations.delivery is 'Delivery method.';
comment on column operations.content_hash is 'MD5 of the content for Finmap: type, amount, time, account, category, tag, comment.';
comment on table rejected_transactions is 'One row is one live transaction that cannot become an operation, with the reason; it is retried once corrected in Sitniks.';
comment on table finmap_requests is 'The audit log: one row is one write attempt at Finmap. It contains no key and no header.';
comment on table finmap_operations is 'One row is one operation of this connection as Finmap showed it when last read back.';
comment on column finmap_operations.external_id is 'Our idempotency key.';
comment on table reconciliation is 'One row is one day of one Finmap account: counts and sums in Sitniks and in Finmap. The records that differ are in differences.';
comment on column reconciliation.sitniks_income_count is 'Income operations derived from Sitniks'' transactions.';
comment on column reconciliation.sitniks_expense_count is 'Expense operations derived from Sitniks'' transactions.';
comment on column reconciliation.finmap_income_count is 'Income operations in Finmap.';
comment on column reconciliation.finmap_expense_count is 'Expense operations in Finmap.';
comment on table differences is 'One row is one record that differs between the two sides. An explained one has a known reason or is pending a decision; an unexplained one is a defect.';
