"""Finmap's operations of one shop. Money is whole kopiykas, instants are milliseconds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from secrets import token_hex
from typing import Any
from uuid import uuid4

from .directories import Directories
from .exchange import exact_text, parse_json
from .operation_rows import row_text, stored_row
from .sitniks_rows import microseconds
from .state import State

INSERT = """
insert into operations (
    shop, id, external_id, type, date, sum, sum_to, account_to, account_from, approved, body,
    holds_id, visible_at, updated_at
) values (
    :shop, :id, :external_id, :type, :date, :sum, :sum_to, :account_to, :account_from, :approved, :body,
    :holds_id, :visible_at, :updated_at
)
"""
UPDATE = """
update operations set
    date = :date, sum = :sum, sum_to = :sum_to, account_to = :account_to, account_from = :account_from,
    approved = :approved, body = :body, updated_at = :updated_at
where seq = :seq
"""
FIND_BY_EXTERNAL_ID = """
select * from operations where shop = :shop and external_id = :external_id and (deleted_at is null or deleted_at > :now)
    and visible_at <= :now order by seq limit 1
"""
FIND_BY_ID = """
select * from operations where shop = :shop and id = :id and (deleted_at is null or deleted_at > :now)
    and visible_at <= :now
"""
TAKEN = """
select 1 from operations where shop = ? and external_id = ?
    and ((deleted_at is null and (holds_id or visible_at <= ?)) or (deleted_at is not null and ?))
limit 1
"""
PAGE = """
select * from operations
where shop = :shop and (deleted_at is null or deleted_at > :now) and visible_at <= :now and date between :start and :end
    and sum between :sum_from and :sum_to
    and (:approved is null or approved = :approved)
    and (:types is null or type in (select value from json_each(:types)))
    and (:ids is null or id in (select value from json_each(:ids)))
    and (:accounts is null or account_to in (select value from json_each(:accounts))
        or account_from in (select value from json_each(:accounts)))
    and (:categories is null
        or json_extract(body, '$.categoryId') in (select value from json_each(:categories)))
    and (:counterparties is null
        or json_extract(body, '$.counterpartyId') in (select value from json_each(:counterparties)))
    and (:projects is null or json_extract(body, '$.projectId') in (select value from json_each(:projects)))
    and (:tags is null or exists (
        select 1 from json_each(body, '$.tagIds') as tag
        where tag.value in (select value from json_each(:tags))))
    and (:search is null or instr(casefold(json_extract(body, '$.comment')), casefold(:search)))
order by ORDER limit :limit offset :offset
"""
PAGES = {
    "newest": PAGE.replace("ORDER", "date desc, seq desc"),
    "oldest": PAGE.replace("ORDER", "date, seq"),
    "newest_day": PAGE.replace("ORDER", "date / 86400000 desc, seq desc"),
    "oldest_day": PAGE.replace("ORDER", "date / 86400000, seq"),
}
COUNT = """
select count(*) filter (where visible_at <= ?) as visible, count(*) as known from operations
where shop = ? and deleted_at is null
"""
BALANCES = """
select account, sum(change) as balance from (
    select account_to as account, sum_to as change from operations
    where shop = :shop and deleted_at is null and visible_at <= :now and approved and account_to is not null
    union all
    select account_from, -sum from operations
    where shop = :shop and deleted_at is null and visible_at <= :now and approved and account_from is not null
) group by account
"""


REMEMBERED_TEXTS = 20_000


def milliseconds(moment: datetime) -> int:
    return microseconds(moment) // 1000


def kopiykas(amount: Decimal | int) -> int:
    return int(Decimal(amount).scaleb(2))


@dataclass(frozen=True)
class Arrival:
    """When a write arrives. `offset` is the user's zone in ms; it is visible `delay` seconds later."""

    now: datetime
    offset: int = 0
    delay: float = 0.0
    holds_id: bool = True


