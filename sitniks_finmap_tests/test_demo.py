"""The demo: it uses a sandbox that runs already, or another port, and the commands that it prints work as printed."""

import io
import os
import re
import shlex
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from sitniks_finmap.cli.demo import EXAMPLES, run_demo
from sitniks_finmap.cli.sandbox_commands import sandbox as sandbox_command
from sitniks_finmap.sandbox import Sandbox
from sitniks_finmap.sandbox.seed import seed_shop
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.settings.connections_file import load_connections

pytestmark = [pytest.mark.runs, pytest.mark.timeout(300)]  # processes that import Dagster anew
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo sets variables of its own process; they end with the test."""
    for name in ("SITNIKS_FINMAP_CONNECTIONS", "SITNIKS_FINMAP_DATA", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")
    for side in ("SITNIKS", "FINMAP"):
        for example in EXAMPLES.values():
            monkeypatch.setenv(f"{example.name.upper()}_{side}_API_KEY", "")


def demo(port: int, days: int = 3, source: str = "transactions") -> str:
    out = Console(file=io.StringIO(), width=10_000)
    assert run_demo(out, source=source, port=port, days=days, seed=1)
    return out.file.getvalue()  # type: ignore[attr-defined]


def command(said: str, title: str) -> str:
    (line,) = [line for line in said.splitlines() if line.startswith(f"  {title}")]
    return line[13:]


def test_a_demo_uses_the_sandbox_that_runs_already(sandbox: Sandbox) -> None:
    seed_shop(sandbox.shop(), days=3, seed=2)
    said = demo(int(sandbox.url.rpartition(":")[2]))
    assert "both sides agree" in said
    assert "Serving" not in said
    assert len(sandbox.shop().operations()) > 50
    state, planned = said.index("state      error"), said.index("as planned the error above is part of the demo")
    assert state < planned


def test_a_demo_fails_if_more_is_rejected_than_planned(sandbox: Sandbox) -> None:
    seed_shop(sandbox.shop(), days=3, seed=2)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    sandbox.shop().put_transaction({"id": "tx_more", "createdAt": moment, "amount": "сто"})
    out = Console(file=io.StringIO(), width=10_000)
    assert not run_demo(out, source="transactions", port=int(sandbox.url.rpartition(":")[2]), days=3, seed=1)
    assert "as planned" not in out.file.getvalue()  # type: ignore[attr-defined]


def test_the_commands_that_a_demo_prints_work_as_printed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = demo(port)
    assert f"on http://127.0.0.1:{port}" in said
    assert f"sandbox --port {port}" in command(said, "keep open")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    bare = {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}  # neither keys nor .env
    program = shlex.join([sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()"])
    look = command(said, "look").replace("sitniks-finmap", program, 1)
    done = subprocess.run(look, shell=True, env=bare, capture_output=True, text=True, check=False)  # noqa: S602
    assert (done.returncode, "income" in done.stdout) == (0, True), done.stderr
    # The sensor asks nothing but the keys of the environment.
    line = command(said, "Dagster UI")
    assert line.endswith("dagster dev -m sitniks_finmap.definitions")
    ask = shlex.join([sys.executable, "-c", SENSORS])
    done = subprocess.run(  # noqa: S602
        line.replace("dagster dev -m sitniks_finmap.definitions", ask), shell=True, env=bare, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["alerts", "sandbox_shop_sensor"], done.stderr


SENSORS = """
import dagster as dg
from sitniks_finmap.definitions import defs
repository = defs().get_repository_def()
with dg.DagsterInstance.get() as instance:
    for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name):
        if sensor.sensor_type is dg._core.definitions.sensor_definition.SensorType.STANDARD:
            with dg.build_sensor_context(instance, repository_def=repository) as context:
                sensor.evaluate_tick(context)
            print(sensor.name)
"""


def test_a_demo_of_orders_ends_equal_and_then_writes_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = demo(port, days=5, source="orders")
    assert "both sides agree" in said
    assert "Склад" in said
    again = demo(port, days=5, source="orders")
    assert "both sides agree" in again
    assert " 0 writes to Finmap" in again


def test_a_port_of_another_program_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.settimeout(0)
        with pytest.raises(ConfigurationError, match=f"port {port} is taken by another program"):
            demo(port)


def test_the_shipped_connection_is_the_one_of_the_project() -> None:
    example = EXAMPLES["transactions"]
    assert example.file.read_text("utf-8") == (ROOT / "connections.toml").read_text("utf-8")
    (shipped,) = load_connections(example.file)[0]
    assert shipped.sync_every.total_seconds() == 60


def test_the_keys_of_both_shops_are_in_the_example_of_env() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    for example in EXAMPLES.values():
        (shipped,) = load_connections(example.file)[0]
        for variable, key in zip((shipped.sitniks_key_env, shipped.finmap_key_env), example.keys, strict=True):
            assert f"{variable}={key}" in lines
        said = CliRunner().invoke(sandbox_command, ["--help"]).output
        assert f"{example.name.upper()}_" in said


def test_both_readmes_have_the_key_of_every_kind_of_record() -> None:
    for readme in ("README.md", "README.uk.md"):
        text = (ROOT / readme).read_text("utf-8")
        [promise] = re.findall(r"- \*\*(?:Exactly once|Рівно один раз)\..*?\n- \*\*", text, re.DOTALL)
        assert re.search(r"`<connection>:<(transaction|id)\s+(id|транзакції)>`", promise)
        assert re.search(r"`<connection>:order-<(order id|id замовлення)>\.<(part|частина)>`", promise)
        assert all(part in promise for part in ("`.prepayment`", "`.sale`", "`.refund`"))


def test_the_example_of_env_leaves_the_home_of_dagster_alone() -> None:
    assert "DAGSTER_HOME" not in (ROOT / ".env.example").read_text("utf-8")
    for readme in ("README.md", "README.uk.md"):
        assert "export DAGSTER_HOME=$PWD/data/dagster" in (ROOT / readme).read_text("utf-8")
