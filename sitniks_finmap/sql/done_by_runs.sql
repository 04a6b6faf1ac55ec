-- One row: what the runs with these IDs ($runs) did, by their own records. A run that waited for them may have read
-- their days ($first to $last) again since they began.
with own_days as (
    select day
    from complete_reads
    where resource = (from main_source)
        and (list_contains($runs::varchar[], run_id) or (day between $first and $last and read_at >= $begun))
),
writes as (
    select
        external_id,
        bool_or(method = 'POST') as posted,
        bool_or(method = 'PATCH') as patched,
        bool_or(method = 'DELETE') as deleted,
        bool_or(outcome = 'exists') as was_there
    from finmap_requests
    where list_contains($runs::varchar[], run_id)
    group by all
),
ended as (
    select l.transaction_id, l.generation, l.state, w.posted, w.patched, w.deleted, w.was_there
    from finmap_upload l
    join writes w using (external_id)
),
-- By transaction: withdrawing the first generation and creating the second in the same run is one change.
subjects as (
    select
        transaction_id,
        bool_or(state in ('sent', 'verified') and posted and not was_there) as created,
        bool_or(state in ('sent', 'verified') and patched) as patched,
        bool_or(state in ('sent', 'verified') and posted and was_there) as found,
        bool_or(state in ('withdrawn', 'rolled_back') and deleted) as withdrawn
    from ended
    group by all
)
select
    (select count(*) from own_days) as days_read,
    (
        select count(distinct record) from latest_records
        where gone_at is null and missing_at is null and day in (select day from own_days)
    ) as transactions_read,
    (
        select count(distinct id)
        from (
            select transaction_id as id, run_id from raw_sitniks_transactions
            union all
            select r.order_id, r.run_id from raw_sitniks_orders r join settings on source = 'orders'
        )
        where list_contains($runs::varchar[], run_id)
    ) as new_versions,
    (select count(*) from subjects where created and not withdrawn) as created,
    (select count(*) from subjects where (created and withdrawn) or (patched and not created)) as changed,
    (select count(*) from subjects where withdrawn and not created) as withdrawn,
    (select count(*) from subjects where found and not patched and not created) as found,
    (select count(*) from current_uploads where state = 'failed' and list_contains($runs::varchar[], run_id)) as failed,
    (select count(*) from current_uploads where state = 'refused' and list_contains($runs::varchar[], run_id))
        as refused;
