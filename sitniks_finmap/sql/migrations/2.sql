-- Version 2: held changes are kept, a first import is held up to an instant rather than a day, and the ledger knows
-- when a write was applied, and what a killed run may have deleted or changed.
create table held_changes (
    transaction_id varchar not null,
    action varchar not null,
    subject varchar not null,
    why varchar not null,
    primary key (transaction_id, action, subject)
);

alter table held_import rename to held_days;
create table held_import (held_until timestamptz not null);
insert into held_import
select timezone(s.timezone, h.until_day + interval 1 day) from held_days h cross join settings s;
drop table held_days;

alter table finmap_upload add column applied_at timestamptz;
comment on column finmap_upload.applied_at is 'When Finmap said that the last write is done, not only stored: from then on it is there.';
update finmap_upload set applied_at = sent_at where state in ('sent', 'verified') and next_attempt_at is null;
alter table finmap_upload add column deleting_at timestamptz;
comment on column finmap_upload.deleting_at is 'When a run set out to delete it and did not come to say how that ended: if it is not there, we did it and not a person.';
alter table finmap_upload add column writing struct(amount decimal(18, 2), occurred_at timestamptz, account varchar, category varchar, tag varchar, comment varchar);
comment on column finmap_upload.writing is 'What a run set out to change it to and did not come to say how that ended: what is there may be as it was, or as this.';
