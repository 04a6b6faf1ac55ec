-- One row is one planned action that preview shows: what a sync of these days would do, and everything pending,
-- whatever its day.
create or replace temp table previewed as
from plan
where day between $first and $last or standing = 'pending'
