"""A shop of the sandbox: a Sitniks company and a Finmap company, their keys, and what people do in them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from .access import Access, Limit
from .directories import Directories
from .exchange import Api
from .operation_rows import SYMBOLS
from .operations import Arrival, Operations, milliseconds
from .sitniks_rows import Row, SitniksRows
from .state import State

DEFAULT_ACCOUNTS = (("Каса", "UAH"), ("ФОП", "UAH"), ("Долари", "USD"))
DEFAULT_STATUSES = ("Новий", "В роботі", "Відправлено", "Виконано", "Відмінено", "Повернено")
DEFAULT_SETTLEMENT_ACCOUNTS = ((1, "Каса", "cash"), (7, "ФОП", "bank"), (9, "LiqPay", "payment_system"))


class Shop:
    """One tenant. Everything here takes effect at once, from any thread, like a person using the products."""

    def __init__(self, state: State, identity: int, name: str, clock: Callable[[], datetime], reuse_deleted_ids: bool):
        self.name = name
        suffix = "" if name == "demo" else f"-{name}"
        self.sitniks_key = f"sandbox-sitniks-key{suffix}"
        self.finmap_key = f"sandbox-finmap-key{suffix}"
        self.access: dict[Api, Access] = {"sitniks": Access(), "finmap": Access()}
        self.directories = Directories(state, identity)
        self.rows = {
            "transactions": SitniksRows(state, identity, "transactions"),
            "orders": SitniksRows(state, identity, "orders"),
        }
        self.ledger = Operations(state, identity, self.directories, reuse_deleted_ids)
        self.clock = clock
        self._state = state
        if not self.directories.list("accounts"):
            self._furnish()

    def _furnish(self) -> None:
        for label, currency in DEFAULT_ACCOUNTS:
            self.add_account(label, currency)
        for number, title in enumerate(DEFAULT_STATUSES, 1):
            self.directories.add("orders/statuses", {"id": number, "title": title})
        for number, title, kind in DEFAULT_SETTLEMENT_ACCOUNTS:
            self.directories.add("settlement-accounts", {"id": number, "title": title, "type": kind})

    def writing(self) -> AbstractContextManager[Any]:
        """Blocks other writers, so that what is checked stays true until it is written."""
        return self._state.lock

    # Sitniks: what the shop's managers do

    def put_transaction(self, payload: Row | str, at: datetime | None = None) -> None:
        """Inserts, or replaces by `id`. Text is stored and served byte for byte.

        It is filed under `at`, else `createdAt`, else `date`, else now.
        """
        self.rows["transactions"].put(payload, at, self.clock())

    def put_transactions(self, payloads: Sequence[Row | str]) -> None:
        self.rows["transactions"].put_many(list(payloads), self.clock())

    def delete_transaction(self, id: str | int) -> bool:
        """Returns whether there was one."""
        return self.rows["transactions"].delete(id)

    def transactions(self) -> list[Row]:
        """Every transaction, newest first, numbers as int or Decimal."""
        return self.rows["transactions"].all()

    def put_order(self, payload: Row | str, at: datetime | None = None) -> None:
        self.rows["orders"].put(payload, at, self.clock())

    def put_orders(self, payloads: Sequence[Row | str]) -> None:
        self.rows["orders"].put_many(list(payloads), self.clock())

    def delete_order(self, id: str | int) -> bool:
        return self.rows["orders"].delete(id)

    def orders(self) -> list[Row]:
        return self.rows["orders"].all()

    # Finmap: what the shop's accountant does

    @property
    def accounts(self) -> list[Row]:
        """`id`, `label`, `parentId`, `currencyId` of each account."""
        return self.directories.list("accounts")

    def add_account(self, label: str, currency: str = "UAH") -> Row:
        if currency not in SYMBOLS:
            raise ValueError(f"the sandbox supports the currencies {', '.join(SYMBOLS)}")
        return self.directories.add_label("accounts", label, currencyId=currency)

    def add_category(self, kind: Literal["income", "expense"], label: str) -> Row:
        directory = "categories/income" if kind == "income" else "categories/expense"
        return self.directories.add_label(directory, label, isSystem=False, vendorEditLockUrl="")

    def add_tag(self, label: str) -> Row:
        return self.directories.add_label("tags", label)

    def add_project(self, label: str) -> Row:
        return self.directories.add_label("projects", label)

    def add_supplier(self, label: str) -> Row:
        return self.directories.add_label("suppliers", label)

    def tags(self) -> list[Row]:
        return self.directories.list("tags")

    def delete_tag(self, label: str) -> None:
        """Deletes a tag. Raises KeyError if there is none."""
        self.directories.remove("tags", label)

    def rename_account(self, label: str, new: str) -> Row:
        """Renames an account; its ID stays. Raises KeyError if there is none."""
        entry = self.directories.by_label("accounts", label)
        if entry is None:
            raise KeyError(label)
        return self.directories.add("accounts", entry | {"label": new})

    def operations(self) -> list[Row]:
        """Every operation that is not deleted, in order of creation.

        A row of Finmap's lists with `sum` as Decimal, and what the API hides: `visibleAt` and
        `externalDevComment`. Operations that are stored but not yet visible are included.
        """
        return self.ledger.live(self.clock())

    def edit_operation(self, external_id: str, **fields: Any) -> None:
        """Edits a visible operation as a person would, without the checks of the API.

        Fields are those of a PATCH (`amount`, `comment`, `date`, `accountToId`, `tagIds`, ...); money as
        Decimal, int or text, a date as milliseconds or an aware datetime. Raises KeyError if there is none.
        """
        now = self.clock()
        if "amount" in fields:
            fields["amount"] = Decimal(fields["amount"])
        if isinstance(fields.get("date"), datetime):
            fields["date"] = milliseconds(fields["date"])
        with self._state.lock:
            self.ledger.change(self._operation(external_id, now), fields, Arrival(now))

    def delete_operation(self, external_id: str) -> None:
        """Raises KeyError if there is no such operation."""
        now = self.clock()
        with self._state.lock:
            self.ledger.delete(self._operation(external_id, now), now)

    def turn_operation(self, external_id: str, kind: Literal["income", "expense", "transfer"]) -> None:
        """Changes the type of an operation as a person would; a transfer also gets a second account."""
        now = self.clock()
        with self._state.lock:
            self.ledger.turn(self._operation(external_id, now), kind, self.accounts[1]["id"], Arrival(now))

    def restore_operation(self, external_id: str) -> None:
        """Restores a deleted operation from the bin."""
        with self._state.lock:
            self.ledger.restore(external_id)

    def _operation(self, external_id: str, now: datetime) -> Any:
        operation = self.ledger.by_external_id(external_id, now)
        if operation is None:
            raise KeyError(external_id)
        return operation

    # Both: what the vendors do to a key

    def limit(
        self, api: Api, requests: int | None, per_seconds: float = 10, block_seconds: float = 60,
        retry_after: str | None = None,
    ) -> None:  # fmt: skip
        """Answers 429 to more than `requests` in any `per_seconds`, then to everything for `block_seconds`.

        `retry_after` is the header's value, None = no header; `requests` None = no limit.
        """
        limit = None if requests is None else Limit(requests, per_seconds, block_seconds, retry_after)
        self.access[api].set_limit(limit)

    def forbid(self, api: Api, path_prefix: str) -> None:
        """Answers 403 for paths below the API's base with this prefix, as in "/operations"."""
        self.access[api].forbidden.append(path_prefix)

    def hide(self, api: Api, path_prefix: str) -> None:
        """Answers 404 for paths below the API's base with this prefix, as if the API did not have them."""
        self.access[api].hidden.append(path_prefix)

    def revoke(self, api: Api) -> None:
        """Invalidates the key: 401."""
        self.access[api].revoked = True

    def restore(self, api: Api) -> None:
        """Makes the key valid again, with all permissions and endpoints."""
        self.access[api].revoked = False
        self.access[api].forbidden.clear()
        self.access[api].hidden.clear()
