-- Version 6. When a run of each kind last succeeded; a task knows which fields its person was shown.
alter table last_runs add column succeeded_at timestamptz;
comment on column last_runs.succeeded_at is 'The last end without an error.';
update last_runs set succeeded_at = ended_at where error is null;
alter table tasks add column changed varchar[];
alter table operations drop column content_hash;
alter table tasks rename column others to other_keys;
