-- Fills raw_sitniks_orders with $orders orders in two and a half times as many versions, one to four of each, which go
-- through the usual statuses. One order in 12 writes its totals as texts, one in 13 lacks the cost of a line at first,
-- one in 17 loses a part of its total in its last version. Chance is a hash, so that all runs have the same data.
create or replace temp macro chance(number, what, of) as (hash(number, what) % of)::bigint;

insert into raw_sitniks_orders by name
with versions as (
    select
        number,
        version,
        1 + number % 4 as latest,
        timestamptz '2024-01-01 06:00:00+00' + number * interval 1 day / ($orders / 700) as created_at,
        [
            ['Новий', 'В роботі', 'В дорозі', 'Виконано'],
            ['Новий', 'Передплата', 'Виконано', 'Повернено'],
            ['Новий', 'Виконано', 'Виконано', 'Частково повернено'],
            ['Передплата', 'Виконано', 'Виконано', 'Виконано'],
            ['Виконано', 'Виконано', 'Повернено', 'Повернено'],
            ['Новий', 'Відмінено', 'Відмінено', 'Відмінено'],
            ['В роботі', 'Виконано', 'Виконано', 'Виконано'],
            ['Виконано', 'Виконано', 'Виконано', 'Виконано']
        ][1 + chance(number, 'course', 8)][version] as status,
        1 + chance(number, 'lines', 3) as lines,
        190 + chance(number, 'total', 4000) as price,
        if(chance(number, 'part', 17) = 0 and version = latest and version > 1, price * 0.7, price)::decimal(18, 2) as total
    from (select range as number from range($orders)) cross join (select unnest([1, 2, 3, 4]) as version)
    where version <= 1 + number % 4
),
written as (
    select
        *,
        1 + list_position(['Новий', 'В роботі', 'В дорозі', 'Виконано', 'Відмінено', 'Повернено', 'Передплата',
            'Частково повернено'], status) as status_id,
        1 + chance(number, 'channel', 6) as channel,
        if(chance(number, 'text', 12) = 0, '"' || total || '"', total::double::varchar) as shown_total,
        strftime(created_at, '%Y-%m-%dT%H:%M:%S.%gZ') as created,
        strftime(created_at + version * interval 30 hour, '%Y-%m-%dT%H:%M:%S.%gZ') as updated
    from versions
)
select
    (500000 + number)::varchar as order_id,
    version,
    timezone('Europe/Kyiv', created_at)::date as day,
    md5(number || '.' || version) as content_hash,
    created_at + version * interval 30 hour as first_seen_at,
    first_seen_at as last_seen_at,
    'benchmark' as run_id,
    format(
        '{{"id": {}, "orderNumber": {}, "externalId": null, "createdAt": "{}", "updatedAt": "{}", "status": {{"id": {}, '
        || '"title": "{}"}}, "client": {{"id": {}, "fullname": "Олена Коваленко {}", "phone": "+380{}", "email": null}}, '
        || '"salesChannel": {{"id": {}, "title": "{}"}}, "responsible": {{"user": {{"fullname": "Менеджер {}"}}}}, '
        || '"delivery": {{"title": "Нова Пошта"}}, "managerComment": "Передзвонити", "totalPrice": {}, '
        || '"totalPriceDiscount": {}, "payment": {{"amount": {}}}, "cashOnDelivery": 0, "products": [{}]}}',
        500000 + number, number, created, updated, status_id, status, chance(number, 'client', 9000),
        chance(number, 'client', 9000), 500000000 + number, channel,
        ['Instagram', 'Rozetka', 'Prom.ua', 'Сайт', 'Telegram', 'Facebook'][channel], number % 3 + 1, price,
        if(number % 9 = 0, 'null', shown_total), if(chance(number, 'prepaid', 5) = 0, price // 5, 0),
        array_to_string(list_transform(range(lines), lambda line : format(
            '{{"title": "Футболка базова {}", "quantity": {}, "price": {}, "offerPriceDiscount": null, "costPrice": {}, '
            || '"productVariation": {{"id": {}, "sku": "TS-{}", "price": {}, "productId": {}, "stock": {}}}}}',
            line, ['1', '2', '"1"', '1.5'][1 + chance(number, line, 4)], price // lines,
            if(version = 1 and line = 0 and chance(number, 'cost', 13) = 0, 'null', (price * 4 // lines / 10)::varchar),
            number % 400, number % 400, price // lines, number % 100, chance(number, version, 50)
        )), ', ')
    ) as payload
from written
