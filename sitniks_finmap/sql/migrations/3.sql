-- Version 3: the second wave.

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
