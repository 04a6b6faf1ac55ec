"""How Sitniks may represent a transaction or an order: flat or nested, with variations."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from .sitniks_rows import KYIV, Row
from .tenant import DEFAULT_SETTLEMENT_ACCOUNTS, DEFAULT_STATUSES

What = Literal["payment", "prepayment", "commission", "delivery", "refund"]
DESCRIPTIONS: dict[What, str] = {
    "payment": "Оплата за замовлення #{number}",
    "prepayment": "Передплата за замовлення #{number}",
    "commission": "Комісія за замовлення #{number}",
    "delivery": "Доставка замовлення #{number}",
    "refund": "Повернення за замовлення #{number}",
}
POST = "Нова Пошта"
DELIVERIES = (POST, POST, POST, "Укрпошта", "Самовивіз")
PRODUCTS = (
    "Свічка соєва",
    "Чашка керамічна",
    "Плед вовняний",
    "Сумка лляна",
    "Мило ручної роботи",
    "Блокнот А5",
)


@dataclass(frozen=True)
class Source:
    """Where orders come from. `commission` is the marketplace's share."""

    title: str
    weight: int
    commission: Decimal = Decimal(0)


@dataclass(frozen=True)
class Deal:
    """One order of the seeded shop."""

    number: int
    client: int
    source: Source
    created: datetime
    total: Decimal


@dataclass(frozen=True)
class Money:
    """One transaction of the seeded shop: signed amount, moment."""

    deal: Deal
    what: What
    amount: Decimal
    at: datetime


def stamp(moment: datetime) -> str:
    """A timestamp as the API returns it: UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_stamp(moment: datetime) -> str:
    """A timestamp as on the vendor's help page: local time without a zone."""
    return moment.astimezone(KYIV).strftime("%Y-%m-%d %H:%M:%S")


def transaction_row(money: Money, number: int, rng: random.Random) -> Row:
    return _flat(money, number, rng) if rng.random() < 0.5 else _nested(money, number, rng)


def _amount(amount: Decimal, rng: random.Random) -> Any:
    """A number, sometimes a numeric string, rarely one with a thousands space and a decimal comma."""
    chance = rng.random()
    if chance < 0.02 and abs(amount) >= 1000:
        return f"{amount:,.2f}".replace(",", " ").replace(".", ",")
    if chance < 0.25:
        return f"{amount:.2f}"
    return int(amount) if amount == int(amount) else amount


def _counterparty(client: int, rng: random.Random) -> str:
    return rng.choice((f"Клієнт {client}", f"Клієнт {client}", f"@buyer_{client}", f"buyer{client}@example.com"))


def _flat(money: Money, number: int, rng: random.Random) -> Row:
    deal = money.deal
    naive = rng.random() < 0.04
    row: Row = {
        "id": f"tx_{number}",
        "date": local_stamp(money.at) if naive else stamp(money.at),
        "amount": _amount(money.amount, rng),
        "description": DESCRIPTIONS[money.what].format(number=deal.number),
        "source": POST if money.what == "delivery" else deal.source.title,
        "orderNumber": deal.number,
        "orderId": deal.number + 50_000,
    }
    if rng.random() < 0.7:
        row["currency"] = "UAH"
    if money.what in ("payment", "prepayment", "refund"):
        row |= {
            "counterparty": _counterparty(deal.client, rng),
            "paymentMethod": rng.choice(("LiqPay", "Готівка")),
        }
        row["delivery"] = rng.choice((*DELIVERIES, {"title": POST}))
    if rng.random() < 0.15:
        row["orderStatus"] = _status([money.what], rng)["title"]
    return row


