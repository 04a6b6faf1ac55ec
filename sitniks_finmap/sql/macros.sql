-- Macros of the warehouse; recreated whenever one of them changes.
-- They use `case`, never `if(…)`, which DuckDB 2 stores as a function that older versions lack.

-- Whether an operation in this state is no longer in Finmap.
create or replace macro is_out(state) as state in ('withdrawn', 'deleted', 'rolled_back');

-- The content of an operation as one value of type `content`.
create or replace macro content_of(
    type, amount, occurred_at, account, category, tag, comment, project, counterparty
) as struct_pack(
    "type" := type, amount := amount, occurred_at := occurred_at, account := account, category := category,
    tag := tag, "comment" := comment, project := project, counterparty := counterparty
);

-- The fields in which two contents differ.
create or replace macro differing_fields(a, b) as list_filter([
    case when a.type is distinct from b.type then 'type' end,
    case when a.amount is distinct from b.amount then 'amount' end,
    case when a.occurred_at is distinct from b.occurred_at then 'occurred_at' end,
    case when a.account is distinct from b.account then 'account' end,
    case when a.category is distinct from b.category then 'category' end,
    case when a.tag is distinct from b.tag then 'tag' end,
    case when a.comment is distinct from b.comment then 'comment' end,
    case when a.project is distinct from b.project then 'project' end,
    case when a.counterparty is distinct from b.counterparty then 'counterparty' end
], lambda field : field is not null);

-- The fields that a person changed in Finmap since it first showed what we wrote; `unseen` are not shown yet. None while
-- the outcome of a write (`intents`) is unknown: only the next attempt, which checks first, can tell what is ours.
create or replace macro edited_fields(theirs, shown, unseen, intents) as case
    when shown is null or theirs is null or len(intents) > 0 then []
    else list_filter(differing_fields(theirs, shown), lambda field : not list_contains(unseen, field))
end;

-- The fields that a person may set freely. What people chose there is never overwritten.
create or replace macro is_peoples(field) as field in ('category', 'tag', 'project', 'counterparty');

create or replace macro but_for_peoples_fields(fields) as list_filter(fields, lambda field : not is_peoples(field));

-- The fields that say how much money moved, where, and when.
create or replace macro money_fields(fields) as list_intersect(fields, ['type', 'amount', 'account', 'occurred_at']);

-- What Finmap has in a field that is about to change: what was written there, unless a person or Finmap made something
-- else of it.
create or replace macro value_before(field, edited, written, wanted, theirs) as
    case when written is null or written is not distinct from wanted or list_contains(edited, field) then theirs else written end;

-- Without the fields that were carried over unchanged to the next generation.
create or replace macro but_for_carried(fields, has, was, taken_over) as case when taken_over is null then fields else
    but_for_peoples_fields(fields) || list_intersect(fields, [
        case when has.category is distinct from taken_over.category then 'category' end,
        case when has.project is distinct from taken_over.project then 'project' end,
        case when has.counterparty is distinct from taken_over.counterparty then 'counterparty' end,
        case
            when has.tag is not null and not list_has_all(
                string_split(concat_ws(',', taken_over.tag, was.tag), ','), string_split(has.tag, ',')
            ) then 'tag'
        end
    ])
end;

-- Without the fields where what Finmap shows cannot be compared with what is wanted: it shows tags as IDs, and any
-- value is fine where none is wanted.
create or replace macro but_for_labels(fields, wanted) as list_filter(
    fields,
    lambda field : field not in ('tag', 'project', 'counterparty') and not (field = 'category' and wanted.category is null)
);

-- Field names for people.
create or replace macro named(fields) as replace(array_to_string(fields, ', '), 'occurred_at', 'date');

-- A JSON value as one line of text; an object is represented by its title or name. Null if there is nothing to read.
-- Control characters, line breaks and bidirectional marks are removed.
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

