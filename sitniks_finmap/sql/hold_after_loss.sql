-- Holds, once, what a first import that was reviewed left out: with the file, the decisions about it were lost.
insert into held_import
select $now::timestamptz
from settings
where first_import = 'review' and not exists (from held_import)
