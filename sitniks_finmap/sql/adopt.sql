-- Each statement joins the ledger with the other side first and updates by key only: an update from two tables would
-- build their cross product.

-- A server may lowercase keys. An operation with such a key belongs to the only transaction whose ID differs just in
-- case, once its day was read completely; it is not a second operation beside one known by its proper key.
create or replace temp table lowered as
select l.external_id, l.generation, any_value(t.transaction_id) as transaction_id
from finmap_upload l
anti join latest_records own on own.transaction_id = l.transaction_id
join latest_records t on lower(url_encode(t.transaction_id)) = lower(url_encode(l.transaction_id))
where l.written is null
    and l.shown is not null
    and l.external_id = lower(l.external_id)
    and (l.day in (select day from complete_reads where resource = 'transactions') or t.record <> t.transaction_id)
group by all
having count(*) = 1;

delete from finmap_upload
where external_id in (
    select w.external_id from lowered w join finmap_upload l using (transaction_id, generation)
);

update finmap_upload
set transaction_id = lowered.transaction_id
from lowered
where lowered.external_id = finmap_upload.external_id;

-- If Finmap shows what is wanted and the ledger did not know it, that becomes the base of later comparisons.
with agreed as (
    -- A rebuilt ledger: assume that we wrote what equals the wanted content, but for an order status that has changed
    -- since, so that later changes need no approval. Fields that we do not send are a person's.
    select
        l.external_id,
        struct_update(o.content, "comment" := l.shown.comment) as wanted,
        struct_update(
            l.shown,
            category := if(o.content.category is null, null, l.shown.category),
            tag := if(o.content.tag is null, null, l.shown.tag)
        ) as shown
    from current_uploads l
    join wanted_operations o using (transaction_id)
    where l.written is null
        and l.shown is not null
        and without_status(l.shown.comment) = without_status(o.content.comment)
        and list_filter(
            but_for_labels(differing_fields(o.content, l.shown), o.content), lambda field : field <> 'comment'
        ) = []
    union all
    -- A person and Sitniks made the same change. Labels that a person set stay theirs.
    select
        l.external_id,
        o.content as wanted,
        struct_update(
            l.shown,
            "type" := f.content.type, amount := f.content.amount, occurred_at := f.content.occurred_at,
            account := f.content.account, "comment" := f.content.comment
        ) as shown
    from current_uploads l
    join wanted_operations o using (transaction_id)
    join shown_operations f on f.external_id = l.external_id
    where l.written is not null
        and len(l.intents) = 0
        and len(l.unseen) = 0
        and l.state = 'verified'
        and o.content is distinct from l.written
        and list_has_any(
            differing_fields(o.content, l.written), ['type', 'amount', 'occurred_at', 'account', 'comment']
        )
        and not list_contains(differing_fields(o.content, l.written), 'tag')
        and len(but_for_labels(differing_fields(o.content, f.content), o.content)) = 0
)
update finmap_upload
set written = agreed.wanted, shown = agreed.shown
from agreed
where agreed.external_id = finmap_upload.external_id;

-- A corrected date moves the day, whoever corrected it.
update finmap_upload
set day = moved.day
from (
    select l.external_id, o.day
    from current_uploads l
    join wanted_operations o using (transaction_id)
    where o.day <> l.day and coalesce(l.written, l.shown).occurred_at = o.content.occurred_at
) moved
where moved.external_id = finmap_upload.external_id;
