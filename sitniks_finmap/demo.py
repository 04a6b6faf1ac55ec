"""The whole way in a minute: the main job against a believable shop on this machine."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.markup import escape

from sitniks_finmap.automation import utc_now
from sitniks_finmap.connections import (
    ConfigurationError,
    Connection,
    connections_path,
    data_folder,
    load_connections,
)
from sitniks_finmap.launch import instance, prepare_home, run_job
from sitniks_finmap.report import print_sides
from sitniks_finmap.run import ConnectionRun, open_warehouse, today
from sitniks_finmap.sandbox import Sandbox
from sitniks_finmap.sandbox.seed import seed_shop
from sitniks_finmap.sandbox.serve import serve
from sitniks_finmap.status import print_runs, print_state
from sitniks_finmap.summary import finmap_side, summarize
from sitniks_finmap.warehouse import private_folder

NAME = "sandbox_shop"
SHIPPED = Path(__file__).parent / "sandbox" / "connections.toml"


def run_demo(out: Console, *, days: int, seed: int) -> bool:
    """Runs `sandbox_shop_sync` against the sandbox; True when Finmap ends up with just what Sitniks has."""
    started = time.monotonic()
    connection = _connection()
    last_day = today(connection, utc_now())
    first_day = max(connection.start_date, last_day - timedelta(days))
    with _served(out, connection, days, seed) as keys:
        os.environ[connection.sitniks_key_env], os.environ[connection.finmap_key_env] = keys
        with instance() as dagster:
            ended = run_job(dagster, connection, "sync", first_day, last_day)
        out.print()
        if not ended.success:
            out.print(f"[red]✗[/] {escape(ended.why)}")
            return False
        print_runs(out, connection, (first_day, last_day), [ended.run_id])
        status = print_state(out, connection, (first_day, last_day))
        found = summarize(open_warehouse(connection), first_day, last_day)
        run = ConnectionRun(connection, open_warehouse(connection))
        agree = found is not None and print_sides(out, found.wanted, finmap_side(run, first_day, last_day))
    out.print(
        f"  took       {time.monotonic() - started:.0f} s, {_writes(connection, ended.run_id)} writes to Finmap\n"
    )
    _say_what_next(out, connection)
    # The shop's malformed rows are there to be rejected.
    return agree and not [one for one in status.findings if one.verdict == "error" and one.problem != "rejected"]


def serve_sandbox(out: Console, *, port: int, live: float | None, days: int, seed: int) -> None:
    """Both APIs until Ctrl-C. Raises ConfigurationError when the port is taken."""
    prepare_home()
    private_folder(data_folder())
    try:
        serve(data_folder() / "sandbox.sqlite", port, live, days, seed)
    except OSError as error:
        raise ConfigurationError(f"port {port} is taken ({error.strerror}); choose another with --port") from None


def _connection() -> Connection:
    """The shipped connection: the project's, while it talks to this machine, else the package's own copy."""
    shipped, _ = load_connections(SHIPPED)
    try:
        mine = {connection.name: connection for connection in load_connections()[0]}
    except ConfigurationError:
        mine = {}
    if NAME in mine and mine[NAME].sitniks_url == shipped[0].sitniks_url:
        return mine[NAME]
    # The project has no such table (any more), or it is somebody's: then nothing of it is touched.
    os.environ["SITNIKS_FINMAP_CONNECTIONS"] = str(SHIPPED)
    os.environ["SITNIKS_FINMAP_DATA"] = str(data_folder() / "demo")
    return shipped[0]


@contextmanager
def _served(out: Console, connection: Connection, days: int, seed: int) -> Iterator[tuple[str, str]]:
    """The sandbox at the connection's address, started here unless it runs there already; yields its two keys."""
    address = urlsplit(connection.sitniks_url)
    private_folder(data_folder())
    sandbox = Sandbox(data_folder() / "sandbox.sqlite", address.port or 80)
    try:
        sandbox.start()
    except OSError:
        yield _running_keys(f"{address.scheme}://{address.netloc}")
        return
    try:
        shop = sandbox.shop()
        if not shop.transactions():
            seeded = seed_shop(shop, days=days, seed=seed)
            out.print(f"A shop with {seeded.transactions:,} transactions in {days} days opens on {sandbox.url}")
        yield shop.sitniks_key, shop.finmap_key
    finally:
        sandbox.stop()


def _running_keys(url: str) -> tuple[str, str]:
    """Raises ConfigurationError when what listens there is not the sandbox."""
    try:
        answer = requests.get(f"{url}/sandbox", timeout=5).json()
        shop = next(shop for shop in answer["shops"] if shop["name"] == "demo")
        return shop["sitniks_key"], shop["finmap_key"]
    except (requests.RequestException, ValueError, KeyError, TypeError, StopIteration):
        raise ConfigurationError(f"{url} is taken by another program; stop it, the demo needs the port") from None


def _writes(connection: Connection, run_id: str) -> int:
    with open_warehouse(connection).transaction() as con:
        (writes,) = con.execute("select count(*) from finmap_requests where run_id = $1", [run_id]).fetchone() or (0,)
    return writes


def _say_what_next(out: Console, connection: Connection) -> None:
    warehouse = open_warehouse(connection)
    out.print(f"  data       {warehouse.path} (read it at {warehouse.read_path}, or with `sitniks-finmap sql`)")
    out.print('  look       sitniks-finmap sql "select day, type, amount, comment from operations limit 5"')
    settings = {"DAGSTER_HOME": os.environ["DAGSTER_HOME"]}
    if connections_path() == SHIPPED:
        settings |= {
            "SITNIKS_FINMAP_CONNECTIONS": str(SHIPPED), "SITNIKS_FINMAP_DATA": os.environ["SITNIKS_FINMAP_DATA"]
        }  # fmt: skip
    out.print("  Dagster UI " + " ".join(f"{name}={value}" for name, value in settings.items()) + " dagster dev")
    out.print(
        "             and http://127.0.0.1:3000; `sitniks-finmap sandbox` in another terminal keeps the shop open"
    )
