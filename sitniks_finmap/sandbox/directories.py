"""Everything with a label in a shop: Finmap's accounts, categories, tags and so on, Sitniks' order statuses."""

from hashlib import blake2b
from typing import Any, Literal

from .exchange import dumps, parse_json
from .state import State

Kind = Literal[
    "accounts",
    "tags",
    "projects",
    "suppliers",
    "categories/income",
    "categories/expense",
    "orders/statuses",
    "settlement-accounts",
]


def object_id(*names: object) -> str:
    """24 hex digits like Finmap's ids, always the same for the same names."""
    return blake2b("/".join(map(str, names)).encode(), digest_size=12).hexdigest()


class Directories:
    """All directories of one shop. They are small: kept in memory and written through to the database."""

    def __init__(self, state: State, shop: int):
        self._state = state
        self._shop = shop
        self._entries: dict[str, dict[str, dict[str, Any]]] = {}
        for row in state.rows("select kind, id, body from entries where shop = ? order by seq", (shop,)):
            self._entries.setdefault(row["kind"], {})[row["id"]] = parse_json(row["body"])

    def add(self, kind: Kind, entry: dict[str, Any]) -> dict[str, Any]:
        """Adds an entry with its own `id`, or replaces it."""
        sql = "insert or replace into entries (shop, kind, id, body) values (?, ?, ?, ?)"
        with self._state.lock:
            self._state.write(sql, (self._shop, kind, str(entry["id"]), dumps(entry)))
            self._entries.setdefault(kind, {})[str(entry["id"])] = entry
        return entry

    def add_label(self, kind: Kind, label: str, **fields: Any) -> dict[str, Any]:
        """Adds a Finmap entry with a label, or returns the one that has it already."""
        with self._state.lock:
            known = self.by_label(kind, label)
            identity = object_id(self._shop, kind, label)
            if self.get(kind, identity):  # taken by an entry that was renamed since
                identity = object_id(self._shop, kind, label, len(self.list(kind)))
            return known or self.add(kind, {"id": identity, "label": label, "parentId": "", **fields})

    def remove(self, kind: Kind, label: str) -> None:
        """Raises KeyError if nothing has this label."""
        with self._state.lock:
            entry = self.by_label(kind, label)
            if entry is None:
                raise KeyError(label)
            sql = "delete from entries where shop = ? and kind = ? and id = ?"
            self._state.write(sql, (self._shop, kind, str(entry["id"])))
            del self._entries[kind][str(entry["id"])]

    def by_label(self, kind: Kind, label: str) -> dict[str, Any] | None:
        return next((entry for entry in self.list(kind) if entry.get("label") == label), None)

    def get(self, kind: Kind, identity: str) -> dict[str, Any] | None:
        return self._entries.get(kind, {}).get(identity)

    def label(self, kind: Kind, identity: str | None) -> str:
        entry = self.get(kind, identity) if identity else None
        return entry["label"] if entry else ""

    def list(self, kind: Kind) -> list[dict[str, Any]]:
        with self._state.lock:
            return list(self._entries.get(kind, {}).values())
