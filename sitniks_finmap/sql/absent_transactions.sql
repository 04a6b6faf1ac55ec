-- One row is one live transaction that a complete read (this_read) should have shown but did not (see arrived). If its
-- createdAt agrees with the windows in which it was seen, createdAt decides whether this read covers it; otherwise only
-- those windows do, because `date` is when it was paid and the API filters by when it was entered.
create or replace temp table absent as
select transaction_id, version, missing_at
from (
    select transaction_id, version, missing_at, seen_from, seen_to, list_transform(
        list_transform(json_extract(payload, ['$.createdAt']), lambda value : text_of(value)),
        lambda stamp : instant_of(stamp, timezone)
    )[1] as created_at
    from latest_transactions
    cross join this_read r
    cross join settings
    where gone_at is null
        and (day between r.first_day and r.last_day or (seen_from >= r.read_from and seen_to <= r.read_to))
        and transaction_id not in (select transaction_id from arrived)
)
cross join this_read r
where if(
    created_at is not null and (seen_from is null or created_at between seen_from and seen_to),
    created_at between r.read_from and least(r.read_to, r.read_at) - interval 1 millisecond,
    seen_from >= r.read_from and seen_to <= r.read_to
);

-- Missing once proves nothing: it is gone when a later run's read does not have it either.
update raw_sitniks_transactions
set gone_at = r.read_at
from absent, this_read r
where raw_sitniks_transactions.transaction_id = absent.transaction_id
    and raw_sitniks_transactions.version = absent.version
    and absent.missing_at <= r.read_at - interval 10 minutes;

update raw_sitniks_transactions
set missing_at = r.read_at
from absent, this_read r
where raw_sitniks_transactions.transaction_id = absent.transaction_id
    and raw_sitniks_transactions.version = absent.version
    and absent.missing_at is null;
