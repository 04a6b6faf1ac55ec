-- One row is one row of a complete read, as returned by the API (`told`), with the local day of its first plausible
-- timestamp. Uses lambdas because macros copy their arguments: nested, they take longer to plan than to run.
create or replace temp view incoming as
select id, amount, text, timezone(timezone, coalesce(instants[1], instants[2]))::date as own_day
from (
    select t.*, s.timezone, list_transform(
        list_transform(
            if(json_valid(text), json_extract(text, ['$.createdAt', '$.date']), []),
            lambda value : text_of(value)
        ),
        lambda stamp : sensible(instant_of(stamp, s.timezone))
    ) as instants
    from (select id::varchar as id, amount::varchar as amount, text::varchar as text from told) t
    cross join settings s
);
