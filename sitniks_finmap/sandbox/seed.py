"""A realistic small Ukrainian shop: orders and their transactions. The same seed gives the same shop."""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from .sitniks_rows import KYIV, Row
from .tenant import Shop
from .transaction_shapes import Deal, Money, Source, malformed, order_row, transaction_row

SOURCES = (
    Source("Instagram", weight=40),
    Source("Rozetka", weight=25, commission=Decimal("0.15")),
    Source("Prom.ua", weight=20, commission=Decimal("0.065")),
    Source("Сайт", weight=15),
)
FIRST_ORDER = 1001
KOPIYKAS = (Decimal(0), Decimal(0), Decimal("9.5"), Decimal("0.99"))
CATEGORIES = (
    ("income", "Продажі"),
    ("expense", "Повернення клієнтам"),
    ("expense", "Комісії маркетплейсів"),
    ("expense", "Доставка"),
)


@dataclass(frozen=True)
class SeedSummary:
    """What was generated. Counts and exact sums are of well-formed transactions; both sums are positive."""

    transactions: int
    orders: int
    malformed: int
    income_count: int
    expense_count: int
    income: Decimal
    expense: Decimal


@dataclass
class _Story:
    """The shop while it is being generated."""

    rng: random.Random
    now: datetime
    orders: list[Row] = field(default_factory=list)
    moneys: list[Money] = field(default_factory=list)


def seed_shop(
    shop: Shop, *, days: int = 60, seed: int = 1, today: date | None = None, now: datetime | None = None
) -> SeedSummary:
    """Fills a shop with `days` days ending `today`, nothing later than `now`.

    About 37 transactions and 20 orders per day, and 7 malformed transactions. `now` is by default the sandbox's clock,
    or the end of `today` if that is another day.
    """
    now = now or _now(shop, today)
    today = today or now.astimezone(KYIV).date()
    story = _Story(random.Random(seed), now)
    for day in range(days - 1, -1, -1):
        for _ in range(story.rng.randint(17, 24)):
            _sell(story, today - timedelta(days=day))
    story.moneys.sort(key=lambda money: money.at)
    rows = [transaction_row(money, number, story.rng) for number, money in enumerate(story.moneys, 12345)]
    for kind, label in CATEGORIES:
        shop.add_category("income" if kind == "income" else "expense", label)
    shop.put_orders(story.orders)
    shop.put_transactions(rows)
    broken = malformed(story.moneys[-1].at if story.moneys else now, story.rng)
    for row, at in broken:
        shop.put_transaction(row, at)
    return _summary(story, len(broken))


def _now(shop: Shop, today: date | None) -> datetime:
    now = shop.clock()
    if today is None or now.astimezone(KYIV).date() == today:
        return now
    return datetime.combine(today, time(23, 59, 59), KYIV).astimezone(UTC)


def _summary(story: _Story, broken: int) -> SeedSummary:
    incomes = [money.amount for money in story.moneys if money.amount > 0]
    expenses = [-money.amount for money in story.moneys if money.amount < 0]
    return SeedSummary(
        transactions=len(story.moneys) + broken,
        orders=len(story.orders),
        malformed=broken,
        income_count=len(incomes),
        expense_count=len(expenses),
        income=sum(incomes, Decimal(0)),
        expense=sum(expenses, Decimal(0)),
    )


def _sell(story: _Story, day: date) -> None:
    """Adds one order, paid on `day`; one in six was placed up to nine days before."""
    rng = story.rng
    paid = moment_on(rng, day)
    wait = timedelta(days=rng.randint(1, 9)) if rng.random() < 1 / 6 else timedelta(0)
    created = paid - wait - timedelta(minutes=rng.randint(1, 90))
    source = rng.choices(SOURCES, [source.weight for source in SOURCES])[0]
    total = Decimal(rng.randint(19, 420) * 10) + rng.choice(KOPIYKAS)
    if created > story.now:
        return
    number = FIRST_ORDER + len(story.orders)
    deal = Deal(number=number, client=rng.randint(1001, 1600), source=source, created=created, total=total)
    paying = rng.random() < 0.95  # the others are still new, or were cancelled
    moneys = [money for money in _moneys(deal, paid, rng) if paying and money.at <= story.now]
    story.moneys += moneys
    story.orders.append(order_row(deal, moneys, rng))


def moment_on(rng: random.Random, day: date) -> datetime:
    """A random time on `day`, in Kyiv; a few orders are paid at night."""
    hour = rng.choice((0, 1, 23)) if rng.random() < 0.05 else rng.randint(8, 22)
    local = datetime.combine(day, time(hour, rng.randint(0, 59), rng.randint(0, 59)), KYIV)
    return local.astimezone(UTC) + timedelta(milliseconds=rng.randint(0, 999))


def _moneys(deal: Deal, paid: datetime, rng: random.Random) -> list[Money]:
    """The income and expenses of an order."""
    moneys = []
    if rng.random() < 0.12:
        prepaid = Decimal(200) if deal.total > 400 else Decimal(100)
        moneys.append(Money(deal, "prepayment", prepaid, paid))
        later = paid + timedelta(days=rng.randint(1, 3), minutes=rng.randint(1, 300))
        moneys.append(Money(deal, "payment", deal.total - prepaid, later))
    else:
        moneys.append(Money(deal, "payment", deal.total, paid))
    if deal.source.commission:
        fee = (deal.total * deal.source.commission).quantize(Decimal("0.01"))
        moneys.append(Money(deal, "commission", -fee, paid + timedelta(seconds=rng.randint(5, 600))))
    if rng.random() < 0.4:
        cost = Decimal(rng.choice((70, 75, 80, 95, 120))) + rng.choice((Decimal(0), Decimal("0.5")))
        moneys.append(Money(deal, "delivery", -cost, paid + timedelta(hours=rng.randint(1, 30))))
    if rng.random() < 0.05:
        back = paid + timedelta(days=rng.randint(3, 12))
        moneys.append(Money(deal, "refund", -deal.total, back))
    return moneys


def live_transaction(shop: Shop, seed: int) -> Row:
    """Adds an order and its payment at the current moment; seed and number determine what it is."""
    now = shop.clock()
    number = FIRST_ORDER + shop.rows["orders"].count()
    rng = random.Random(f"{seed}/{number}")
    source = rng.choices(SOURCES, [source.weight for source in SOURCES])[0]
    total = Decimal(rng.randint(19, 420) * 10)
    deal = Deal(number, rng.randint(1001, 1600), source, now - timedelta(minutes=rng.randint(1, 20)), total)
    payment = Money(deal, "payment", total, now)
    row = transaction_row(payment, number + 900_000, rng)
    shop.put_order(order_row(deal, [payment], rng))
    shop.put_transaction(row, now)
    return row
