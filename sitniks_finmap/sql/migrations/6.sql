-- From version 5 to 6: when a run of each kind last succeeded.
alter table last_runs add column succeeded_at timestamptz;
comment on column last_runs.succeeded_at is 'The last end without an error.';
update last_runs set succeeded_at = ended_at where error is null;
