-- What a rebuilt ledger shows just as it is wanted was written by us: it needs no person when it changes later.
update finmap_upload
set written = o.content
from wanted_operations o
where finmap_upload.written is null
    and finmap_upload.shown is not null
    and finmap_upload.external_id in (select external_id from current_uploads)
    and o.transaction_id = finmap_upload.transaction_id
    and len(but_for_labels(differing_fields(o.content, finmap_upload.shown), o.content)) = 0;

-- A person and Sitniks came to the same: from here on that is what both start from. What a person set freely stays hers.
update finmap_upload
set written = o.content, shown = struct_update(
    finmap_upload.shown,
    "type" := f.content.type, amount := f.content.amount, occurred_at := f.content.occurred_at,
    account := f.content.account, "comment" := f.content.comment
)
from wanted_operations o, shown_operations f
where finmap_upload.written is not null
    and len(finmap_upload.intents) = 0
    and len(finmap_upload.unseen) = 0
    and finmap_upload.state = 'verified'
    and finmap_upload.external_id in (select external_id from current_uploads)
    and o.transaction_id = finmap_upload.transaction_id
    and f.external_id = finmap_upload.external_id
    and list_has_any(differing_fields(o.content, finmap_upload.written), ['type', 'amount', 'occurred_at', 'account', 'comment'])
    and not list_contains(differing_fields(o.content, finmap_upload.written), 'tag')
    and len(but_for_labels(differing_fields(o.content, f.content), o.content)) = 0;

-- A date that was corrected, by whoever, moves the day.
update finmap_upload
set day = o.day
from wanted_operations o
where o.transaction_id = finmap_upload.transaction_id
    and o.day <> finmap_upload.day
    and coalesce(finmap_upload.written, finmap_upload.shown).occurred_at = o.content.occurred_at
    and finmap_upload.external_id in (select external_id from current_uploads);
