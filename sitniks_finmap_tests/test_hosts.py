"""Several hosts with one Dagster: each its own shops; a shop or a key on two of them is refused on both."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from sitniks_finmap.alerts.hosts import LOST, Hosts
from sitniks_finmap.alerts.state import memory
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.cli.commands import cli
from sitniks_finmap.defs.hosts import announce, forget, hosts_of, known_hosts, other_hosts, renew
from sitniks_finmap.defs.housekeeping import report_killed_runs
from sitniks_finmap.defs.launch import job_origin, run_job
from sitniks_finmap.sandbox import Sandbox
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.hosts import name_here
from sitniks_finmap_tests.dagster_runs import status_of

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = date(2026, 3, 9)
TABLE = """
[{name}]
start_date = 2026-03-01
finmap_account = "Каса"
sitniks_url = "{sandbox.sitniks_url}"
finmap_url = "{sandbox.finmap_url}"
sitniks_requests_per_second = 0
finmap_requests_per_second = 0
"""


class Machines:
    """Hosts with a folder each: data, connections.toml and keys of their own."""

    def __init__(self, folder: Path, sandbox: Sandbox, instance: dg.DagsterInstance) -> None:
        self.folder, self.sandbox, self.instance = folder, sandbox, instance

    def give(self, host: str, **shops: str) -> None:
        """The slice of a host: names of connections, each with the shop that its keys are of."""
        (self.folder / host).mkdir(exist_ok=True)
        tables = "\n".join(TABLE.format(name=name, sandbox=self.sandbox) for name in shops)
        (self.folder / host / "connections.toml").write_text(tables or "# none\n", "utf-8")
        lines = []
        for name, shop in shops.items():
            tenant = self.sandbox.add_shop(shop)
            lines += [f"{name.upper()}_SITNIKS_API_KEY={tenant.sitniks_key}"]
            lines += [f"{name.upper()}_FINMAP_API_KEY={tenant.finmap_key}"]
        (self.folder / host / "keys").write_text("\n".join(lines), "utf-8")

    @contextmanager
    def on(self, host: str) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in [one for one in os.environ if one.endswith("_API_KEY")]:
                patch.delenv(name)
            patch.setenv("SITNIKS_FINMAP_DATA", str(self.folder / host / "data"))
            patch.setenv("SITNIKS_FINMAP_CONNECTIONS", str(self.folder / host / "connections.toml"))
            for line in (self.folder / host / "keys").read_text("utf-8").splitlines():
                patch.setenv(*line.split("=", 1))
            yield

    def tick(self, host: str, now: datetime = NOW) -> None:
        """The sensor `alerts` announces the host."""
        with self.on(host):
            announce(self.instance, host, now)

    def sync(self, host: str, name: str) -> str:
        """A sync of a connection on this host; why it failed, or "synced"."""
        from sitniks_finmap.settings.connections_file import choose

        with self.on(host):
            run = run_job(self.instance, choose(name)[0], "sync", DAY, DAY)
            return "synced" if run.success else run.why


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def machines(tmp_path: Path, sandbox: Sandbox, instance: dg.DagsterInstance) -> Machines:
    for name in ("one", "two"):
        sandbox.add_shop(name).put_transaction({"id": "tx_1", "createdAt": f"{DAY}T10:00:00.000Z", "amount": "100"})
    return Machines(tmp_path, sandbox, instance)


def operations(machines: Machines, shop: str) -> int:
    return len(machines.sandbox.shop(shop).operations())


@pytest.mark.runs
def test_each_host_syncs_its_own_shops(machines: Machines) -> None:
    machines.give("host_a", a="one")
    machines.give("host_b", b="two")
    for _ in range(2):
        assert machines.sync("host_a", "a") == "synced"
        assert machines.sync("host_b", "b") == "synced"
        machines.tick("host_a")
        machines.tick("host_b")
    assert (operations(machines, "one"), operations(machines, "two")) == (1, 1)
    assert [(one.name, [*one.shops]) for one in known_hosts(machines.instance)] == [
        ("host_a", ["a"]),
        ("host_b", ["b"]),
    ]


@pytest.mark.runs
def test_a_shop_on_two_hosts_is_refused_on_both(machines: Machines) -> None:
    for host in ("host_a", "host_b"):
        machines.give(host, shop="one")
        machines.tick(host)
    for host, other in (("host_a", "host_b"), ("host_b", "host_a")):
        said = machines.sync(host, "shop")
        assert said.startswith(f"shop: this shop is on two hosts, {host} and {other}. Neither reads or posts anything")
        assert f"`sitniks-finmap hosts --forget {other}`" in said
    assert operations(machines, "one") == 0
    assert machines.sandbox.requests("sitniks") == []
    machines.give("host_a")  # its table is deleted there
    machines.tick("host_a")
    assert machines.sync("host_b", "shop") == "synced"


@pytest.mark.runs
@pytest.mark.parametrize("same", ["sitniks", "finmap"])
def test_a_key_on_two_hosts_is_refused_on_both(machines: Machines, same: str) -> None:
    machines.give("host_a", a="one")
    machines.give("host_b", b="two")
    keys = (machines.folder / "host_b" / "keys").read_text("utf-8")
    shop = machines.sandbox.shop
    old, new = getattr(shop("two"), f"{same}_key"), getattr(shop("one"), f"{same}_key")
    (machines.folder / "host_b" / "keys").write_text(keys.replace(f"={old}", f"={new.upper()}"), "utf-8")
    machines.tick("host_a")
    machines.tick("host_b")
    said = machines.sync("host_b", "b")
    assert said.startswith(f"b: its {same.title()} key, B_{same.upper()}_API_KEY, is that of a on the host host_a, too")
    assert machines.sync("host_a", "a").startswith(f"a: its {same.title()} key, A_{same.upper()}_API_KEY, is that of b")
    assert new not in said
    assert (operations(machines, "one"), operations(machines, "two")) == (0, 0)


@pytest.mark.runs
def test_a_host_that_is_gone_keeps_its_shops_until_forgotten(machines: Machines) -> None:
    machines.give("host_a", shop="one")
    machines.tick("host_a", NOW - timedelta(days=30))
    machines.give("host_b", shop="one")
    machines.tick("host_b")
    assert "if host_a is gone for good" in machines.sync("host_b", "shop")
    assert forget(machines.instance, "host_a")
    assert not forget(machines.instance, "host_a")
    assert machines.sync("host_b", "shop") == "synced"


def test_what_hosts_tell_each_other_has_no_key(machines: Machines) -> None:
    machines.give("host_a", a="one")
    machines.tick("host_a")
    [host] = known_hosts(machines.instance)
    shop = machines.sandbox.shop("one")
    for key in (shop.sitniks_key, shop.finmap_key):
        assert key not in host.to_text()
    machines.tick("host_a")
    [again] = known_hosts(machines.instance)
    assert again.shops["a"].finmap != host.shops["a"].finmap  # hashed with a new salt each time


def test_a_renamed_location_leaves_no_second_host(machines: Machines) -> None:
    machines.give("old", a="one")
    with machines.on("old"):
        announce(machines.instance, "old", NOW)
        announce(machines.instance, "new", NOW)
        assert name_here() == "new"
        assert other_hosts(machines.instance) == []
        assert job_origin("a_sync").location_name == "new"
    assert [one.name for one in known_hosts(machines.instance)] == ["new"]


def test_a_watcher_without_keys_renews_what_was_announced(machines: Machines) -> None:
    machines.give("host_a", a="one")
    machines.tick("host_a")
    [before] = known_hosts(machines.instance)
    (machines.folder / "host_a" / "keys").write_text("", "utf-8")
    with machines.on("host_a"):
        renew(machines.instance, NOW + timedelta(minutes=5))
    [after] = known_hosts(machines.instance)
    assert after.seen - before.seen == timedelta(minutes=5)
    assert after.shops == before.shops


def test_a_run_of_another_host_is_not_called_killed(machines: Machines) -> None:
    for host in ("host_a", "host_b"):
        machines.give(host, shop="one")
        machines.tick(host)
    with machines.on("host_a"):
        run = dg.DagsterRun(
            "shop_sync", "r" * 36, status=dg.DagsterRunStatus.STARTED, tags={"connection": "shop"},
            remote_job_origin=job_origin("shop_sync"),
        )  # fmt: skip
    machines.instance.run_storage.add_run(run)
    later = datetime.now(UTC) + timedelta(hours=1)
    shop = Connection.model_validate({"name": "shop", "start_date": DAY, "finmap_account": "Каса"})
    with machines.on("host_b"):
        report_killed_runs(machines.instance, shop, later)
    assert status_of(machines.instance, run.run_id) is dg.DagsterRunStatus.STARTED
    forget(machines.instance, "host_a")
    with machines.on("host_b"):
        report_killed_runs(machines.instance, shop, later)
    assert status_of(machines.instance, run.run_id) is dg.DagsterRunStatus.FAILURE


# -- Messages ------------------------------------------------------------------------------------------------------


def look(machines: Machines, host: str, now: datetime, heard: object = "itself") -> list[str]:
    """What a host tells now."""
    with machines.on(host):
        os.environ["ALERT_URLS"] = "json://127.0.0.1:1/"
        try:
            look_around(heard, lambda: now, hosts=hosts_of(machines.instance))  # type: ignore[arg-type]
        finally:
            del os.environ["ALERT_URLS"]
        with memory() as kept:
            titles = [title for (title,) in kept.con.execute("select title from outbox").fetchall()]
            kept.con.execute("delete from outbox")
    return [title for title in titles if "хост" in title or "Dagster" in title or "host" in title]


def test_one_of_the_living_hosts_tells_that_another_is_silent(machines: Machines) -> None:
    for number, host in enumerate(("host_a", "host_b", "host_c")):
        machines.give(host, **{f"s{number}": f"shop_{number}"})
        machines.tick(host)
    now = NOW
    told: dict[str, list[str]] = {"host_a": [], "host_b": []}
    for minute in range(1, 30):
        now = NOW + timedelta(minutes=minute)
        for host in told:
            machines.tick(host, now)
            told[host] += look(machines, host, now)
    assert told == {"host_a": ["Хост host_c не відповідає"], "host_b": []}
    machines.tick("host_c", now)
    assert look(machines, "host_a", now) == ["Хост host_c знову працює або вилучений зі списку"]
    assert look(machines, "host_b", now) == []


def test_the_next_host_tells_when_the_first_is_dead(machines: Machines) -> None:
    for number, host in enumerate(("host_a", "host_b")):
        machines.give(host, **{f"s{number}": f"shop_{number}"})
        machines.tick(host)
    told = []
    for minute in range(1, 30):
        machines.tick("host_b", now := NOW + timedelta(minutes=minute))
        told += look(machines, "host_b", now)
    assert told == ["Хост host_a не відповідає"]


def test_the_death_of_the_daemon_is_told_by_one_host(machines: Machines) -> None:
    from sitniks_finmap.alerts.deployment import Heartbeat

    for number, host in enumerate(("host_a", "host_b")):
        machines.give(host, **{f"s{number}": f"shop_{number}"})
        machines.tick(host)
    now = NOW
    told: dict[str, list[str]] = {"host_a": [], "host_b": []}
    for minute in range(0, 30, 5):
        now = NOW + timedelta(minutes=minute)
        for host in told:
            machines.tick(host, now)
            told[host] += look(machines, host, now, Heartbeat(NOW, "one"))
    assert told == {"host_a": ["Демон Dagster не працює"], "host_b": []}
    for host in told:
        assert look(machines, host, now) == (["Демон Dagster знову працює"] if host == "host_a" else [])


def test_a_host_among_several_names_itself(machines: Machines) -> None:
    for number, host in enumerate(("host_a", "host_b")):
        machines.give(host, **{f"s{number}": f"shop_{number}"})
        machines.tick(host)
    with machines.on("host_b"):
        (machines.folder / "host_b" / "connections.toml").write_text("[", "utf-8")
        for minute in (0, 2):
            look_around(
                "itself", lambda minute=minute: NOW + timedelta(minutes=minute), hosts=hosts_of(machines.instance)
            )
        with memory() as kept:
            state = kept.states()["*", "file"]
    assert state.fact.values["on"] == "host_b"


def test_a_host_that_was_just_seen_is_not_lost() -> None:
    assert Hosts("host_a", []).tells(NOW)
    assert timedelta(minutes=5) < LOST


# -- The command ----------------------------------------------------------------------------------------------------


def test_the_command_lists_and_forgets_hosts(
    machines: Machines, project: Path, monkeypatch: pytest.MonkeyPatch, connect: Callable[..., Connection]
) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "en")
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    from sitniks_finmap.defs.launch import instance as opened

    assert "no host has announced itself" in CliRunner().invoke(cli, ["hosts"]).output
    with opened() as dagster:
        machines.instance = dagster
        for host in ("host_a", "host_b"):
            machines.give(host, shop="one")
            machines.tick(host, datetime.now(UTC) - timedelta(days=1))
    listed = CliRunner().invoke(cli, ["hosts"]).output
    assert "host_a: shop; last sign of life" in listed
    done = CliRunner().invoke(cli, ["hosts", "--forget", "host_a"])
    assert "host_a: forgotten" in done.output
    assert "host_a: shop" not in done.output
    refused = CliRunner().invoke(cli, ["hosts", "--forget", "host_x"])
    assert "there is no host host_x; known hosts: host_b" in str(refused.exception)
