-- Fills `tasks` with the rollback of these operations (`confirmed`: external_id, forced), newest first.
delete from tasks;

-- Replacements that were started and never completed are rolled back with them.
update finmap_upload
set state = 'rolled_back', intents = []
where coalesce(written, shown) is null
    and transaction_id in (
        select transaction_id from finmap_upload where external_id in (select external_id from confirmed)
    );

insert into tasks by name
select
    row_number() over (order by l.shown.occurred_at desc, external_id) as position,
    'rollback' as action,
    c.forced as approved,
    l.transaction_id,
    external_id,
    l.generation,
    l.day,
    null as wanted,
    null as theirs,
    [] as edited,
    null as occasion,
    external_id as known_as,
    [] as other_keys
from finmap_upload l
join confirmed c using (external_id);
