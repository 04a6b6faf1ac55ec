"""Checks one connection: keys, account, permissions, and whether the APIs behave as assumed."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.clients import finmap, sitniks
from sitniks_finmap.clients.answers import ApiError, KeyRefused, Refused
from sitniks_finmap.clients.finmap import Directory
from sitniks_finmap.clients.sitniks import Page
from sitniks_finmap.figures import counted
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.doctor_orders import examine_orders, latest_orders
from sitniks_finmap.people.doctor_page import RECENT
from sitniks_finmap.people.doctor_transactions import examine_transactions
from sitniks_finmap.people.findings import Finding
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.people.proposal import orders_table
from sitniks_finmap.pipeline.directory import category_mapping, find_accounts, read_directory
from sitniks_finmap.pipeline.identity import doubt_finmap, doubt_sitniks, is_proven, knows_anything, suspicion
from sitniks_finmap.pipeline.installation import owned_by_others
from sitniks_finmap.pipeline.other_operations import count_other_operations
from sitniks_finmap.pipeline.rehearsal import rejections
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import WrongConnection
from sitniks_finmap.settings.text_files import is_plain
from sitniks_finmap.warehouse.store import WarehouseError, open_warehouse

log = logging.getLogger(__name__)

CLOCK_TOLERANCE = timedelta(seconds=60)
# A person is waiting: report a side that does not answer within seconds, and do not wait for a rate limit.
BRISK = {"attempts": 2, "timeout": (5.0, 20.0), "patience": 5.0}


# Where a key is made, or its rights and the subscription are seen.
KEYS_OF = {
    "sitniks": "Sitniks → Settings → Integrations → Open API",
    "finmap": "Finmap → company settings → API",
}


def print_examination(out: Console, connection: Connection | WrongConnection) -> list[Finding]:
    """Prints each finding as soon as it is known; returns all of them."""
    words, found = terminal_language(), []
    out.print(f"[bold]{connection.name}[/]")
    for finding in examine(connection):
        found.append(finding)
        where = f" ({words.say(finding.where)})" if finding.where else ""
        out.print(f"  {MARKS[finding.verdict]} {escape(words.say(finding.what) + where)}")
        if finding.block:
            out.print(f"\n{escape(finding.block)}\n")
    return found


def is_well(findings: list[Finding]) -> bool:
    return not any(finding.verdict == "error" for finding in findings)


def examination_json(name: str, findings: list[Finding]) -> dict[str, object]:
    """The findings about one connection for programs."""
    told = [
        {"verdict": one.verdict, "what": one.what, "where": one.where or None, "block": one.block or None}
        for one in findings
    ]
    return {"connection": name, "ok": is_well(findings), "findings": told}


@dataclass
class Told:
    """What both sides returned, for the checks that need both."""

    directory: Directory | None = None
    page: Page | None = None


def examine(connection: Connection | WrongConnection, now: datetime | None = None) -> Iterator[Finding]:
    """Yields each finding as soon as it is known; a side that refuses its key gets no further requests."""
    if isinstance(connection, WrongConnection):
        yield Finding("error", connection.why)
        return
    now = now or datetime.now(UTC)
    run = ConnectionRun(connection, open_warehouse(connection), now=lambda: now, proving=False)
    yield Finding(
        "ok",
        f"time zone {connection.timezone}, where it is {now.astimezone(connection.zone):%Y-%m-%d %H:%M}",
    )
    yield from _env(Path(".env"))
    told = Told()
    for side, question in (("finmap", _finmap), ("sitniks", _sitniks), ("", _rejections)):
        try:
            yield from question(run, now, told)
        except (ApiError, ConfigurationError, WarehouseError) as error:
            # Without its key, nothing is asked of a side.
            missing = isinstance(error, ConfigurationError) and connection.problem() is not None
            yield Finding("error", str(error), where=KEYS_OF.get(side, "") if missing else _path_of(error, side))


def _path_of(error: Exception, side: str) -> str:
    """The click path to the key, if the error is about it."""
    return KEYS_OF.get(side, "") if isinstance(error, KeyRefused) else ""


def _env(path: Path) -> Iterator[Finding]:
    """Whether Dagster can read the file with the keys, and no other user can."""
    if not is_plain(path):
        yield Finding("warning", "save .env as UTF-8 without a byte order mark: Dagster reads no other encoding")
    if path.exists() and path.stat().st_mode & 0o077:
        yield Finding("warning", "other users of this machine can read the keys in .env; run `chmod 600 .env`")


def _finmap(run: ConnectionRun, now: datetime, told: Told) -> Iterator[Finding]:
    connection = run.connection
    run.finmap = finmap.connect(connection, **BRISK)
    log.info("%s: asking Finmap at %s", connection.name, run.finmap.api.host)
    directory = read_directory(run.finmap, connection)
    yield Finding("ok", f"Finmap accepts the key, which can write to {counted(len(directory.accounts), 'account')}")
    yield _rate("Finmap", connection.finmap_requests_per_second)
    if not is_proven(connection, run.warehouse, "finmap") and (why := doubt_finmap(run.warehouse, run.finmap)):
        yield Finding("error", suspicion(connection, "finmap", why))
        return
    yield from _owner(run)
    found = find_accounts(connection, directory.accounts)
    for account in {account.id: account for account in found.values()}.values():
        yield Finding("ok", f'Finmap account "{account.label}" exists, in {account.currency}, and is writable')
    if connection.orders and connection.orders.stock_account:
        yield Finding("ok", "the accounts of the money and of the stock differ, and have the same currency")
    if connection.categories:
        category_mapping(connection, directory)
        yield Finding("ok", f"found in Finmap: {counted(len(connection.categories), 'configured category')}")
    told.directory = directory
    yield from _clock("Finmap", run.finmap.api.clock_ahead)
    names = {connection.finmap_account, *connection.accounts.values(), *connection.channels.values()}
    yield from _others(run, {found[name].id: found[name].label for name in names}, now)


def _others(run: ConnectionRun, accounts: dict[str, str], now: datetime) -> Iterator[Finding]:
    """Whether somebody else posts to the accounts of the money, such as a bank feed."""
    if run.connection.bank_feed == "accepted":
        yield Finding("ok", 'bank_feed = "accepted": operations of others in the Finmap account are not looked for')
        return
    others = count_other_operations(run.finmap, run.connection, accounts, now)
    labels = " and ".join(f'"{label}"' for label in sorted(accounts.values()))
    where = f"Finmap {'account' if len(accounts) == 1 else 'accounts'} {labels}"
    if not others.total:
        yield Finding("ok", f"nobody else posted to the {where} in the last {RECENT.days} days")
        return
    yield Finding(
        "warning", f"{counted(others.total, 'operation')} of the last {RECENT.days} days in the {where} "
        f"{'is' if others.total == 1 else 'are'} not from this program ({others.income:,} income, {others.expense:,} "
        "expense). If a bank feed or a person posts the same money there, it counts twice: stop the feed, or choose an "
        'account of its own. If it is other money, set bank_feed = "accepted"',
    )  # fmt: skip


def _owner(run: ConnectionRun) -> Iterator[Finding]:
    """Whether another installation writes to Finmap under this connection's name."""
    try:
        if why := owned_by_others(run.connection, run.warehouse, run.finmap):
            yield Finding("error", why)
    except (KeyRefused, Refused):
        yield Finding("warning", "Finmap shows no tags: a second installation with this name would go unnoticed")


