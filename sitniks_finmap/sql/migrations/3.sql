-- Version 3: the second wave.

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
