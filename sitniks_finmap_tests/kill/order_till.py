"""A shop whose orders are prepaid, paid, corrected and refunded, and the audit of what its Finmap must hold."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sitniks_finmap.sandbox import Shop
from sitniks_finmap_tests.kill.till import Findings, Till
from sitniks_finmap_tests.order_model import TITLES, Version, expected

NEXT = {
    "none": ["prepaid", "paid", "cancelled"],
    "prepaid": ["paid", "cancelled", "refunded"],
    "paid": ["paid", "partly_refunded", "refunded", "none"],
    "partly_refunded": ["refunded"],
    "cancelled": ["refunded"],
    "refunded": ["paid"],
}


class OrderTill(Till):
    """The orders of one connection; the same seed is the same life."""

    def __init__(self, connection: str, shop: Shop, seed: int) -> None:
        super().__init__(connection, shop, shop, seed)
        shop.add_account("Склад", "UAH")
        for number, title in enumerate(TITLES.values(), 20):
            shop.directories.add("orders/statuses", {"id": number, "title": title})
        lists = {stage: [title] for stage, title in TITLES.items() if stage != "none"}
        self.settings = {"source": "orders", "first_import": "post", "orders": lists | {"stock_account": "Склад"}}
        self.orders: dict[int, list[Version]] = {}
        self.created: dict[int, datetime] = {}

    def open(self, now: datetime, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self.created[self.number] = now - timedelta(seconds=self.rng.randrange(1, 60))
            total = Decimal(self.rng.randrange(5000, 500_000)) / 100
            self._show(self.number, Version("none", total, Decimal(20), Decimal(self.rng.randrange(1, 4000)) / 100))

    def move(self) -> None:
        """Each order moves on; what is partly refunded falls, what stays paid is corrected."""
        for number, versions in self.orders.items():
            last = versions[-1]
            stage = self.rng.choice(NEXT[last.stage])
            total = last.total
            if stage == "partly_refunded":
                total = (last.total * Decimal("0.75")).quantize(Decimal("0.01"))
            elif stage == last.stage:
                total += Decimal(1)
            self._show(number, Version(stage, total, last.prepayment, last.cost))

    def _show(self, number: int, version: Version) -> None:
        self.orders.setdefault(number, []).append(version)
        created = self.created[number]
        row: dict[str, Any] = {
            "id": number, "orderNumber": number, "createdAt": f"{created:%Y-%m-%dT%H:%M:%S}.000Z",
            "status": {"title": TITLES[version.stage]}, "totalPriceDiscount": str(version.total),
            "payment": {"amount": str(version.prepayment)}, "client": None, "salesChannel": None,
            "products": [{"costPrice": str(version.cost), "quantity": 1, "productVariation": None}],
        }  # fmt: skip
        self.sitniks.put_order(row)

    def audit(self) -> Findings:
        """Compares Finmap with what the orders went through, each operation known by its key without generation."""
        there: dict[str, list[Decimal]] = {}
        for operation in self.finmap.operations():
            name = operation["externalId"].split(":")[1]
            there.setdefault(name, []).append(operation["sum"] if operation["type"] == "income" else -operation["sum"])
        findings = Findings()
        for number, versions in self.orders.items():
            for part, amount in expected(versions).items():
                name = f"order-{number}.{part}"
                match there.pop(name, []):
                    case []:
                        findings.lost.append(name)
                    case [one] if one == amount:
                        findings.right += 1
                    case [_]:
                        findings.unexpected.append(f"{name} is not {amount}")
                    case _:
                        findings.doubled.append(name)
        findings.unexpected += sorted(there)
        return findings
