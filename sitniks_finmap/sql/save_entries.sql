-- Writes entries of the ledger, given as JSON, over those with the same key. Through JSON and not a frame: a column of
-- structs in which nothing is set would have no type there.
insert or replace into finmap_upload by name
select unnest(entry) from (select unnest(from_json($entries::json, $types)) as entry)
