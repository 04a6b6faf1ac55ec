-- One row: whether what we read of an order is the same in the list ($listed) and by its ID ($single), and the names of the
-- fields that differ.
select
    order_hash($listed) = order_hash($single) as same,
    list_sort(list_filter(
        list_distinct(json_keys($listed::json) || json_keys($single::json)),
        lambda name : regexp_full_match(name, '[A-Za-z][A-Za-z0-9_]*')
            and json_extract($listed::json, '$.' || name) is distinct from json_extract($single::json, '$.' || name)
    )) as differing