-- Parses a timestamp; without a zone it is local time in the given zone, and a bare date is its first moment. Accepts
-- ISO 8601, day.month.year as written in Ukraine, and JavaScript's milliseconds since 1970.
create or replace macro instant_of(stamp, zone) as case
    when stamp like '____-__-__T__:__:__.___Z' then try_cast(stamp as timestamptz)  -- as most are written
    when regexp_full_match(stamp, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)? ?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)')
        then try_cast(replace(stamp, ',', '.') as timestamptz)
    when regexp_full_match(stamp, '\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?)?')
        then try(timezone(zone, try_cast(replace(stamp, ',', '.') as timestamp)))
    when regexp_full_match(stamp, '\d{13}(\.0+)?')
        then make_timestamptz(left(stamp, 13)::bigint * 1000)
    when regexp_full_match(stamp, '\d\d?\.\d\d?\.\d{4}(,? \d\d?:\d\d(:\d\d)?)?')
        then try(timezone(zone, try_strptime(replace(stamp, ',', ''), ['%d.%m.%Y %H:%M:%S', '%d.%m.%Y %H:%M', '%d.%m.%Y'])))
end;

-- An instant without its microseconds; faster than date_trunc.
create or replace macro in_milliseconds(instant) as make_timestamptz(epoch_us(instant) // 1000 * 1000);

-- An instant between 1990 and 2100, else null: other systems' placeholder dates (0001-01-01, 9999-12-31) do not count.
create or replace macro sensible(instant) as case
    when instant between timestamptz '1990-01-01 00:00:00+00' and timestamptz '2100-01-01 00:00:00+00' then instant
end;

-- Parses an amount exactly: "1500", "-1500.00", "1 500,00", "1.500,00", "−100". Null if it is unreadable or ambiguous:
-- "1,500", and "1.500" as a string rather than a number.
create or replace macro bare_amount(written) as replace(
    case
        -- Spaces between groups of three only: "12 50" could be two prices.
        when regexp_full_match(regexp_replace(written, '^[\s\p{Z}]+|[\s\p{Z}]+$', '', 'g'), '[+−-]?[\s\p{Z}]?\d{1,3}([\s\p{Z}]\d{3})+([.,]\d+)?')
            then regexp_replace(written, '[\s\p{Z}]', '', 'g')
        else regexp_replace(written, '^[\s\p{Z}]+|[\s\p{Z}]+$', '', 'g')
    end,
    '−', '-'
);

create or replace macro amount_of(written, is_text) as try_cast(
    case
        when regexp_full_match(written, '\d+(\.\d{1,2})?') then written
        when is_text and regexp_full_match(bare_amount(written), '[+-]?\d{1,3}\.\d{3}') then null
        when regexp_full_match(bare_amount(written), '[+-]?\d+(\.\d+)?([eE][+-]?\d{1,2})?') then bare_amount(written)
        when regexp_full_match(bare_amount(written), '[+-]?\d+,\d{1,2}') then replace(bare_amount(written), ',', '.')
        when regexp_full_match(bare_amount(written), '[+-]?\d{1,3}(,\d{3})+\.\d+') then replace(bare_amount(written), ',', '')
        when regexp_full_match(bare_amount(written), '[+-]?\d{1,3}(\.\d{3})+,\d{1,2}')
            then replace(replace(bare_amount(written), '.', ''), ',', '.')
    end
    as decimal(38, 18)
);

-- Whether a text is an amount with two meanings: "1,500".
create or replace macro is_ambiguous(written) as regexp_full_match(bare_amount(written), '[+-]?\d{1,3}([.,]\d{3})+');

-- The number in a JSON value, be it a number, which is written as it is, or a text. Most are numbers: they come first.
create or replace macro number_of(value) as coalesce(
    try_cast(value::varchar as decimal(38, 18)),
    case json_type(value) when 'VARCHAR' then amount_of(json_extract_string(value, '$'), true) end
);

-- Whether a value is present, readable as text or not; null and blank strings do not count.
create or replace macro is_there(value, text) as text is not null or json_type(value) in ('OBJECT', 'ARRAY', 'BOOLEAN');

-- Whether this is an ISO 4217 code: any other three letters may be someone's name.
create or replace macro is_currency(code) as code in (
    'AED', 'AFN', 'ALL', 'AMD', 'ANG', 'AOA', 'ARS', 'AUD', 'AWG', 'AZN', 'BAM', 'BBD', 'BDT', 'BGN', 'BHD', 'BIF', 'BMD',
    'BND', 'BOB', 'BRL', 'BSD', 'BTN', 'BWP', 'BYN', 'BZD', 'CAD', 'CDF', 'CHF', 'CLP', 'CNY', 'COP', 'CRC', 'CUP', 'CVE',
    'CZK', 'DJF', 'DKK', 'DOP', 'DZD', 'EGP', 'ERN', 'ETB', 'EUR', 'FJD', 'FKP', 'GBP', 'GEL', 'GHS', 'GIP', 'GMD', 'GNF',
    'GTQ', 'GYD', 'HKD', 'HNL', 'HRK', 'HTG', 'HUF', 'IDR', 'ILS', 'INR', 'IQD', 'IRR', 'ISK', 'JMD', 'JOD', 'JPY', 'KES',
    'KGS', 'KHR', 'KMF', 'KPW', 'KRW', 'KWD', 'KYD', 'KZT', 'LAK', 'LBP', 'LKR', 'LRD', 'LSL', 'LYD', 'MAD', 'MDL', 'MGA',
    'MKD', 'MMK', 'MNT', 'MOP', 'MRU', 'MUR', 'MVR', 'MWK', 'MXN', 'MYR', 'MZN', 'NAD', 'NGN', 'NIO', 'NOK', 'NPR', 'NZD',
    'OMR', 'PAB', 'PEN', 'PGK', 'PHP', 'PKR', 'PLN', 'PYG', 'QAR', 'RON', 'RSD', 'RUB', 'RWF', 'SAR', 'SBD', 'SCR', 'SDG',
    'SEK', 'SGD', 'SHP', 'SLE', 'SOS', 'SRD', 'SSP', 'STN', 'SVC', 'SYP', 'SZL', 'THB', 'TJS', 'TMT', 'TND', 'TOP', 'TRY',
    'TTD', 'TWD', 'TZS', 'UAH', 'UGX', 'USD', 'UYU', 'UZS', 'VES', 'VND', 'VUV', 'WST', 'XAF', 'XCD', 'XOF', 'XPF', 'YER',
    'ZAR', 'ZMW', 'ZWG'
);

-- The ISO code of a currency given by a known sign or name, else the text in upper case.
create or replace macro currency_named(written) as case
    when upper(written) in ('UAH', '₴', 'ГРН', 'ГРН.', 'ГРИВНЯ', 'ГРИВНІ', 'ГРИВЕНЬ', 'ГРИВНА', 'HRYVNIA') then 'UAH'
    when upper(written) in ('$', 'US$', 'ДОЛАР', 'ДОЛАР США', 'US DOLLAR') then 'USD'
    when upper(written) in ('€', 'ЄВРО', 'EURO') then 'EUR'
    when upper(written) in ('ZŁ', 'ЗЛОТИЙ', 'ЗЛОТИЙ ПОЛЬСЬКИЙ') then 'PLN'
    when upper(written) = '£' then 'GBP'
    else upper(written)
end;

-- The currency in a JSON value or its text; in an object, the first field that names one. Null: nothing to read.
create or replace macro currency_of(value, text) as case
    when json_type(value) = 'OBJECT' then coalesce(
        list_filter(
            list_transform(
                json_extract_string(value, [
                    '$.code', '$.isoCode', '$.iso', '$.iso_code', '$.currencyCode', '$.symbol', '$.sign',
                    '$.title', '$.name', '$.shortName'
                ]),
                lambda said : currency_named(trim(said))
            ),
            lambda said : is_currency(said)
        )[1],
        currency_named(text)
    )
    else currency_named(text)
end;

-- The values other than its title by which a JSON object may identify itself.
create or replace macro words_of(value) as json_extract_string(
    value, ['$.code', '$.key', '$.value', '$.slug', '$.type', '$.name']
);

-- The direction that a word means on a bank statement: income, expense, or null.
create or replace macro direction_of(said) as case
    when regexp_full_match(lower(trim(said)),
        '(expenses?|outcome|outgo|outgoing|outflow|out|spending|spend|withdrawal|withdraw|payout|debit|dr|minus|[-−]1?'
        || '|витрат[аиу]?|витратн\p{L}*|видат(ок|ки)|видатков\p{L}*|вихідн\p{L}*|списання|мінус|дебет'
        || '|расход[ы]?|расходн\p{L}*|списание|минус)'
        || '([ _-](operation|transaction|payment|type|операція|транзакція|платіж|операция))?'
    ) then 'expense'
    when regexp_full_match(lower(trim(said)),
        '(incomes?|incoming|inflow|in|deposit|receipt|credit|cr|plus|\+1?'
        || '|дох(ід|оди)|дохідн\p{L}*|доход[ы]?|доходн\p{L}*|прибут(ок|ки)|прибутков\p{L}*|прих(ід|од)|приходн\p{L}*'
        || '|вхідн\p{L}*|надходження|зарахування|поповнення|плюс|кредит|поступление|зачисление|пополнение)'
        || '([ _-](operation|transaction|payment|type|операція|транзакція|платіж|операция))?'
    ) then 'income'
end;

-- Normalizes a name for comparison: letter case, whitespace, apostrophes, invisible characters, and the two Unicode
-- forms of й and ї vary.
create or replace macro normal_name(written) as nullif(lower(trim(regexp_replace(regexp_replace(regexp_replace(
    nfc_normalize(written), '[’ʼ‘`´]', '''', 'g'), '\p{Cf}+', '', 'g'), '[\p{Z}\p{Cc}]+', ' ', 'g'))), '');

-- A comment without the order status.
create or replace macro without_status(comment) as regexp_replace(
    comment, ' \| Статус: [^|]*$|Статус: [^|]* \| |^Статус: [^|]*$', ''
);

-- order-1234.sale → 1234; null for the ID of a transaction.
create or replace macro order_of(transaction_id) as
    nullif(regexp_extract(transaction_id, '^order-(.*?)(\.(prepayment|sale|refund|partial|cogs|restock))?$', 1), '');

-- order-1234.sale → sale; null for a whole order and for the ID of a transaction.
create or replace macro part_of(transaction_id) as
    nullif(regexp_extract(transaction_id, '^order-.*\.(prepayment|sale|refund|partial|cogs|restock)$', 1), '');

-- Whether a person should look at an order without an operation for this reason: money may have come or gone.
create or replace macro needs_a_look(reason) as reason in (
    'it went back to a status that is in no list',
    'prepaid, but its prepayment has no amount',
    'refunded before it was ever seen paid',
    'partly refunded before it was ever seen paid',
    'refunded, but its money came before start_date',
    'partly refunded, but its total does not tell how much',
    'the cost of its goods is incomplete'
);

-- When an order that could not be read by ID, or was not there, is asked for again: after as long as it has been failing,
-- within a day; one that is missing within 30.
create or replace macro asked_again_at(tried_at, failing_since, missing) as
    tried_at + greatest(interval 1 hour, least(tried_at - failing_since, interval 1 day * case when missing then 30 else 1 end));

-- Truncates a text to at most `most` characters with an ellipsis, at a word boundary unless the word is very long.
create or replace macro cut_at_word(text, most) as case
    when length(text) <= most then text
    else left(regexp_replace(left(text, most), ' [^ ]{0,40}$', ''), most - 1) || '…'
end;

-- The limit to apply to each of these lengths, sorted ascending, so that their sum is at most `most`.
create or replace macro kept_of_each(lengths, most) as list_max(list_transform(
    range(len(lengths)),
    lambda n : (most - coalesce(list_sum(lengths[1:n]), 0))::bigint // (len(lengths) - n)
));

-- Joins parts, the longest cut so that together they have at most `most` characters.
create or replace macro joined_and_cut(parts, most) as array_to_string(list_transform(
    list_zip(parts, list_resize([]::bigint[], len(parts), kept_of_each(
        list_sort(list_transform(parts, lambda part : length(part))), most - 3 * (len(parts) - 1)
    ))),
    lambda pair : cut_at_word(pair[1], pair[2])
), ' | ');

-- Joins parts, but for nulls, into a text of at most `most` characters, truncating the longest so that the others stay
-- whole.
create or replace macro joined_within(parts, most) as case
    when coalesce(length(array_to_string(parts, ' | ')), 0) <= most then coalesce(array_to_string(parts, ' | '), '')
    else joined_and_cut(list_filter(parts, lambda part : part is not null), most)
end;

-- The fields of a Sitniks transaction that are read: the paths where each may be.
create or replace macro transaction_paths() as [
    '$.date', '$.createdAt',
    '$.amount',
    '$.description', '$.comment',
    '$.counterparty', '$.client.fullname', '$.order.client.fullname', '$.client.name', '$.client.email',
    '$.client.instagram', '$.client.id',
    '$.source', '$.salesChannel', '$.order.salesChannel', '$.order.source',
    '$.orderNumber', '$.order.orderNumber',
    '$.paymentMethod',
    '$.delivery', '$.order.delivery',
    '$.order.status', '$.orderStatus',
    '$.orderId', '$.order.id',
    '$.currency', '$.currencyCode', '$.currencyId', '$.settlementAccount.currency',
    '$.settlementAccount', '$.settlementAccountId', '$.settlementAccount.id',
    -- its direction, as words and then as booleans
    '$.type', '$.direction', '$.operationType', '$.transactionType', '$.kind', '$.flow', '$.operation', '$.sign',
    '$.category.type',
    '$.isIncome', '$.isExpense'
];

-- The fields of a Sitniks order that are read, but for its lines and `updatedAt`, which changes with fields that are not.
create or replace macro order_paths() as [
    '$.orderNumber',
    '$.status', '$.orderStatus', '$.status.id', '$.statusId',
    '$.client.fullname', '$.client.email', '$.client.id',
    '$.salesChannel', '$.salesChannel.id',
    '$.totalPriceDiscount', '$.totalPrice', '$.payment.amount',
    '$.createdAt',
    '$.currency',
    '$.paymentMethod', '$.settlementAccount',
    '$.delivery'
];

-- What is read of a JSON value: of an object, its title and whatever else may name it.
create or replace macro read_of(value) as case json_type(value)
    when 'OBJECT' then json_extract_string(value, [
        '$.title', '$.name', '$.code', '$.key', '$.value', '$.slug', '$.type', '$.isoCode', '$.iso', '$.iso_code',
        '$.currencyCode', '$.symbol', '$.sign', '$.shortName'
    ])::varchar
    else value::varchar
end;

-- A hash of what is read of a record, and of the whole text of what is no record. Amounts count digit by digit.
create or replace macro transaction_hash(text, amount) as case
    when case when json_valid(text) then json_type(text) = 'OBJECT' end then md5(concat_ws(
        chr(0),
        amount,
        list_transform(json_extract(text, transaction_paths()), lambda value : read_of(value))::varchar,
        len(json_keys(text)) > len(list_distinct(json_keys(text)))
    ))
    else md5(text)
end;
create or replace macro order_hash(text) as case
    when case when json_valid(text) then json_type(text) = 'OBJECT' end then md5(concat_ws(
        chr(0),
        list_transform(json_extract(text, order_paths()), lambda value : read_of(value))::varchar,
        json_array_length(text, '$.products'),
        json_extract(text, '$.products[*].costPrice')::varchar,
        json_extract(text, '$.products[*].quantity')::varchar
    ))
    else md5(text)
end;

-- Whether a text that names a client is an e-mail, a nickname, a phone or an ID, and no name.
create or replace macro is_sign(named) as regexp_full_match(trim(named), '\S*@\S*|\+?[0-9 ()-]+');

-- The names of the top fields of a record that differ between two versions of it.
create or replace macro changed_fields(before, now) as list_sort(list_filter(
    list_distinct(json_keys(before) || json_keys(now)),
    lambda name : json_extract(before, '$."' || name || '"') is distinct from json_extract(now, '$."' || name || '"')
));

