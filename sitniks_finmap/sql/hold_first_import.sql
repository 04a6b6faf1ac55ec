-- Holds a first import for review, once, if nothing was delivered before: operations up to $now need approval.
insert into held_import
select $now::timestamptz
from settings
where first_import = 'review'
    and not exists (from held_import)
    and not exists (from finmap_upload where state <> 'rolled_back')
