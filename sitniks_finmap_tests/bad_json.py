"""JSON that no client should send, as texts, and what Python alone reads in it."""

import json
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.warehouse.schema import sql

KYIV = ZoneInfo("Europe/Kyiv")
NASTY = [
    "'; drop table operations; --", "$1", "%s%n{0}${x}", "<script>alert(1)</script>", "[red]", "[/red][link=x]",
    ":boom:",
    "\x00", "a\x00b", "\x1b[31m", "\r\n\t", "\u2028\u2029", "\u202eabc\u202c", "\u200f\u061c", "\ufeff",
    "👩‍👩‍👧", "e\u0301" * 40,
    "𝟙𝟚", "=1+1", "../../etc/passwd", "C:\\", '"', "\\", "null", "NaN", "?", "?" + "0" * 32, " ", "",
    "Іваненко | Джерело: X",
    "a" * 999, "слово " * 300, "x" * 5000,
]  # fmt: skip
AMOUNTS = [
    "0", "-0", "0.00", "1e2", "1.5E+2", "1E-2", "1e400", "-1e400", "1e-400", "1e99999999999999999999",
    "0.1" + "0" * 60,
    "0.30000000000000004", "100.12000000999", "100.125", "9" * 5000, "9" * 38 + ".99", "9999999999999999.99",
    "10000000000000000", "123456789012345678901234567890.12", "NaN", "Infinity", "-Infinity", "true", "false",
    "null",
    '"1 500,00"', '"1.500,00"', '"1,500"', '"1.500"', '"1,500.00"', '"−100"', '"+5"', '" 12 "', '"1\u00a0500"',
    '"12 50"',
    '"1e2"', '"1e400"', '"0x10"', '"١٢٣"', '"12,3456"', '"1_000"', '"5."', '".5"', '"5 грн"', '"NaN"', '"--5"',
    '""', "[1]", "[]",
    '{"value": 5}', '{"title": "5"}',
]  # fmt: skip
DATES = [
    '"2025-01-15"', '"2025-01-15 10:30"', '"2025-01-15T10:30:00,5+02:00"', '"2025-02-30"',
    '"0001-01-01T00:00:00Z"',
    '"9999-12-31T23:59:59.999Z"', '"2036-04-08T23:00:00Z"', '"2014-12-31T23:59:59.999Z"', '"15.01.2025"',
    '"01/15/2025"',
    '"Wed, 15 Jan 2025 10:00:00 GMT"', '"2025-W03-3"', '"20250115"', '"2025-01-15T25:00:00Z"',
    '"2025-01-15T10:00:00+99:00"',
    '"2025-03-30 03:30:00"', '"2025-10-26 03:30:00"', '"-2025-01-15"', '"infinity"', '"now"', '"epoch"',
    "1736935200",
    "1736935200000", "null", "[]", '"２０２５-01-15"',
]  # fmt: skip
DEEP = ["[" * 3000 + "]" * 3000, '{"a":' * 400 + "1" + "}" * 400]
WILD = [
    *DEEP,
    "null", "true", "false", "[]", "{}", "[null]", '{"title": null}', '{"name": {"name": 1}}',
    '{"id": 5}', r'"\ud800"',
    r'"\udfff\ud800"', r'"x\u0000y"', r'"\u202e"', "NaN", "-Infinity",
    '{"title": "a", "title": "b"}', '{"fullname": "x", "email": [1], "id": 9}', '{"": ""}', '"\n\t"',
]  # fmt: skip
CURRENCIES = {
    '"UAH"': "UAH", '"uah"': "UAH", '"грн"': "UAH", '"₴"': "UAH",
    '{"id": 1, "code": "UAH"}': "UAH", '{"symbol": "₴"}': "UAH",
    '"USD"': "USD", '{"id": 2, "code": "USD", "symbol": "$"}': "USD", '"$"': "USD",
    '["UAH"]': None, "true": None, "[]": None, "{}": None, '{"id": 2}': None, "2": None,
    '"Іваненко"': None, '"IVA"': None,
}  # fmt: skip
DAY_OF = r"\d{4}-\d\d-\d\d"
PLAIN_MONEY = re.compile(r"-?(0|[1-9]\d{0,12})(\.\d{1,2})?")


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


strings = st.one_of(st.sampled_from(NASTY), st.text(max_size=12)).map(quoted)
numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.decimals("-99999999", "99999999", places=2).map(str),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
anything = st.one_of(strings, numbers, st.sampled_from(WILD), st.sampled_from(AMOUNTS), st.sampled_from(DATES))


