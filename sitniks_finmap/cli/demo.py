"""The commands `demo` and `sandbox`: the main job against a simulated shop on this machine."""

import errno
import os
import shlex
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import requests
from filelock import FileLock, Timeout
from rich.console import Console
from rich.markup import escape

from sitniks_finmap.clients.finmap import Operation
from sitniks_finmap.days import utc_now
from sitniks_finmap.defs.launch import instance, prepare_home, run_job
from sitniks_finmap.figures import counted
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.preview import print_sides
from sitniks_finmap.people.run_page import DAYS, print_runs, print_state
from sitniks_finmap.people.summary import Sums
from sitniks_finmap.pipeline.readback import listed
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.sandbox.seed import seed_shop
from sitniks_finmap.sandbox.serve import ORDERS_SHOP, open_orders, serve
from sitniks_finmap.sandbox.transaction_shapes import MALFORMED
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import connections_path, load_connections
from sitniks_finmap.settings.private_files import data_folder, private_folder
from sitniks_finmap.settings.value_types import LOOPBACK
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import open_warehouse

TOOK = ("{seconds} s, {count} write to Finmap", "{seconds} s, {count} writes to Finmap")
AS_PLANNED = "the error above is part of the demo: malformed rows are rejected, the rest is posted"
SANDBOX = Path(__file__).parents[1] / "sandbox"


@dataclass(frozen=True)
class Example:
    """A shop of the sandbox and the connection to it; the keys are those of .env.example."""

    name: str
    shop: str
    file: Path
    folder: str
    keys: tuple[str, str]


EXAMPLES = {
    "transactions": Example(
        "sandbox_shop", "demo", SANDBOX / "connections.toml", "demo", ("sandbox-sitniks-key", "sandbox-finmap-key")
    ),
    "orders": Example(
        "sandbox_orders", ORDERS_SHOP, SANDBOX / "connections_orders.toml", "demo_orders",
        ("sandbox-sitniks-key-orders", "sandbox-finmap-key-orders"),
    ),
}  # fmt: skip


def run_demo(out: Console, *, source: str, port: int | None, days: int, seed: int) -> bool:
    """Runs the sync of a shop of the sandbox; returns whether Finmap ends up with exactly what Sitniks has.

    The shop with transactions has malformed rows: that these are rejected is an error of the shop, but not of the demo.
    """
    started, begun, words = time.monotonic(), utc_now(), terminal_language()
    example = EXAMPLES[source]
    connection = _connection(example, port)
    last_day = connection.today(utc_now())
    first_day = max(connection.start_date, last_day - timedelta(days))
    with _served(out, example, connection, days, seed):
        for variable, key in _keys(example, connection).items():
            os.environ[variable] = key
        with instance() as dagster:
            ended = run_job(dagster, connection, "sync", first_day, last_day)
        out.print()
        if ended.misconfigured:
            raise ConfigurationError(ended.why)
        if not ended.success:
            out.print(f"[red]✗[/] {escape(words.say(ended.why))}")
            return False
        print_runs(out, connection, (first_day, last_day), [ended.run_id], begun)
        status = print_state(out, connection, (first_day, last_day))
        found = status.summary
        run = ConnectionRun(connection, open_warehouse(connection))
        shown = listed(run, first_day, last_day)
        agree = found is not None and print_sides(out, found.wanted, sums_of(shown))
        agree &= print_accounts(out, run, shown, first_day, last_day)
    took = words.counted(*TOOK, _writes(connection, ended.run_id), seconds=f"{time.monotonic() - started:.0f}")
    out.print(f"  {words.text('took'):<10} {took}\n")
    errors = [one.problem for one in status.findings if one.verdict == "error"]
    as_planned = errors == ["rejected"] and found is not None and found.rejected <= MALFORMED
    if as_planned and agree:
        out.print(f"  {words.text('as planned'):<10} {words.text(AS_PLANNED)}\n")
    _say_what_next(out, example, connection)
    return agree and (as_planned or not errors)


def serve_sandbox(out: Console, *, port: int, live: float | None, days: int, seed: int) -> None:
    """Serves both APIs until Ctrl-C. Raises ConfigurationError if the port is unavailable."""
    prepare_home()
    private_folder(data_folder())
    try:
        with _alone():
            serve(data_folder() / "sandbox.sqlite", port, live, days, seed)
    except OSError as error:
        raise _port_problem(port, error) from None


@contextmanager
def _alone() -> Iterator[None]:
    """Locks the shop's file: a second sandbox could serve it on another port while the first one changes it."""
    lock = FileLock(data_folder() / "sandbox.lock", mode=0o600)
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout:
        raise ConfigurationError(f"another sandbox is serving the shop in {data_folder()}; stop it first") from None
    except sqlite3.Error as error:
        raise ConfigurationError(f"the shop's file in {data_folder()} cannot be used: {error}") from None


