-- Inserts ledger entries, given as JSON, replacing those with the same key. JSON rather than a data frame, where a
-- column of structs with only nulls would have no type.
insert or replace into finmap_upload by name
select unnest(entry) from (select unnest(from_json($entries::json, $types)) as entry)
