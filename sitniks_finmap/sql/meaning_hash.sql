-- Hashes every setting that affects operations: rows derived under another hash are derived again.
update settings
set meaning_hash = md5(to_json([
    timezone, comment_fields::varchar, source_as_tag::varchar, start_date::varchar, key_prefix, unmapped_accounts,
    (select coalesce(list(a order by a), [])::varchar from account_mapping a),
    (select coalesce(list(c order by c), [])::varchar from category_mapping c),
    (select list(r order by r)::varchar from classification_rules r),
    source, stock_account, restock_on_refund::varchar,
    (select coalesce(list(o order by o), [])::varchar from order_statuses o)
])::varchar)
