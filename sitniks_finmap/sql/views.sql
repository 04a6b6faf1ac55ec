-- What the tables are read through; made anew whenever the schema version rises.

-- One row is the last generation of one transaction's operation in the ledger.
create or replace view current_uploads as
select l.*
from finmap_upload l
join (select transaction_id, max(generation) as generation from finmap_upload group by all)
    using (transaction_id, generation);

-- One row is the present version of one live or gone transaction.
create or replace view latest_transactions as
select raw.*
from raw_sitniks_transactions raw
join (select transaction_id, max(version) as version from raw_sitniks_transactions group by all)
    using (transaction_id, version);

-- One row is the present version of one order.
create or replace view latest_orders as
select raw.*
from raw_sitniks_orders raw
join (select order_id, max(version) as version from raw_sitniks_orders group by all) using (order_id, version);

-- One row is one order that Sitniks could not show when it was last asked for; its status stays as last known.
create or replace view unreadable_orders as
select order_id, reason, failing_since as since, tried_at
from order_tries
where not missing;

-- One row is one live transaction whose operation or rejection was not derived from its present version.
create or replace view underived_transactions as
select t.transaction_id, t.day
from latest_transactions t
cross join settings s
left join (
    select transaction_id, raw_version from operations
    union all
    select transaction_id, raw_version from rejected_transactions
) derived using (transaction_id)
where t.day >= s.start_date and if(t.gone_at is null, derived.raw_version is distinct from t.version, derived.raw_version is not null);

-- A JSON value as one line of text: of an object its title or name; null when there is nothing to read.
-- Control characters, line ends and the marks that turn the writing direction are taken out.
create or replace macro text_of(value) as nullif(trim(regexp_replace(regexp_replace(
    case json_type(value)
        when 'VARCHAR' then json_extract_string(value, '$')
        when 'OBJECT' then coalesce(
            nullif(trim(json_extract_string(value, '$.title')), ''), json_extract_string(value, '$.name')
        )
        when 'BIGINT' then json_extract_string(value, '$')
        when 'UBIGINT' then json_extract_string(value, '$')
        when 'DOUBLE' then json_extract_string(value, '$')
    end,
    '[\x{061C}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2066}-\x{2069}]', '', 'g'),
    '[\p{Cc}\p{Z}]+', ' ', 'g')), '');

-- A stamp as an instant; one without a zone is local time of the given zone, a bare day its first moment.
create or replace macro instant_of(stamp, zone) as case
    when regexp_full_match(stamp, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)? ?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)')
        then try_cast(replace(stamp, ',', '.') as timestamptz)
    when regexp_full_match(stamp, '\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?)?')
        then try(timezone(zone, try_cast(replace(stamp, ',', '.') as timestamp)))
end;

-- A moment between 1990 and 2100; an empty date of another system (0001-01-01, 9999-12-31) is none.
create or replace macro sensible(instant) as if(instant between timestamptz '1990-01-01 00:00:00+00' and timestamptz '2100-01-01 00:00:00+00', instant, null);

-- An amount as written, exactly: "1500", "-1500.00", "1 500,00", "1.500,00", "−100". Null when it cannot be read,
-- or can be read in two ways: "1,500", and "1.500" where it is a text and not a number.
create or replace macro bare_amount(written) as replace(
    if(
        -- Spaces between groups of three only: "12 50" could be two prices.
        regexp_full_match(regexp_replace(written, '^[\s\p{Z}]+|[\s\p{Z}]+$', '', 'g'), '[+−-]?[\s\p{Z}]?\d{1,3}([\s\p{Z}]\d{3})+([.,]\d+)?'),
        regexp_replace(written, '[\s\p{Z}]', '', 'g'),
        regexp_replace(written, '^[\s\p{Z}]+|[\s\p{Z}]+$', '', 'g')
    ),
    '−', '-'
);
create or replace macro amount_of(written, is_text) as try_cast(
    case
        when is_text and regexp_full_match(bare_amount(written), '[+-]?\d{1,3}\.\d{3}') then null
        when regexp_full_match(bare_amount(written), '[+-]?\d+(\.\d+)?([eE][+-]?\d{1,2})?') then bare_amount(written)
        when regexp_full_match(bare_amount(written), '[+-]?\d+,\d{1,2}') then replace(bare_amount(written), ',', '.')
        when regexp_full_match(bare_amount(written), '[+-]?\d{1,3}(,\d{3})+\.\d+') then replace(bare_amount(written), ',', '')
        when regexp_full_match(bare_amount(written), '[+-]?\d{1,3}(\.\d{3})+,\d{1,2}')
            then replace(replace(bare_amount(written), '.', ''), ',', '.')
    end
    as decimal(38, 18)
);

-- A comment without the status of the order.
create or replace macro without_status(comment) as regexp_replace(
    comment, ' \| Статус: [^|]*$|Статус: [^|]* \| |^Статус: [^|]*$', ''
);

-- A text of at most `most` characters: cut at a word, the cut shown by an ellipsis.
create or replace macro cut_at_word(text, most) as if(
    length(text) <= most, text, left(regexp_replace(left(text, most), ' \S*$', ''), most - 1) || '…'
);
