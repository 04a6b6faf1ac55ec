"""Transactions as Sitniks writes them."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import Phase, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.answers import Reply
from sitniks_finmap.clients.sitniks import Row, read_page
from sitniks_finmap.sandbox import Shop

KYIV = ZoneInfo("Europe/Kyiv")
DAY = date(2025, 1, 15)
BATCHES = settings(deadline=None, phases=[Phase.generate])  # an example is a batch: to shrink it takes minutes
SOUND = {"date": "2025-01-15 10:30:00", "amount": 1500}


def transaction(number: int, day: date = DAY, amount: Any = 100, **more: Any) -> dict[str, Any]:
    """A transaction of a customer whose number no escaping changes."""
    client = f"Клієнт {880088000 + number}"
    described = {"description": f"Оплата від {client}", "counterparty": client, "source": "Instagram"}
    return {"id": f"tx_{number}", "date": f"{day} 10:00:00", "amount": amount, **described, **more}


def put_many(shop: Shop, count: int) -> None:
    """So many transactions on three days, the last of which is DAY."""
    shop.put_transactions([transaction(n, DAY - timedelta(days=n % 3), amount=100 + n) for n in range(count)])


def read_rows(payloads: Any) -> list[Row]:
    """Payloads, as text or not yet, the way the client reads them."""
    texts = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in payloads]
    text = '{"data": [' + ",\n".join(texts) + "]}"
    return list({row.id: row for row in read_page(Reply(200, json.loads(text), text)).rows}.values())


# -- Instants --


def last_sunday(year: int, month: int) -> date:
    return max(date(year, month, day) for day in range(25, 32) if date(year, month, day).weekday() == 6)


changes_of_the_clock = st.builds(last_sunday, st.integers(2016, 2035), st.sampled_from([3, 10]))
instants = st.one_of(
    st.datetimes(datetime(2015, 1, 1), datetime(2036, 4, 8), timezones=st.just(UTC)),  # noqa: DTZ001
    st.builds(
        lambda day, offset: datetime(day.year, day.month, day.day, tzinfo=UTC) + offset,
        changes_of_the_clock,
        st.timedeltas(timedelta(hours=-27), timedelta(hours=27)),
    ),
    st.builds(
        lambda day, offset: datetime(day.year, day.month, day.day, tzinfo=KYIV).astimezone(UTC) + offset,
        st.dates(date(2015, 1, 2), date(2036, 4, 1)) | changes_of_the_clock,
        st.sampled_from([timedelta(milliseconds=n) for n in (-1, 0, 1, 999, 1000)]),
    ),
)


def written_as(instant: datetime, style: str) -> str:
    """An instant as Sitniks may write it."""
    match style:
        case "utc":
            return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "offset":
            return instant.astimezone(KYIV).isoformat(" ")
        case "compact offset":
            return instant.astimezone(ZoneInfo("Asia/Kathmandu")).strftime("%Y-%m-%dT%H:%M:%S,%f%z")
        case _:
            return instant.astimezone(KYIV).strftime("%Y-%m-%d %H:%M:%S")  # naive: local time


# -- Texts --

alphabet = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "  |\n\r\t\x00\x1f\x85\u2028\u202e\u200dїЇщ👩‍👩‍👧🇺🇦"
)
texts = st.text(alphabet, max_size=30) | st.builds(
    lambda word, times: word * times, st.text(alphabet, min_size=1, max_size=12), st.integers(1, 400)
)
