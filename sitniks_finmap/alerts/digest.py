"""The digest: yesterday's counts and sums of one shop, as `reconciliation` has them. Its first line is the answer."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import duckdb

from sitniks_finmap.alerts import texts
from sitniks_finmap.alerts.state import Memory
from sitniks_finmap.alerts.wording import Words
from sitniks_finmap.language import Language
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError

NOON = time(12)  # until then a day that is not reconciled when its digest is due may wait
LAST_HOUR = 23


@dataclass(frozen=True)
class Side:
    """What one side has of a day."""

    income_count: int
    income_sum: Decimal
    expense_count: int
    expense_sum: Decimal


@dataclass(frozen=True)
class Sums:
    """What both sides have of a day in one currency. The stock is no income and no expense."""

    currency: str
    sitniks: Side
    finmap: Side


@dataclass(frozen=True)
class Digest:
    """One day of one shop, on both sides."""

    shop: str
    day: date
    sums: tuple[Sums, ...]  # of each currency
    is_equal: bool  # in every account, the stock included
    differences: int
    rejected: int
    is_read: bool  # whether the day was read completely after its end
    is_reconciled: bool = True  # and both sides compared since


def due_day(kept: Memory, connection: Connection, now: datetime) -> date | None:
    """The day to report now, once: yesterday, from `digest_at` on. None if it was reported, or nothing is asked for."""
    local = now.astimezone(connection.zone)
    if connection.digest_at is None or local.time().replace(tzinfo=None) < connection.digest_at:
        return None
    day = local.date() - timedelta(days=1)
    last = date.fromisoformat(kept.note(f"digest {connection.name}") or date.min.isoformat())
    # A clock that was set back repeats no day; one that was far ahead silences none.
    was_sent = day <= last <= day + timedelta(days=31)
    return day if day >= connection.start_date and not was_sent else None


def may_wait(connection: Connection, now: datetime) -> bool:
    """Whether a day that is not reconciled yet is reported later: until noon, or an hour after `digest_at`."""
    local = now.astimezone(connection.zone)
    at = connection.digest_at or time()
    return local.time() < NOON or local.hour < min(at.hour + 1, LAST_HOUR)


def mark_sent(kept: Memory, connection: Connection, day: date) -> None:
    kept.set_note(f"digest {connection.name}", day.isoformat())


def mark_missing(kept: Memory, connection: Connection, day: date) -> bool:
    """Notes that people were told that there is no digest of this day yet; False if they knew."""
    name = f"no digest {connection.name}"
    if kept.note(name) == day.isoformat():
        return False
    kept.set_note(name, day.isoformat())
    return True


def digest_of(connection: Connection, warehouse: Warehouse, day: date) -> Digest | None:
    """None if the shop was never read, or its file cannot be read now."""
    try:
        if not warehouse.exists():
            return None
        with warehouse.transaction() as con:
            row = con.execute(sql("digest"), {"day": day, "zone": connection.timezone}).fetchone() or ()
            sums = con.execute(sql("digest_sums"), {"day": day}).fetchall()
    except (WarehouseError, duckdb.Error):
        return None
    return Digest(connection.name, day, tuple(Sums(one[0], Side(*one[1:5]), Side(*one[5:])) for one in sums), *row)


def words_of_digest(digest: Digest, language: Language) -> Words:
    """Of a day that is reconciled."""
    title = language.text(texts.DIGEST_TITLE, shop=digest.shop, day=language.short_date(digest.day))
    sitniks = _totals([(one.sitniks, one.currency) for one in digest.sums], language)
    rejected = [language.counted(*texts.DIGEST_REJECTED, digest.rejected)] if digest.rejected else []
    if not digest.is_equal:
        finmap = _totals([(one.finmap, one.currency) for one in digest.sums], language)
        lines = [
            language.counted(*texts.DIGEST_DIFFERENT, digest.differences),
            language.text(texts.DIGEST_SIDE, side="Sitniks", totals=sitniks),
            language.text(texts.DIGEST_SIDE, side="Finmap", totals=finmap),
            *rejected,
        ]
    else:
        empty = not any(one.sitniks.income_count or one.sitniks.expense_count for one in digest.sums)
        equal = language.text(texts.DIGEST_EMPTY if empty else texts.DIGEST_EQUAL, totals=sitniks)
        lines = [" ".join([*([] if empty and rejected else [equal]), *rejected])]
        if digest.differences:
            lines.append(language.counted(*texts.DIGEST_OTHERWISE, digest.differences))
    values = {"shop": digest.shop, "day": digest.day.isoformat()}
    if digest.differences:
        lines.append(language.text(texts.DIGEST_LIST, **values))
    elif rejected:
        lines.append(language.text(texts.DIGEST_LIST_REJECTED, **values))
    return Words(title, "\n".join(lines))


def words_of_missing(digest: Digest, why: str, language: Language) -> Words:
    """Of a day that is not reconciled: that there are no totals yet, and why."""
    title = language.text(texts.DIGEST_TITLE, shop=digest.shop, day=language.short_date(digest.day))
    if not why:
        why = language.text(texts.DIGEST_UNRECONCILED if digest.is_read else texts.DIGEST_UNREAD)
    return Words(title, "\n".join([language.text(texts.DIGEST_MISSING), language.text(texts.REASONS, reasons=why)]))


def _totals(sides: list[tuple[Side, str]], language: Language) -> str:
    """Such as "41 надходження 38 450,00 ₴, 7 витрат 2 310,50 ₴", one after the other for each currency."""
    return "; ".join(_totals_of(side, currency, language) for side, currency in sides)


def _totals_of(side: Side, currency: str, language: Language) -> str:
    income = language.counted(*texts.INCOMES, side.income_count, money=language.money(side.income_sum, currency))
    expense = language.counted(*texts.EXPENSES, side.expense_count, money=language.money(side.expense_sum, currency))
    return f"{income}, {expense}"