def _sitniks(run: ConnectionRun, now: datetime, told: Told) -> Iterator[Finding]:
    run.sitniks = sitniks.connect(run.connection, **BRISK)
    log.info("%s: asking Sitniks at %s", run.connection.name, run.sitniks.api.host)
    of_orders = run.connection.source == "orders"
    try:
        page = latest_orders(run.sitniks, now) if of_orders else run.sitniks.page("/transactions", now - RECENT, now)
    except (KeyRefused, Refused) as refused:
        yield Finding("error", str(refused), where=_path_of(refused, "sitniks"))
        if not of_orders and refused.status in (403, 404):
            yield from _orders_instead(run, now)
        return
    yield Finding("ok", f"Sitniks accepts the key; GET /{run.connection.source} answers")
    yield _rate("Sitniks", run.connection.sitniks_requests_per_second)
    if not is_proven(run.connection, run.warehouse, "sitniks") and (
        why := doubt_sitniks(run.warehouse, run.sitniks, run.bounds)
    ):
        yield Finding("error", suspicion(run.connection, "sitniks", why))
        return
    yield from _clock("Sitniks", run.sitniks.api.clock_ahead)
    if page.count is None:
        yield Finding("warning", "Sitniks does not count its list: a read is trusted only if two reads agree")
    told.page = page
    if of_orders:
        yield from examine_orders(run, page, now)
        return
    yield from examine_transactions(run, page, now)
    try:
        run.sitniks.page("/orders", now - RECENT, now)
    except (KeyRefused, Refused) as refused:
        yield Finding(
            "warning",
            f"GET /orders: {refused} Payments are still delivered; comments lack details from orders",
            where=_path_of(refused, "sitniks"),
        )
    except ApiError as error:
        yield Finding("error", f"GET /orders: {error}")
    else:
        yield Finding("ok", "GET /orders answers: order statuses can be read")


