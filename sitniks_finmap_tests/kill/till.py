"""A shop whose transactions come, change and go, and the audit: what its Finmap must hold, by the sandbox's word."""

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sitniks_finmap.sandbox import Shop
from sitniks_finmap.sandbox.operations import milliseconds

STATUSES = ["Новий", "В роботі", "Відправлено", "Виконано"]
# What of an operation must be as the source says: type, sum, moment, comment.
Told = tuple[str, Decimal, int, str]


@dataclass
class Findings:
    """What is wrong in Finmap, by transaction."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    different: list[tuple[str, Told, Told]] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    right: int = 0

    @property
    def nothing(self) -> bool:
        return not (self.lost or self.doubled or self.different or self.unexpected)


class Till:
    """The transactions of one connection; the same seed is the same life."""

    def __init__(self, connection: str, sitniks: Shop, finmap: Shop, seed: int) -> None:
        self.connection = connection
        self.sitniks = sitniks
        self.finmap = finmap
        self.rng = random.Random(seed)
        self.transactions: dict[str, dict[str, Any]] = {}
        self.statuses: dict[int, str] = {}
        self.happened: Counter[str] = Counter()
        self.number = 0
        self.settings: dict[str, Any] = {}  # of the connection, beside those that all have

    # -- what managers do in Sitniks --

    def sell(self, now: datetime, count: int, *, expense: bool | None = None) -> None:
        for _ in range(count):
            self.number += 1
            created = now - timedelta(seconds=self.rng.randrange(1, 60))
            identity = f"tx_{self.connection}_{self.number}"
            spent = self.rng.random() < 0.3 if expense is None else expense
            row: dict[str, Any] = {
                "id": identity,
                "createdAt": f"{created:%Y-%m-%dT%H:%M:%S}.{self.rng.randrange(1000):03}Z",
                "amount": self._amount(-1 if spent else 1),
                "description": f"Оплата [{identity}]",
            }
            if self.rng.random() < 0.3:
                row["orderId"] = self.number
                self._put_order(self.number, STATUSES[0], created)
            self.put(row)
            self.happened["sold"] += 1

    def edit(self, identity: str) -> None:
        row = dict(self.transactions[identity])
        if self.rng.random() < 0.5:
            row["amount"] = self._amount(_sign(row))
        else:
            row["description"] = f"Оплата [{identity}], уточнено {self.rng.randrange(1000)}"
        self.put(row)
        self.happened["edited"] += 1

    def flip(self, identity: str) -> None:
        """The sign turns: an income becomes an expense."""
        row = dict(self.transactions[identity])
        self.put(row | {"amount": self._amount(-_sign(row))})
        self.happened["flipped"] += 1

    def move_order(self, identity: str) -> None:
        order = self.transactions[identity].get("orderId")
        if order:
            created = datetime.fromisoformat(self.transactions[identity]["createdAt"])
            status = STATUSES[min(STATUSES.index(self.statuses[order]) + 1, len(STATUSES) - 1)]
            self._put_order(order, status, created)
            self.happened["status moved"] += 1

    def delete(self, identity: str) -> None:
        del self.transactions[identity]
        self.sitniks.delete_transaction(identity)
        self.happened["deleted"] += 1

    def any(self) -> str:
        """One of the latest transactions."""
        return self.rng.choice(list(self.transactions)[-20:])

    def _amount(self, sign: int) -> str:
        return str(sign * Decimal(self.rng.randrange(1, 500_000)) / 100)

    def put(self, row: dict[str, Any]) -> None:
        self.transactions[row["id"]] = row
        self.sitniks.put_transaction(row)

    def _put_order(self, number: int, status: str, created: datetime) -> None:
        self.statuses[number] = status
        self.sitniks.put_order(
            {
                "id": number, "orderNumber": number, "createdAt": f"{created:%Y-%m-%dT%H:%M:%S}.000Z",
                "status": {"id": STATUSES.index(status) + 1, "title": status}, "client": None, "salesChannel": None,
            }
        )  # fmt: skip

    # -- what Finmap must hold --

    def wanted(self) -> dict[str, Told]:
        return {identity: self._told(row) for identity, row in self.transactions.items()}

    def _told(self, row: dict[str, Any]) -> Told:
        amount = Decimal(row["amount"])
        comment = row["description"]
        if order := row.get("orderId"):
            comment += f" | Замовлення: №{order} | Статус: {self.statuses[order]}"
        at = milliseconds(datetime.fromisoformat(row["createdAt"]))
        return "income" if amount > 0 else "expense", abs(amount), at, comment

    def audit(self) -> Findings:
        """Compares Finmap with the source, each operation known by what its comment says, not by its key."""
        there: dict[str, list[Told]] = {}
        for operation in self.finmap.operations():
            identity = _named(operation["comment"])
            if identity.startswith(f"tx_{self.connection}_"):
                told = (operation["type"], operation["sum"], operation["date"], operation["comment"])
                there.setdefault(identity, []).append(told)
        findings = Findings()
        for identity, told in self.wanted().items():
            match there.pop(identity, []):
                case []:
                    findings.lost.append(identity)
                case [one]:
                    findings.right += one == told
                    findings.different += [(identity, one, told)] if one != told else []
                case _:
                    findings.doubled.append(identity)
        findings.unexpected = sorted(there)
        return findings


def _sign(row: dict[str, Any]) -> int:
    return -1 if row["amount"].startswith("-") else 1


def _named(comment: str) -> str:
    found = re.search(r"\[(\w+)\]", comment)
    return found[1] if found else f"? {comment}"
