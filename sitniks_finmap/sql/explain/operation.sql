-- One row: the transaction's operation, and the rule that classified it, in words.
select
    o.type,
    o.amount,
    strftime(o.occurred_at, '%Y-%m-%d %H:%M:%S') as occurred,
    coalesce(a.label, o.account) as account,
    o.classification,
    'rule ' || r.position || coalesce(', sign ' || r.sign, '')
        || if(len(r.sources) > 0, ', source has one of ' || array_to_string(r.sources, ' / '), '')
        || if(len(r.descriptions) > 0, ', description has one of ', '')
        || array_to_string(r.descriptions, ' / ') as rule,
    o.comment
from operations o
left join finmap_accounts a using (account)
left join classification_rules r on r.position = o.rule
where o.transaction_id = $transaction_id