def _orders_instead(run: ConnectionRun, now: datetime) -> Iterator[Finding]:
    """GET /transactions cannot be read: proposes orders as the source if they can."""
    try:
        run.sitniks.page("/orders", now - RECENT, now)
        yield Finding("ok", "GET /orders answers: order statuses can be read")
        titles = [one["title"] for one in run.sitniks.order_statuses()]
    except ApiError as error:
        yield Finding("warning", f"orders cannot be read either: {error}")
        return
    why = "Sitniks does not give the transactions of this company to this key, but its orders"
    if knows_anything(run.warehouse):
        yield Finding(
            "warning", f'{why}. To continue with orders, add a connection with source = "orders" and a start_date '
            "after the last day of this one, and remove this one",
        )  # fmt: skip
        return
    yield Finding(
        "warning", f"{why}. Either ask for access to transactions, or import orders instead: replace the table "
        f"[{run.connection.name}] in connections.toml with this one, and put each status into its list",
        block=orders_table(run.connection, titles),
    )  # fmt: skip


def _rejections(run: ConnectionRun, now: datetime, told: Told) -> Iterator[Finding]:
    """Whether the latest transactions, or orders, would become operations with the current connections.toml."""
    if not (told.directory and told.page and told.page.rows):
        return
    why = rejections(run, told.directory, told.page.rows)
    latest = counted(len(told.page.rows), run.connection.source[:-1])
    for reason, count in why.items():
        settings = "account" in reason or "currency" in reason
        remedy = "; correct the account in connections.toml" if settings else ""
        yield Finding(
            "error" if settings else "warning",
            f"of the latest {latest}, {count:,} would be rejected: {reason}{remedy}",
        )
    if not why:
        yield Finding("ok", f"none of the latest {latest} would be rejected")


def _clock(side: str, ahead: timedelta | None) -> Iterator[Finding]:
    if ahead is not None and abs(ahead) > CLOCK_TOLERANCE:
        seconds = round(ahead.total_seconds())
        yield Finding("warning", f"this machine's clock differs from {side}'s by {seconds} s; synchronize it with NTP")


def _rate(side: str, per_second: float) -> Finding:
    return Finding("ok", f"requests to {side}: " + (f"at most {per_second:g}/s" if per_second else "no limit"))
