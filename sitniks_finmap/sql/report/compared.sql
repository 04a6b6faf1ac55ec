-- One row is one operation, without the stock, of the days from $first to $last (`is_now`) or of the days before that they
-- are compared with.
create or replace temp table report_operations as
select o.*, o.day between $first and $last as is_now
from operations o
cross join settings s
where o.account is distinct from s.stock_account
    and (o.day between $first and $last or o.day between $before_first and $before_last)
