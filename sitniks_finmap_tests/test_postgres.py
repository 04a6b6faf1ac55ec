"""Dagster's runs in Postgres: a real server, whole syncs, and what is said when it is away or of another version."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy

from sitniks_finmap.backup.make import make_backup
from sitniks_finmap.defs import storage
from sitniks_finmap.defs.heartbeats import last_heartbeat
from sitniks_finmap.defs.launch import instance, run_job
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap_tests.dagster_runs import clean, status_of

pytest.importorskip("dagster_postgres", reason="the extra `postgres` is not installed")
pytestmark = [pytest.mark.runs, pytest.mark.timeout(300)]

SHIPPED = Path(__file__).parents[1] / "deploy" / "dagster.postgres.yaml"
TODAY = datetime.now(UTC).date()
DAYS = (TODAY - timedelta(days=3), TODAY)


def programs() -> Path | None:
    """Where initdb and pg_ctl are; Debian keeps them out of the PATH."""
    found = shutil.which("initdb")
    return Path(found).parent if found else max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A new Postgres on a free port; its URL."""
    if (where := programs()) is None:
        pytest.skip("no Postgres server is installed")
    folder = tmp_path_factory.mktemp("postgres")
    user = {"user": "postgres"} if os.getuid() == 0 else {}  # Postgres refuses to run as root
    if user:
        for one in (folder, *list(folder.parents)[:3]):
            one.chmod(0o755)
        shutil.chown(folder, "postgres")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run([where / command[0], *command[1:]], check=True, capture_output=True, cwd="/", **user)  # type: ignore[call-overload]  # noqa: S603

    run("initdb", "-D", f"{folder}/data", "-U", "dagster", "-A", "trust", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log", "-w", "start")
    yield f"postgresql+psycopg2://dagster@127.0.0.1:{port}/postgres"
    try:
        run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "-w", "stop")
    except subprocess.CalledProcessError:  # too slow on a busy machine
        with suppress(OSError, ValueError):
            os.kill(int((folder / "data" / "postmaster.pid").read_text("ascii").split()[0]), signal.SIGQUIT)


@pytest.fixture
def home(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = project / "dagster"
    home.mkdir()
    shutil.copyfile(SHIPPED, home / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


@pytest.fixture
def postgres(cluster: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty database for Dagster, set up as we ship it."""
    with sqlalchemy.create_engine(cluster).begin() as con:
        con.execute(sqlalchemy.text("drop schema public cascade"))
        con.execute(sqlalchemy.text("create schema public"))
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", cluster)
    monkeypatch.setattr(storage, "warned", set())
    return home


def test_a_shop_is_synced_and_old_runs_are_deleted(
    postgres: Path, connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, tmp_path: Path
) -> None:
    connection = connect(start_date=DAYS[0])
    at = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    shop.put_transactions([{"id": f"tx_{n}", "createdAt": at, "amount": "100.00"} for n in range(20)])
    with instance() as dagster:
        assert type(dagster.run_storage).__name__ == "PostgresRunStorage"
        first = run_job(dagster, connection, "sync", *DAYS)
        assert first.success, first.why
        assert len(shop.operations()) == 20
        sandbox.forget_requests()
        assert run_job(dagster, connection, "sync", *DAYS).success
        assert [one for one in sandbox.requests("finmap", path="/operations/income") if one.method == "POST"] == []
        long_ago = datetime.now(UTC) - timedelta(days=90)
        with dagster.run_storage.connect() as con:  # type: ignore[attr-defined]
            statement = sqlalchemy.text("update runs set create_timestamp = :at where run_id = :id")
            con.execute(statement, {"at": long_ago.replace(tzinfo=None), "id": first.run_id})
        assert clean(dagster) == 1
        assert status_of(dagster, first.run_id) is None
        assert dagster.all_logs(first.run_id) == []
    assert not list(postgres.glob("history/**/*.db"))
    assert not make_backup(tmp_path / "backup.tar", keys=False).dagster


def test_the_watcher_reads_the_heartbeat_from_postgres(postgres: Path) -> None:
    assert last_heartbeat() is None
    with instance() as dagster:
        from dagster._daemon.types import DaemonHeartbeat

        for name in ("SENSOR", "QUEUED_RUN_COORDINATOR"):
            dagster.add_daemon_heartbeat(DaemonHeartbeat(1_800_000_000.0, name, "one", []))
    heard = last_heartbeat()
    assert heard not in (None, "unknown", "itself")
    assert heard.at == datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.mark.parametrize(
    ("revision", "said"), [("e62c379ac8f4", "older Dagster: stop Dagster, back up, then"), ("f" * 12, "newer Dagster")]
)
def test_tables_of_another_version_are_named(
    postgres: Path, revision: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with instance() as dagster, dagster.run_storage.connect() as con:  # type: ignore[attr-defined]
        con.execute(sqlalchemy.text("update alembic_version set version_num = :it"), {"it": revision})
    assert caplog.text == ""
    storage.warned.clear()
    with instance():
        pass
    assert said in caplog.text


def test_a_migration_that_is_due_is_said_in_one_sentence(postgres: Path) -> None:
    from dagster_shared.check import CheckError

    with pytest.raises(storage.RunsUnavailable, match=r"run `dagster instance migrate`"), instance():
        raise CheckError("Asset checks require a database schema migration. Run `dagster instance migrate`.")


def test_a_database_that_is_away_is_named_without_its_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql+psycopg2://dagster:geheim@127.0.0.1:9/dagster")
    with pytest.raises(storage.RunsUnavailable, match=r"does not answer: .*Connection refused") as refused, instance():
        pass
    assert "geheim" not in str(refused.value)


def test_a_missing_variable_or_driver_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="DAGSTER_POSTGRES_URL, which is not set"), instance():
        pass
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql://dagster@127.0.0.1:9/dagster")
    with pytest.raises(ConfigurationError, match=r"postgresql\+psycopg2://"), instance():
        pass


def test_the_yaml_for_postgres_only_adds_a_storage() -> None:
    import yaml

    ours = yaml.safe_load((SHIPPED.parents[1] / "dagster.yaml").read_text("utf-8"))
    del ours["storage"]
    shipped = yaml.safe_load(SHIPPED.read_text("utf-8"))
    assert shipped.pop("storage") == {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}
    assert shipped == ours
