-- One row is one settlement account name with several spellings that map to different Finmap accounts.
select list(settlement_account order by settlement_account) as names
from account_mapping
where settlement_account is not null
group by normal_name(settlement_account)
having count(distinct account) > 1
order by names
