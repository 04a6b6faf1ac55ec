-- Records the intents of the tasks in `begun`, so that whatever a kill leaves half done is known to be ours.
insert into finmap_upload (external_id, transaction_id, generation, day, state, intents, carried, last_error)
select
    external_id, transaction_id, generation, day, 'failed', [wanted], entry.carried,
    'creation started, outcome not recorded'
from begun
where action in ('create', 'recreate', 'replace') and not own_key
on conflict (external_id) do update set
    -- An attempt without a result still counts: it may have created something.
    attempts = greatest(finmap_upload.attempts, 1),
    intents = if(
        list_contains(finmap_upload.intents, excluded.intents[1]),
        finmap_upload.intents,
        list_append(finmap_upload.intents, excluded.intents[1])
    );

update finmap_upload
set intents = list_append(finmap_upload.intents, b.wanted)
from begun b
where (b.action = 'update' or b.own_key) and b.known_as = finmap_upload.external_id
    and not list_contains(finmap_upload.intents, b.wanted);

update finmap_upload
set
    deleting = if(b.action = 'rollback', b.action, coalesce(deleting, b.action)),
    deleting_at = coalesce(deleting_at, b.begun_at)
from begun b
where b.action in ('withdraw', 'replace', 'rollback') and not b.own_key and b.known_as = finmap_upload.external_id;
