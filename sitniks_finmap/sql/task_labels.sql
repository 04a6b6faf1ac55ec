-- One row is one tag label whose ID the tasks need, and whether any of them wants it: then it is created if missing.
select tag, bool_or(wanted) as wanted
from (
    select wanted.tag as tag, action not in ('withdraw', 'rollback') as wanted from tasks
    union all
    select l.written.tag, false from tasks t join finmap_upload l on l.external_id = t.known_as
    union all
    select unnest(l.intents).tag, false from tasks t join finmap_upload l on l.external_id = t.known_as
)
where tag is not null
group by all
