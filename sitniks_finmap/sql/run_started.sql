-- Writes down that a run of this kind begins; how the one before ended is kept.
insert into last_runs (what, run_id, started_at)
values ($what, $run_id, $at)
on conflict (what) do update set run_id = excluded.run_id, started_at = excluded.started_at
