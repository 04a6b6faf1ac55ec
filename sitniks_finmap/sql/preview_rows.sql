-- One row is one planned action as shown to people, pending ones first, with its account's name and each field that
-- would change (name, before, after).
select
    action,
    standing,
    kind,
    why,
    day,
    type,
    amount,
    wanted.comment as comment,
    external_id,
    (select any_value(label) from finmap_accounts a where a.account = wanted.account) as account,
    wanted.category as category,
    wanted.tag as tag,
    -- Of what is created everything is new; of what is deleted nothing changes.
    if(action in ('update', 'replace', 'verify'), list_transform(list_filter([
        row('type', value_before('type', edited, written.type, wanted.type, has.type), wanted.type, 'type'),
        row('amount', value_before('amount', edited, written.amount, wanted.amount, has.amount)::varchar,
            wanted.amount::varchar, 'amount'),
        row('date', value_before('occurred_at', edited, written.occurred_at, wanted.occurred_at, has.occurred_at)::varchar,
            wanted.occurred_at::varchar, 'occurred_at'),
        row('account', value_before('account', edited, written.account, wanted.account, has.account), wanted.account,
            'account'),
        row('category', value_before('category', edited, written.category, wanted.category, has.category),
            wanted.category, 'category'),
        row('tag', written.tag, wanted.tag, 'tag'),
        row('comment', value_before('comment', edited, written.comment, wanted.comment, has.comment), wanted.comment,
            'comment')
    ], lambda change : list_contains(changed, change[4])), lambda change : row(change[1], change[2], change[3])), [])
        as changes
from (select *, coalesce(theirs, shown) as has from previewed)
order by standing <> 'pending', standing, occurred_at desc, transaction_id
