-- Version 3: the second wave.

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
