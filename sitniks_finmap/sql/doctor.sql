-- doctor's analysis of one page of transactions: `told` (amount, text) are the verbatim rows, `mapping`
-- (settlement_account) the configured names, `known` (id, title) the settlement accounts that Sitniks lists.

-- One row is one transaction of the page.
create or replace temp table page as
select
    payload,
    instant_of(coalesce(created, dated), 'UTC') as filed_at,
    amount_of(amount, json_type(payload, '$.amount') = 'VARCHAR') as amount,
    coalesce(account_id, id_in_account) as settlement_account_id,
    settlement_account
from (
    select
        payload,
        amount,
        text[1] as created,
        text[2] as dated,
        text[3] as account_id,
        text[4] as id_in_account,
        text[5] as settlement_account
    from (
        select amount, payload, list_transform(
            json_extract(payload, [
                '$.createdAt', '$.date', '$.settlementAccountId', '$.settlementAccount.id', '$.settlementAccount'
            ]),
            lambda value : text_of(value)
        ) as text
        from (select amount, if(json_valid(text), text, 'null')::json as payload from told)
    )
);

-- One row is one settlement account of the page without a mapping, and the number of its transactions.
create or replace temp view unmapped as
select coalesce(settlement_account, 'ID ' || settlement_account_id) as settlement_account, count(*) as transactions
from page
where coalesce(settlement_account_id, settlement_account) is not null
    and not exists (
        from mapping m
        where normal_name(m.settlement_account)
            in (normal_name(page.settlement_account_id), normal_name(page.settlement_account))
    )
group by all
order by transactions desc, settlement_account;

-- One row is one mapping that matches neither the page nor Sitniks' list of settlement accounts.
create or replace temp view unmatched as
select settlement_account
from mapping m
where normal_name(m.settlement_account) not in (
    select normal_name(name)
    from (
        select unnest([settlement_account_id, settlement_account]) as name from page
        union all
        select unnest([id, title]) from known
    )
    where normal_name(name) is not null
)
order by settlement_account;
