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
    if(written is null or wanted is null, [], list_filter([
        row('type', written.type, wanted.type),
        row('amount', written.amount::varchar, wanted.amount::varchar),
        row('date', written.occurred_at::varchar, wanted.occurred_at::varchar),
        row('account', written.account, wanted.account),
        row('category', written.category, wanted.category),
        row('tag', written.tag, wanted.tag),
        row('comment', written.comment, wanted.comment)
    ], lambda change : change[2] is distinct from change[3])) as changes
from previewed
order by standing <> 'pending', standing, occurred_at desc, transaction_id
