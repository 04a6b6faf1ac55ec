-- Version 3: the ledger knows what a run that was killed may have deleted or changed.
alter table finmap_upload add column deleting_at timestamptz;
comment on column finmap_upload.deleting_at is 'When a run set out to delete it and did not come to say how that ended: if it is not there, we did it and not a person.';
alter table finmap_upload add column writing struct(amount decimal(18, 2), occurred_at timestamptz, account varchar, category varchar, tag varchar, comment varchar);
comment on column finmap_upload.writing is 'What a run set out to change it to and did not come to say how that ended: what is there may be as it was, or as this.';