def identity(value: str, number: int) -> str:
    """An id like this value, and like no other."""
    if value.startswith('"') and not re.search(r"\\ud", value):
        return f'{value[:-1]}{number}"'
    return value if value[0] in 'ntf[{"' else f"-{number}.0E{len(value)}"


class Digits(str):
    """A number as it was written."""

    __slots__ = ()


@dataclass
class Reading:
    """A record's text as Python reads it, the first of two equal fields."""

    fields: dict[str, Any]
    doubled: bool


def read(text: str) -> Reading:
    doubled = False

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal doubled
        doubled = len({name for name, _ in found}) < len(found)  # the outermost object comes last
        return dict(reversed(found))

    for one in DEEP:
        text = text.replace(one, "null")
    parsed = json.loads(
        text, parse_int=Digits, parse_float=Digits, parse_constant=Digits, strict=False, object_pairs_hook=pairs
    )
    return Reading(parsed, doubled)


def plain(text: str) -> Any:
    return read(f'{{"x": {text}}}').fields["x"]


def possible_amounts(written: Any) -> set[Decimal]:
    """Everything that this could mean, signed; of a number, itself."""
    text = unicodedata.normalize("NFC", str(written)).replace("−", "-")
    bare = "".join(
        letter for letter in text if not unicodedata.category(letter).startswith("Z") and letter not in "\t\r\n"
    )
    found = set()
    for one in {bare, bare.replace(",", "."), bare.replace(",", ""), bare.replace(".", "").replace(",", ".")}:
        if re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", one, re.ASCII):
            with suppress(InvalidOperation):  # an exponent of twenty digits
                found.add(Decimal(one))
    return found


def clean(text: str) -> str | None:
    """One line, without control characters and the marks that turn the direction; None when nothing is left."""
    marks = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    kept = "".join(letter for letter in text if letter not in marks)
    spaced = "".join(
        " " if unicodedata.category(one) == "Cc" or unicodedata.category(one)[0] == "Z" else one for one in kept
    )
    return re.sub(" +", " ", spaced).strip(" ") or None


def is_there(value: Any) -> bool:
    """Whether a value is there, readable or not."""
    return value is not None and not (type(value) is str and clean(value) is None)


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found = con.execute(query)
    names = [column[0] for column in found.description]
    return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def serve(sandbox: Sandbox, path: str, texts: list[str]) -> None:
    """The list in pages of 50, each from the last row of the one before; a full page is followed by another."""
    for start in range(0, max(len(texts), 1), 49):
        page = ", ".join(texts[start : start + 50])
        body = f'{{"data": [{page}], "count": {len(texts)}}}'
        sandbox.fault(Fault("status", "sitniks", path=path, status=200, body=body))


def batches(count: int) -> settings:
    """So many examples, each of them a whole list: to shrink one takes minutes."""
    return settings(
        max_examples=count, deadline=None, phases=[Phase.generate], database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )  # fmt: skip


def check_instant(told: Any, moment: datetime) -> None:
    """A moment is what was written, to the day; of an object nobody knows."""
    if isinstance(told, dict):
        return
    text = clean(str(told)) or ""
    local = moment.astimezone(KYIV)
    if re.fullmatch(r"\d{13}(\.0+)?", text, re.ASCII):
        assert int(text[:13]) == round(moment.timestamp() * 1000)
    elif found := re.match(r"(\d\d?)\.(\d\d?)\.(\d{4})(?!\d)", text, re.ASCII):
        assert [local.day, local.month, local.year] == [int(one) for one in found.groups()]
    else:
        assert re.match(r"\d{4}-\d\d-\d\d", text, re.ASCII), told
        assert abs((local.date() - date.fromisoformat(text[:10])).days) <= 1


def check_finmap(run: ConnectionRun, shop: Shop, expected: dict[str, tuple[Any, ...]]) -> None:
    """Finmap has just what was derived, to the letter; and the tables are those of the schema."""
    found = {
        row["externalId"]: (row["type"], row["sum"], datetime.fromtimestamp(row["date"] / 1000, UTC), row["comment"])
        for row in shop.operations()
    }
    assert found == expected
    with run.warehouse.transaction() as con, duckdb.connect() as fresh:
        fresh.execute(sql("schema"))
        tables = "select table_name, estimated_size * 0 from duckdb_tables() where not temporary order by 1"
        assert con.execute(tables).fetchall() == fresh.execute(tables).fetchall()
