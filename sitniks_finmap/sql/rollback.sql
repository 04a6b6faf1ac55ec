-- One row is one operation to remove from Finmap: created by one run, or in these days. Of an order, also what cannot stay
-- without its payments: refunds with one of them, the cost of its goods with the last.
with asked as (
    select external_id
    from finmap_upload l
    where l.day between $first_day and $last_day
        or l.external_id in (
            select external_id from finmap_requests q
            where q.run_id = $run_id and q.method = 'POST' and (
                q.outcome in ('applied', 'accepted')
                -- Its answer was lost, but it is there: unless another attempt certainly created it, this one did.
                or q.outcome = 'unknown' and q.external_id not in (
                    select external_id from finmap_requests where method = 'POST' and outcome in ('applied', 'accepted')
                )
            )
        )
),
payments as (
    select
        order_of(transaction_id) as order_id,
        bool_or(external_id in (select external_id from asked)) as some_go,
        bool_and(external_id in (select external_id from asked)) as all_go
    from finmap_upload
    where part_of(transaction_id) in ('prepayment', 'sale') and not is_out(state) and coalesce(written, shown) is not null
    group by all
)
select
    if(is_edited or order_is_edited, 'pending', 'go') as standing,
    case
        when is_edited then 'a person edited it in Finmap'
        when order_is_edited then 'a person edited another part of its order in Finmap'
    end as why,
    day,
    content.type as type,
    content.amount as amount,
    external_id,
    $force as forced,
    theirs,
    edited
from (
    select
        l.*,
        coalesce(l.written, l.shown) as content,
        f.content as theirs,
        edited_fields(f.content, l.shown, l.unseen, l.intents) as edited,
        len(edited) > 0 and not $force as is_edited,
        -- Nothing of an order goes without the rest that belongs to it.
        coalesce(bool_or(is_edited) over (partition by order_of(l.transaction_id)), false)
            and order_of(l.transaction_id) is not null as order_is_edited
    from finmap_upload l
    left join shown_operations f using (external_id)
    where l.state in ('sent', 'verified', 'failed', 'refused')
) l
where l.content is not null
    and (
        l.external_id in (select external_id from asked)
        or part_of(l.transaction_id) in ('refund', 'partial')
            and order_of(l.transaction_id) in (select order_id from payments where some_go)
        or part_of(l.transaction_id) in ('cogs', 'restock')
            and order_of(l.transaction_id) in (select order_id from payments where all_go)
        or part_of(l.transaction_id) = 'restock' and order_of(l.transaction_id) in (
            select order_of(transaction_id) from finmap_upload join asked using (external_id)
            where part_of(transaction_id) = 'cogs'
        )
    )
order by content.occurred_at desc, external_id
