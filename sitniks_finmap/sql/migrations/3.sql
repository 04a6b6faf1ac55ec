-- Version 3: the second wave.

-- The ledger knows what was written and what Finmap showed of it, every intent whose end is not known, and since when
-- an operation is not shown. Decisions and held changes are about an occasion. The plan is a view over all days.
create table caught_up (until_day date not null);
insert into caught_up
select max(day) from finmap_upload where state = 'dismissed' and sent_at is null having count(*) > 0;
delete from finmap_upload where state = 'dismissed' and sent_at is null;

-- What an operation says, on either side, as one value: what is wanted, was written, is shown or was intended.
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
comment on table finmap_upload is 'One row is one operation that Finmap was told of: the ledger. It makes delivery fast; the external_id makes it right.';
comment on column finmap_upload.external_id is 'The key of the operation in Finmap.';
comment on column finmap_upload.transaction_id is 'Sitniks'' id.';
comment on column finmap_upload.generation is '1; counts up when the operation had to be created anew.';
comment on column finmap_upload.day is 'Local day of the transaction; the partition.';
comment on column finmap_upload.state is 'sent (accepted, not seen since), verified (seen in Finmap), failed (will be tried again), refused (by Finmap; tried again once a day or when it changes), withdrawn (deleted by us), deleted (by a person in Finmap), rolled_back (deleted by rollback).';
comment on column finmap_upload.written is 'What Finmap accepted last; the tag is a label. Null when nothing is known to have been accepted, or the ledger was rebuilt from Finmap.';
comment on column finmap_upload.shown is 'What Finmap showed at the first look after that: the base of every comparison. The tag is its IDs.';
comment on column finmap_upload.unseen is 'Fields that were written and not seen in Finmap since.';
comment on column finmap_upload.intents is 'What was sent without learning how it ended, oldest first; settled by the next look.';
comment on column finmap_upload.deleting is 'withdraw, replace or rollback: a deletion that was begun and not yet seen done.';
comment on column finmap_upload.deleting_at is 'When that deletion began.';
comment on column finmap_upload.refused is 'What Finmap refused, in whole or in part.';
comment on column finmap_upload.carried is 'What a person had set on it when we deleted it: the next generation takes it over.';
comment on column finmap_upload.owed is 'Fields of carried that Finmap has not taken yet.';
comment on column finmap_upload.attempts is 'How often it was tried.';
comment on column finmap_upload.last_error is 'Why the last attempt did not succeed.';
comment on column finmap_upload.next_attempt_at is 'When it is due again: a failed one is tried, one that Finmap only stored is looked up.';
comment on column finmap_upload.sent_at is 'When Finmap accepted it.';
comment on column finmap_upload.applied_at is 'When Finmap said that the last write is done, not only stored.';
comment on column finmap_upload.verified_at is 'When it was last seen in Finmap.';
comment on column finmap_upload.looked_at is 'When it was last looked for in Finmap, seen or not.';
comment on column finmap_upload.missing_since is 'When a look did not show it for the first time; null while it is shown. One look is no proof.';
comment on column finmap_upload.run_id is 'Dagster run of the last attempt.';

-- Version 2 knew of no projects and no counterparties.
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
    -- What a person is known to have changed stays theirs: its base is what we wrote.
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
comment on column last_runs.error is 'Why it failed when it ended last; null when it did not. Names no key and no customer.';
-- Each side proves to be the company that the file was filled from; an installation leaves its mark in Finmap.
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
comment on column identity.key_hash is 'BLAKE2 of the salt and the key: it tells whether the key is the same, and nothing else of it.';
comment on column identity.how is 'first (nothing was known yet), examined (what is known was found), accepted (by a person, with accept-key).';
create table installation (installation_id varchar not null, mark integer not null);
-- What records may do: settlement accounts that no mapping names are shown, or rejected; a reason quotes no record.
alter table settings add column unmapped_accounts varchar default 'default';
alter table operations add column settlement_account_id varchar;
comment on column operations.settlement_account_id is 'Sitniks'' ID of the settlement account where the money landed.';
alter table operations add column settlement_account varchar;
comment on column operations.settlement_account is 'Its title, or its ID where it has none.';
alter table operations add column mapped_by varchar;
comment on column operations.mapped_by is 'The settlement account in the connection''s settings that decided the Finmap account; null: the default one.';
alter table rejected_transactions add column written varchar;
update rejected_transactions
set written = regexp_extract(reason, '^[^:]*: (.*)$', 1), reason = regexp_extract(reason, '^[^:]*')
where contains(reason, ': ');
comment on column rejected_transactions.reason is 'Why, in words of ours alone: nothing of the record is in it, so that it may stand in plans, metadata and messages.';
comment on column rejected_transactions.written is 'The beginning of what the reason speaks of, as Sitniks has it. It may be personal.';
alter table rejected_transactions add column settlement_account_id varchar;
comment on column rejected_transactions.settlement_account_id is 'Sitniks'' ID of the settlement account where the money landed.';
alter table rejected_transactions add column settlement_account varchar;
comment on column rejected_transactions.settlement_account is 'Its title, or its ID where it has none.';
alter table rejected_transactions add column mapped_by varchar;
comment on column rejected_transactions.mapped_by is 'The settlement account in the connection''s settings that decides the Finmap account; null: the default one.';
-- Reading: what could not be read and when it was tried, and in which window a transaction was last seen.
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

-- One row is one order that did not come when it was last asked for by its ID: Sitniks has none (missing), or could not
-- answer. It stays as last known, and is asked for ever more rarely.
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
comment on column raw_sitniks_transactions.gone_at is 'When a second complete read did not have it, in a later run; null while it lives.';
comment on column raw_sitniks_transactions.seen_from is 'Beginning of the narrowest window in whose lists it was seen: there it is on the axis that the API filters by.';
comment on column raw_sitniks_transactions.seen_to is 'End of that window.';
comment on column raw_sitniks_transactions.missing_at is 'When a complete read did not have it for the first time; a later one that has it takes this back.';
comment on column raw_sitniks_orders.gone_at is 'When Sitniks answered 404 for it a second time, in a later run; the status stays as last known.';
