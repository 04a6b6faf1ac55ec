-- Version 3: the second wave.

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
