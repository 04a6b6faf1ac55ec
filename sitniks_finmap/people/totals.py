"""Totals of a connection in words, shared by `status` and the end of a sync."""

from sitniks_finmap.language import Language
from sitniks_finmap.people.summary import Summary

OPERATIONS = ("{count} operation", "{count} operations")
ORDERS = ("{count} order", "{count} orders")
NO_LONGER_MADE = "{what} that Sitniks no longer makes: income {income}, expense {expense}"
BRINGS_BACK = "`sitniks-finmap approve --recreate --transaction ID` brings one back"
WITHOUT_OPERATION = "{what} of {money}: {why}"
WAITING = ("; {count} waits for your decision", "; {count} wait for your decision")
PARTS_WITHOUT = "{count} without an operation: {why}"


def still_there(has: Summary, words: Language) -> str:
    there = has.still_there
    return words.text(
        NO_LONGER_MADE,
        what=words.counted(*OPERATIONS, there.operations),
        income=words.amount(there.income),
        expense=words.amount(there.expense),
    )


def left_out(has: Summary, words: Language) -> str:
    said = ", ".join(f"{words.number(count)} {words.say(why)}" for why, count in has.left_out.items())
    return f"{said}; {words.text(BRINGS_BACK)}" if any("rollback" in why for why in has.left_out) else said


def unbooked(has: Summary, words: Language) -> str:
    """The orders without any operation, each with one reason: the counts add up to the first."""
    orders = words.counted(*ORDERS, sum(has.unbooked.values()))
    money = words.amount(has.unbooked_total)
    return words.text(WITHOUT_OPERATION, what=orders, money=money, why=_each(has.unbooked, words))


def unbooked_parts(has: Summary, words: Language) -> str:
    count = words.number(sum(has.unbooked_parts.values()))
    return words.text(PARTS_WITHOUT, count=count, why=_each(has.unbooked_parts, words))


def deciding(pending: int, words: Language) -> str:
    """The end of a line about what is done by itself: how many changes are not, because a person decides."""
    return words.counted(*WAITING, pending) if pending else ""


def _each(reasons: dict[str, int], words: Language) -> str:
    return "; ".join(f"{words.say(why)} ({words.number(count)})" for why, count in reasons.items())
