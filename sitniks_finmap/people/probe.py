"""What `init` asks both APIs before there is a connection: whose a key is, what it may read, and what there is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from sitniks_finmap.clients import finmap, sitniks
from sitniks_finmap.clients.answers import ApiError, KeyRefused, Refused
from sitniks_finmap.clients.finmap import Account, Finmap
from sitniks_finmap.clients.sitniks import Page, Sitniks
from sitniks_finmap.people.doctor import BRISK
from sitniks_finmap.people.doctor_orders import orders_by_status
from sitniks_finmap.people.doctor_page import RECENT
from sitniks_finmap.pipeline.identity import (
    WrongCompany,
    doubt_finmap,
    doubt_sitniks,
    is_proven,
    refuse_another_prefix,
    refuse_another_source,
    suspicion,
)
from sitniks_finmap.pipeline.installation import OtherInstallation, owned_by_others
from sitniks_finmap.pipeline.other_operations import OtherOperations, other_operations_by_account
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse

Side = Literal["sitniks", "finmap"]
OTHER: dict[Side, Side] = {"sitniks": "finmap", "finmap": "sitniks"}
SOURCES = ("transactions", "orders")
NOT_GIVEN = (403, 404)


@dataclass
class SitniksSide:
    """What Sitniks lets this key read."""

    client: Sitniks
    connection: Connection
    pages: dict[str, Page] = field(default_factory=dict)  # source → its latest records; of those that can be read
    refusals: dict[str, str] = field(default_factory=dict)  # source → why it cannot be read

    @property
    def proposed(self) -> str:
        """Transactions if they can be read: they tell more. Not if there are none, but orders."""
        has = [source for source, page in self.pages.items() if page.rows]
        return (has or [*self.pages])[0]

    @cached_property
    def statuses(self) -> list[tuple[str, str, int, str | None]]:
        """ID, title, number among the latest orders and stage of every order status. Raises ApiError."""
        known = self.client.order_statuses()
        rows = orders_by_status(self.connection, self.latest_orders, known)
        found = {row[0]: row for row in rows}
        return [found.get(one["id"], (one["id"], one["title"], 0, None)) for one in known]

    @property
    def latest_orders(self) -> Page:
        return self.pages.get("orders", Page([]))


def ask_sitniks(connection: Connection, now: datetime) -> SitniksSide:
    """Raises KeyRefused if the key may read nothing, ApiError."""
    side = SitniksSide(sitniks.connect(connection, **BRISK), connection)
    for source in SOURCES:
        try:
            side.pages[source] = side.client.page(f"/{source}", now - RECENT, now)
        except (KeyRefused, Refused) as refused:
            if refused.status not in NOT_GIVEN:
                raise
            side.refusals[source] = str(refused)
    if not side.pages:
        raise KeyRefused(side.refusals["transactions"], 403)
    return side


@dataclass
class FinmapSide:
    """What Finmap lets this key write to."""

    client: Finmap
    connection: Connection
    accounts: list[Account]

    def others(self, now: datetime) -> dict[str, OtherOperations]:
        """Account ID → operations of the last 30 days that are not ours. Raises ApiError."""
        return other_operations_by_account(self.client, self.connection, now)

    @cached_property
    def categories(self) -> dict[str, list[Any]]:
        return {"income": self.client.categories("income"), "expense": self.client.categories("expense")}


def ask_finmap(connection: Connection) -> FinmapSide:
    """Raises ApiError."""
    client = finmap.connect(connection, **BRISK)
    return FinmapSide(client, connection, client.accounts())


def is_of_the_other_side(connection: Connection, side: Side, now: datetime) -> bool:
    """Whether the key of this side is one that the other API accepts."""
    other = OTHER[side]
    swapped = connection.model_copy(update={f"{other}_key_env": getattr(connection, f"{side}_key_env")})
    try:
        ask_finmap(swapped) if other == "finmap" else ask_sitniks(swapped, now)
    except ApiError:
        return False
    return True


def refuse_what_is_known(connection: Connection, here: Sitniks, there: Finmap, now: datetime, *, new: bool) -> None:
    """Raise ConfigurationError if what this name stands for already contradicts the connection: its file has another
    company's data, or operations of another source; or, for a `new` one, another installation writes under this name.

    Raises ApiError.
    """
    warehouse = open_warehouse(connection)
    run = ConnectionRun(connection, warehouse, now=lambda: now, proving=False)
    refuse_another_prefix(connection, warehouse)
    if warehouse.exists():
        with warehouse.transaction() as con:
            refuse_another_source(con, connection)
    doubts: dict[Side, Callable[[], str | None]] = {
        "finmap": lambda: doubt_finmap(warehouse, there),
        "sitniks": lambda: doubt_sitniks(warehouse, here, run.bounds),
    }
    for side, doubt in doubts.items():
        if not is_proven(connection, warehouse, side) and (why := doubt()):
            raise WrongCompany(f"{connection.name}: {suspicion(connection, side, why)}. Nothing was written")
    if new and _is_taken(connection, there):
        raise OtherInstallation(
            f'{connection.name}: another installation of sitniks_finmap writes to this Finmap under "'
            f'{connection.key_prefix}". Choose another name. To move that shop to this folder, copy its table of '
            "connections.toml and its keys, then run `sitniks-finmap rebuild-ledger`. Nothing was written"
        )


def _is_taken(connection: Connection, there: Finmap) -> bool:
    try:
        return owned_by_others(connection, open_warehouse(connection), there) is not None
    except (KeyRefused, Refused):
        return False  # the key may not see tags: doctor says so
