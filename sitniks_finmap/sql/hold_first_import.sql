-- Holds a first import for review: operations up to $now wait for approve, once, where nothing was delivered before.
insert into held_import
select $now::timestamptz
from settings
where first_import = 'review'
    and not exists (from held_import)
    and not exists (from finmap_upload where state <> 'rolled_back')
