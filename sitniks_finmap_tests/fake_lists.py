"""Lists that the sandbox serves as a test wants them: filled, made up, or empty although there is something."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sitniks_finmap.clients.sitniks import Row
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap_tests.books import Books

START, END = datetime(2025, 1, 15, tzinfo=UTC), datetime(2025, 1, 16, tzinfo=UTC)
NO_OPERATIONS = '{"list": [], "total": 0}'
NO_TRANSACTIONS = '{"data": [], "count": 0}'


def show_no_operations(books: Books, times: int | None = None) -> None:
    """Finmap shows nothing that it has: an empty list, and 404 for every key."""
    books.sandbox.fault(Fault("status", "finmap", path="/operations/list", status=200, body=NO_OPERATIONS, times=times))
    books.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=404, times=times))


def show_no_transactions(books: Books, times: int | None = None) -> None:
    """Sitniks answers that it has no transactions."""
    body = NO_TRANSACTIONS
    books.sandbox.fault(Fault("status", "sitniks", path="/transactions", status=200, body=body, times=times))


def fill(shop: Shop, rows: int, day: date = date(2025, 1, 15), resource: str = "transactions") -> set[str]:
    """Puts rows into a day, one a minute, and returns their ids."""
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    payloads: list[Any] = [
        {"id": f"{day:%m%d}-{n}", "createdAt": (first + timedelta(minutes=n)).isoformat(), "amount": n}
        for n in range(rows)
    ]
    (shop.put_transactions if resource == "transactions" else shop.put_orders)(payloads)
    return {payload["id"] for payload in payloads}


def ids(rows: list[Row]) -> set[str]:
    assert len({row.id for row in rows}) == len(rows), "a row came twice"
    return {row.id for row in rows}


def answers(sandbox: Sandbox, *bodies: Any) -> None:
    for body in bodies:
        sandbox.fault(Fault("status", "sitniks", status=200, body=json.dumps(body)))


def page(*numbers: int) -> list[dict[str, int]]:
    return [{"id": number} for number in numbers]