def _port_problem(port: int, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(f"port {port} is taken by another program; choose another with --port")
    if error.errno in (errno.EACCES, errno.EPERM) and error.filename is None:
        return ConfigurationError(f"this user may not listen on port {port}; choose one above 1023 with --port")
    return error


def _connection(example: Example, port: int | None) -> Connection:
    """The sandbox's connection: the project's if it points to this machine, otherwise the demo's own copy."""
    shipped = load_connections(example.file)[0][0]
    try:
        mine = {connection.name: connection for connection in load_connections()[0]}.get(example.name)
    except ConfigurationError:
        mine = None
    if mine and urlsplit(mine.sitniks_url).hostname in LOOPBACK and port in (None, _port(mine)):
        return mine
    # The project's table is missing, belongs to a real shop or uses another port: leave it untouched.
    folder = data_folder() / example.folder
    private_folder(folder)
    text = example.file.read_text("utf-8")
    path = folder / "connections.toml"
    path.write_text(text.replace(f":{_port(shipped)}/", f":{port or _port(shipped)}/"), "utf-8")
    os.environ["SITNIKS_FINMAP_CONNECTIONS"] = str(path)
    os.environ["SITNIKS_FINMAP_DATA"] = str(folder)
    return load_connections(path)[0][0]


def _port(connection: Connection) -> int:
    return urlsplit(connection.sitniks_url).port or 80


def _keys(example: Example, connection: Connection) -> dict[str, str]:
    """The connection's environment variables, with the keys of the sandbox's shop."""
    return dict(zip((connection.sitniks_key_env, connection.finmap_key_env), example.keys, strict=True))


@contextmanager
def _served(out: Console, example: Example, connection: Connection, days: int, seed: int) -> Iterator[None]:
    """Serves the sandbox at the connection's address, unless it is already running."""
    address = urlsplit(connection.sitniks_url)
    if _is_running(url := f"{address.scheme}://{address.netloc}", example.shop):
        out.print(terminal_language().text("Using the sandbox that is running on {url}", url=url))
        yield
        return
    private_folder(data_folder())
    with ExitStack() as running:
        running.enter_context(_alone())
        sandbox = Sandbox(data_folder() / "sandbox.sqlite", _port(connection))
        running.callback(sandbox.stop)
        try:
            sandbox.start()
        except OSError as error:
            raise _port_problem(_port(connection), error) from None
        shop = sandbox.add_shop(example.shop)
        if not shop.transactions() and not shop.orders():
            words = terminal_language()
            what, in_days = words.say(_seed(shop, days, seed)), words.counted(*DAYS, days)
            out.print(
                words.text(
                    "Serving a new shop with {what} in {days} on {url}", what=what, days=in_days, url=sandbox.url
                )
            )
        yield


def _seed(shop: Shop, days: int, seed: int) -> str:
    if shop.name == ORDERS_SHOP:
        return counted(open_orders(shop, days, seed).orders, "order")
    return counted(seed_shop(shop, days=days, seed=seed).transactions, "transaction")


def _is_running(url: str, shop: str) -> bool:
    """Whether a sandbox listens there, with this shop."""
    try:
        answer = requests.get(f"{url}/sandbox", timeout=5).json()
        return any(one["name"] == shop for one in answer["shops"])
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return False


def _writes(connection: Connection, run_id: str) -> int:
    with open_warehouse(connection).transaction() as con:
        (writes,) = con.execute("select count(*) from finmap_requests where run_id = $1", [run_id]).fetchone() or (0,)
    return writes


def _say_what_next(out: Console, example: Example, connection: Connection) -> None:
    """Prints commands that work as they are, in any shell and without .env."""
    warehouse = open_warehouse(connection)
    settings: dict[str, str] = {}
    if connections_path() == data_folder() / "connections.toml":  # the demo's own
        settings = {name: os.environ[name] for name in ("SITNIKS_FINMAP_CONNECTIONS", "SITNIKS_FINMAP_DATA")}
    keys = _keys(example, connection) | {"DAGSTER_HOME": os.environ["DAGSTER_HOME"]}
    where = "" if Path("workspace.yaml").exists() else " -m sitniks_finmap.definitions"
    sandbox = "sitniks-finmap sandbox" + ("" if _port(connection) == 8686 else f" --port {_port(connection)}")
    look = 'sitniks-finmap sql "select day, type, amount, comment from operations limit 5"'
    words = terminal_language()
    copy = words.text("(read-only copy: {path})", path=escape(str(warehouse.read_path)))
    out.print(f"  {words.text('data'):<10} {escape(str(warehouse.path))} {copy}")
    out.print(f"  {words.text('look'):<10} {escape(_command(settings, look))}")
    out.print(f"  {words.text('keep open'):<10} {escape(_command(settings, sandbox))}")
    out.print(f"  {words.text('Dagster UI'):<10} {escape(_command(settings | keys, f'dagster dev{where}'))}")
    out.print(f"  {'':<10} {words.text('in another terminal, then open http://127.0.0.1:3000')}")


def _command(variables: dict[str, str], command: str) -> str:
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), command])


def sums_of(shown: list[Operation]) -> Sums:
    """The sums of what Finmap has, read from Finmap and not from our ledger."""
    sums = {"income": Decimal(0), "expense": Decimal(0)}
    for operation in shown:
        sums[operation.content.type] += operation.content.amount
    return Sums(len(shown), sums["income"], sums["expense"])


def print_accounts(out: Console, run: ConnectionRun, shown: list[Operation], first_day: date, last_day: date) -> bool:
    """Prints the balance of each Finmap account, if there are several; returns whether both sides have the same."""
    with run.warehouse.transaction() as con:
        rows = con.execute(sql("balances"), {"first": first_day, "last": last_day}).fetchall()
    finmap: dict[str, Decimal] = {}
    for one in shown:
        signed = one.content.amount if one.content.type == "income" else -one.content.amount
        finmap[one.content.account] = finmap.get(one.content.account, Decimal(0)) + signed
    if len(rows) > 1:
        for _, label, balance in rows:
            out.print(f"    {escape(label):<8} {terminal_language().amount(balance):>17}")
    return {account: balance for account, _, balance in rows} == finmap