class Operations:
    def __init__(self, state: State, shop: int, directories: Directories, reuse_deleted_ids: bool):
        self._state = state
        self._shop = shop
        self._directories = directories
        self._reuse_deleted_ids = reuse_deleted_ids
        self._total: int | None = None
        self._texts: dict[int, str] = {}
        self.spelling: Callable[[dict[str, Any]], dict[str, Any]] | None = None  # one of spelling.SPELLINGS

    def taken(self, external_id: str, now: datetime) -> bool:
        """Whether a creation with this externalId is a conflict.

        Whether the vendor frees the id of a deleted operation is unknown; here it does not, unless asked to.
        """
        external_id = self._spelled({"externalId": external_id})["externalId"]
        parameters = (self._shop, external_id, milliseconds(now), not self._reuse_deleted_ids)
        return self._state.row(TAKEN, parameters) is not None

    def insert(self, kind: str, body: dict[str, Any], arrival: Arrival) -> None:
        """Adds an operation from an accepted body. The caller has checked the id, under the state's lock."""
        body = self._spelled({"externalId": str(uuid4()), "date": milliseconds(arrival.now), **body})
        self._state.write(
            INSERT,
            {
                **_columns(kind, body, arrival),
                "shop": self._shop,
                "id": token_hex(12),
                "external_id": body["externalId"],
                "type": kind,
                "holds_id": arrival.holds_id,
                "visible_at": milliseconds(arrival.now) + int(arrival.delay * 1000),
            },
        )
        self._total = None

    def change(self, operation: Any, fields: dict[str, Any], arrival: Arrival) -> None:
        """Updates these fields of the operation."""
        body = {**parse_json(operation["body"]), **self._spelled(fields)}
        self._texts.pop(operation["seq"], None)
        self._state.write(UPDATE, {**_columns(operation["type"], body, arrival), "seq": operation["seq"]})

    def _spelled(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.spelling(body) if self.spelling else body

    def turn(self, operation: Any, kind: str, other_account: str, arrival: Arrival) -> None:
        """Changes the type of the operation; a transfer goes to `other_account`."""
        account = operation["account_to"] or operation["account_from"]
        sides = {"income": (account, None), "expense": (None, account), "transfer": (other_account, account)}
        to, origin = sides[kind]
        body = {k: v for k, v in parse_json(operation["body"]).items() if k not in ("accountToId", "accountFromId")}
        body |= {"accountToId": to} if to else {}
        body |= {"accountFromId": origin} if origin else {}
        self._texts.pop(operation["seq"], None)
        self._state.write("update operations set type = ? where seq = ?", (kind, operation["seq"]))
        self._state.write(UPDATE, {**_columns(kind, body, arrival), "seq": operation["seq"]})

    def delete(self, operation: Any, now: datetime, delay: float = 0.0) -> None:
        """Deletes the operation, which stays visible for `delay` seconds: a deletion may only be stored."""
        sql = "update operations set deleted_at = ? where seq = ?"
        self._state.write(sql, (milliseconds(now) + int(delay * 1000), operation["seq"]))
        self._total = None

    def restore(self, external_id: str) -> None:
        """Restores the last deleted operation with this externalId from the bin."""
        sql = """
            update operations set deleted_at = null where seq = (
                select max(seq) from operations where shop = ? and external_id = ? and deleted_at is not null
            )
        """
        self._state.write(sql, (self._shop, external_id))
        self._total = None

    def by_external_id(self, external_id: str, now: datetime) -> Any | None:
        """The live, visible operation with this externalId."""
        external_id = self._spelled({"externalId": external_id})["externalId"]
        key = {"shop": self._shop, "external_id": external_id, "now": milliseconds(now)}
        return self._state.row(FIND_BY_EXTERNAL_ID, key)

    def by_id(self, identity: str, now: datetime) -> Any | None:
        return self._state.row(FIND_BY_ID, {"shop": self._shop, "id": identity, "now": milliseconds(now)})

    def page(self, order: str, parameters: dict[str, Any], now: datetime) -> list[Any]:
        """Live, visible operations; `order` is a key of PAGES, `parameters` those of PAGE."""
        return self._state.rows(PAGES[order], {**parameters, "shop": self._shop, "now": milliseconds(now)})

    def total(self, now: datetime) -> int:
        """How many live, visible operations the company has."""
        with self._state.lock:
            if self._total is not None:
                return self._total
            row = self._state.row(COUNT, (milliseconds(now), self._shop))
            visible, known = (row["visible"], row["known"]) if row else (0, 0)
            if visible == known:  # otherwise some appear later, and it must be counted again
                self._total = known
            return visible

    def balances(self, now: datetime) -> dict[str, Decimal]:
        rows = self._state.rows(BALANCES, {"shop": self._shop, "now": milliseconds(now)})
        return {row["account"]: Decimal(row["balance"]).scaleb(-2) for row in rows}

    def live(self, now: datetime) -> list[dict[str, Any]]:
        """Every operation that is not deleted, in order of creation, those not yet visible included."""
        sql = "select * from operations where shop = ? and (deleted_at is null or deleted_at > ?) order by seq"
        rows = self._state.rows(sql, (self._shop, milliseconds(now)))
        return [stored_row(row, self._directories) for row in rows]

    def text(self, operation: Any) -> str:
        """The operation as in Finmap's lists, in JSON; labels never change, so it is cached."""
        known = self._texts.get(operation["seq"])
        if known is None:
            if len(self._texts) >= REMEMBERED_TEXTS:
                self._texts.clear()
            known = self._texts[operation["seq"]] = row_text(operation, self._directories)
        return known


def _columns(kind: str, body: dict[str, Any], arrival: Arrival) -> dict[str, Any]:
    """The columns computed from a body: a future date makes a planned, unapproved operation."""
    date = int(body["date"])
    amount = kopiykas(body.get("amount", Decimal(0)))
    return {
        "date": date,
        "sum": amount,
        "sum_to": kopiykas(body["amountTo"]) if "amountTo" in body else amount,
        "account_to": body.get("accountToId") if kind != "expense" else None,
        "account_from": body.get("accountFromId") if kind != "income" else None,
        "approved": date <= milliseconds(arrival.now) + arrival.offset,
        "body": exact_text(body),
        "updated_at": milliseconds(arrival.now),
    }
