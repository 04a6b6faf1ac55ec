-- Records the start of a run of this kind; how the previous one ended is kept.
insert into last_runs (what, run_id, started_at)
values ($what, $run_id, $at)
on conflict (what) do update set run_id = excluded.run_id, started_at = excluded.started_at