def _nested(money: Money, number: int, rng: random.Random) -> Row:
    deal = money.deal
    identity, title, kind = rng.choice(DEFAULT_SETTLEMENT_ACCOUNTS)
    order: Row = {
        "id": deal.number + 50_000,
        "orderNumber": deal.number,
        "client": client_row(deal.client, rng),
        "salesChannel": {"title": deal.source.title},
    }
    if rng.random() < 0.15:
        order["status"] = _status([money.what], rng)
    return {
        "id": number,
        "createdAt": stamp(money.at),
        "amount": _amount(money.amount, rng),
        "comment": DESCRIPTIONS[money.what].format(number=deal.number),
        "orderId": deal.number + 50_000,
        "order": order,
        "settlementAccount": {"id": identity, "title": title, "type": kind},
    }


def client_row(client: int, rng: random.Random) -> Row | None:
    """A client as orders name one; some orders have none, and some clients no phone."""
    if rng.random() < 0.05:
        return None
    phone = f"+38000000{client}" if rng.random() < 0.8 else None
    return {
        "id": client,
        "fullname": f"Клієнт {client}",
        "phone": phone,
        "email": f"buyer{client}@example.com",
    }


def _status(whats: list[What], rng: random.Random) -> Row:
    if "refund" in whats:
        title = "Повернено"
    elif "delivery" in whats:
        title = rng.choice(("Відправлено", "Виконано", "Виконано"))
    elif whats:
        title = rng.choice(("В роботі", "Виконано", "Виконано"))
    else:
        title = rng.choice(("Новий", "В роботі", "Відмінено"))
    return {"id": DEFAULT_STATUSES.index(title) + 1, "title": title}


def order_row(deal: Deal, moneys: list[Money], rng: random.Random) -> Row:
    """The order after `moneys`: they determine its status, the last one its `updatedAt`."""
    discounted = deal.total if rng.random() < 0.8 else None
    price = deal.total if discounted is None else deal.total + rng.choice((0, 0, 50, 100))
    return {
        "id": deal.number + 50_000,
        "orderNumber": deal.number,
        "externalId": None,
        "createdAt": stamp(deal.created),
        "updatedAt": stamp(max([deal.created, *(money.at for money in moneys)])),
        "status": _status([money.what for money in moneys], rng),
        "client": client_row(deal.client, rng),
        "salesChannel": {"title": deal.source.title},
        "delivery": {"title": rng.choice(DELIVERIES)},
        "managerComment": None,
        "totalPrice": price,
        "totalPriceDiscount": discounted,
        "payment": {"amount": 0},
        "cashOnDelivery": rng.random() < 0.3,
        "products": [_line(price, rng)],
    }


def _line(price: Decimal | int, rng: random.Random) -> Row:
    return {
        "title": rng.choice(PRODUCTS),
        "quantity": rng.choice((1, 1, "1")),
        "price": price,
        "costPrice": (Decimal(price) * Decimal("0.45")).quantize(Decimal("0.01")),
        "productVariation": None,
    }


MALFORMED = 7  # transactions of a seeded shop


def malformed(latest: datetime, rng: random.Random) -> list[tuple[Row, datetime]]:
    """Seven transactions that cannot become an operation, one per reason, with the moments to file them under."""
    sound = {"amount": 100, "currency": "UAH", "description": "Оплата за замовлення #999"}
    at = [latest - timedelta(hours=hour, minutes=rng.randint(0, 59)) for hour in range(1, 8)]
    rows: list[Row] = [
        {"date": stamp(at[0]), **sound},
        {"id": "tx_bad_date", "date": "вчора", **sound},
        {"id": "tx_bad_amount", "date": stamp(at[2]), **sound, "amount": "сто гривень"},
        {"id": "tx_three_decimals", "date": stamp(at[3]), **sound, "amount": "100.125"},
        {"id": "tx_zero", "date": stamp(at[4]), **sound, "amount": 0},
        {"id": "tx_dollars", "date": stamp(at[5]), **sound, "currency": "USD"},
        {"id": "tx_2014", "date": "2014-06-01T10:00:00.000Z", **sound},
    ]
    return list(zip(rows, at, strict=True))
