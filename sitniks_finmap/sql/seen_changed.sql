-- One row is one ledger entry that Finmap showed at $now and that may need an update, with what Finmap shows.
select l, f.content
from finmap_upload l
join shown_operations f using (external_id)
semi join (from finmap_operations where read_at = $now) r on r.external_id = l.external_id
where l.state <> 'verified'
    or l.missing_since is not null
    or len(l.unseen) > 0
    or len(l.intents) > 0
    or len(l.owed) > 0
    or l.shown is null
    or (
        l.written is not null
        and len(differing_fields(f.content, l.shown)) > 0
        and len(differing_fields(f.content, l.written)) < len(differing_fields(f.content, l.shown))
    )
