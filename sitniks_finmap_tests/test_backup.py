"""`backup` and `restore`: a lost machine, an old archive, a run in progress, kills, damage."""

import io
import json
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from sitniks_finmap.alerts.deployment import Heartbeat
from sitniks_finmap.backup.archive import ArchiveError, hash_of
from sitniks_finmap.backup.make import make_backup
from sitniks_finmap.backup.restore import restore_backup
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.failpoint import KILLED
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.processes import until

pytestmark = [pytest.mark.runs, pytest.mark.timeout(300)]

TODAY = datetime.now(UTC).date()
DAYS = (TODAY - timedelta(days=3), TODAY)
KEYS = "U1_SITNIKS_API_KEY=sandbox-sitniks-key\nU1_FINMAP_API_KEY=sandbox-finmap-key\n"


def put(shop: Shop, *numbers: int, amount: str = "100.00") -> None:
    at = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    shop.put_transactions([{"id": f"tx_{n}", "createdAt": at, "amount": amount} for n in numbers])


def keys(shop: Shop) -> list[str]:
    return sorted(row["externalId"] for row in shop.operations())


def written(sandbox: Sandbox) -> list[str]:
    """The writes to Finmap since this was asked last."""
    seen = [f"{one.method} {one.path}" for one in sandbox.requests("finmap")]
    sandbox.forget_requests()
    return [one for one in seen if one.split()[0] in ("PATCH", "DELETE") or one.startswith("POST /operations/in")]


@pytest.fixture
def sync(dagster: dg.DagsterInstance, connect: Callable[..., Connection]) -> Callable[[], bool]:
    connection = connect(start_date=DAYS[0])
    return lambda: run_job(dagster, connection, "sync", *DAYS).success


@pytest.fixture
def archive(sync: Callable[[], bool], shop: Shop, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a shop with three delivered transactions."""
    (project / ".env").write_text(KEYS, "utf-8")
    put(shop, 1, 2, 3)
    assert sync()
    path = tmp_path_factory.mktemp("elsewhere") / "backup.tar"
    make_backup(path, keys=True)
    return path


def lose_the_machine(project: Path) -> None:
    for path in project.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


# -- A machine is lost --


def test_a_lost_machine_continues_elsewhere_without_doubles(
    archive: Path, sync: Callable[[], bool], shop: Shop, sandbox: Sandbox, project: Path
) -> None:
    mine = (project / "data" / "installation").read_text("ascii")
    lose_the_machine(project)
    restored = restore_backup(archive, replacing=False)
    assert (restored.connections, restored.keys, restored.aside) == (["u1"], True, [])
    assert (project / ".env").read_text("utf-8") == KEYS
    assert (project / "data" / "installation").read_text("ascii") == mine
    written(sandbox)
    assert sync()
    assert written(sandbox) == []
    assert keys(shop) == ["u1:tx_1", "u1:tx_2", "u1:tx_3"]


def test_an_old_backup_loses_and_doubles_nothing_in_finmap(
    archive: Path, sync: Callable[[], bool], shop: Shop, sandbox: Sandbox, project: Path
) -> None:
    put(shop, 4, 5)
    put(shop, 3, amount="250.00")  # corrected after the backup, and delivered so
    assert sync()
    before = sorted(map(str, shop.operations()))
    lose_the_machine(project)
    restore_backup(archive, replacing=False)
    written(sandbox)
    assert sync()
    assert sync()
    assert sorted(map(str, shop.operations())) == before
    assert [one for one in written(sandbox) if not one.startswith("POST")] == []
    with Warehouse(data_folder(), "u1").transaction() as con:
        assert con.execute("from differences where not explained").fetchall() == []
        assert con.execute("select count(*) from plan").fetchone() == (0,)


def test_what_is_private_stays_private(archive: Path, project: Path) -> None:
    lose_the_machine(project)
    restore_backup(archive, replacing=False)
    for path in (archive, project / ".env", project / "data" / "u1.duckdb", project / "data" / "installation"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((project / "data").stat().st_mode) == 0o700


def test_keys_can_be_left_out(archive: Path, project: Path) -> None:
    assert not make_backup(archive.with_name("other.tar"), keys=False).keys
    lose_the_machine(project)
    assert not restore_backup(archive.with_name("other.tar"), replacing=False).keys
    assert not (project / ".env").exists()


def test_the_data_folder_may_be_named_in_env(archive: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(project / "data"))
    (project / ".env").write_text(f"{KEYS}SITNIKS_FINMAP_DATA={project / 'there'}\n", "utf-8")
    make_backup(other := archive.with_name("other.tar"), keys=True)
    lose_the_machine(project)
    restore_backup(other, replacing=False)
    assert (project / "there" / "u1.duckdb").exists()
    assert data_folder() == project / "there"


# -- What is here already --


def test_what_is_replaced_is_set_aside_not_overwritten(archive: Path, project: Path) -> None:
    (project / "connections.toml").write_text("# mine\n", "utf-8")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    with pytest.raises(ArchiveError, match=r"is here already; --replace"):
        restore_backup(archive, replacing=False)
    assert {path: path.read_bytes() for path in before} == before
    aside = restore_backup(archive, replacing=True).aside
    assert "[u1]" in (project / "connections.toml").read_text("utf-8")
    (mine,) = [path for path in aside if path.name.startswith("connections.toml.before-restore-")]
    assert mine.read_text("utf-8") == "# mine\n"
    (data,) = [path for path in aside if path.parent == project / "data"]
    assert (data / "u1.duckdb").read_bytes() == before[project / "data" / "u1.duckdb"]


def test_one_shop_is_added_to_what_is_here(
    archive: Path, project: Path, connect: Callable[..., Connection], command: Callable[..., tuple[object, str]]
) -> None:
    """Of an archive of another host: its data alone, beside the shops of this host."""
    lose_the_machine(project)
    (project / "data").mkdir()
    (project / "data" / "installation").write_text("0123456789ab\n", "utf-8")
    (project / "data" / "other.duckdb").write_bytes(b"of another shop")
    connect("u1", start_date=DAYS[0])
    code, said = command("restore", str(archive), "--connection", "u1")
    assert (code, "rebuild-ledger --connection u1" in said) == (0, True), said
    assert (project / "data" / "installation").read_text("utf-8") == "0123456789ab\n"
    assert (project / "data" / "other.duckdb").read_bytes() == b"of another shop"
    assert not (project / ".env").exists()
    with Warehouse(project / "data", "u1").transaction() as con:
        assert con.execute("select count(*) from finmap_upload").fetchone() == (3,)
    with pytest.raises(ArchiveError, match=r"u1\.duckdb is here already; --replace"):
        restore_backup(archive, replacing=False, connection="u1")
    with pytest.raises(ArchiveError, match="has no data of u2; it has that of: u1"):
        restore_backup(archive, replacing=False, connection="u2")
    restored = restore_backup(archive, replacing=True, connection="u1")
    assert {one.name.partition("-2")[0] for one in restored.aside} == {"before-restore"}
    assert (project / "data" / "other.duckdb").exists()


def test_a_backup_overwrites_nothing(archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(ArchiveError, match="exists already"):
        make_backup(archive, keys=True)
    assert archive.read_bytes() == before


def test_nothing_is_restored_while_a_run_is_in_progress(archive: Path, project: Path) -> None:
    with Warehouse(project / "data", "u1").run(wait=0), pytest.raises(ArchiveError, match="a run is in progress"):
        restore_backup(archive, replacing=True)


# -- An archive that is not what it should be --


@contextmanager
def changed(archive: Path) -> Iterator[Path]:
    """Unpacked, to be changed and packed again."""
    folder = archive.with_suffix(".d")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        tar.extractall(folder, filter="data")
    yield folder
    with tarfile.open(archive, "w") as tar:
        for name in names:
            if (folder / name).exists():
                tar.add(folder / name, name)


def refused(archive: Path, project: Path, why: str) -> None:
    """It is refused with this reason, and nothing here has changed."""
    lose_the_machine(project)
    with pytest.raises(ArchiveError, match=why):
        restore_backup(archive, replacing=True)
    assert not [path for path in project.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_an_archive_that_was_cut_off_is_refused(archive: Path, project: Path, share: float) -> None:
    content = archive.read_bytes().rstrip(b"\0")
    archive.write_bytes(content[: int(len(content) * share)])
    refused(archive, project, "not a whole backup|not a backup|damaged|cut off")


def test_a_flipped_byte_is_noticed(archive: Path, project: Path) -> None:
    content = bytearray(archive.read_bytes())
    at = content.index(b"DUCK") + 5000
    content[at] ^= 1
    archive.write_bytes(content)
    refused(archive, project, r"damaged: data/u1\.duckdb has changed")


@pytest.mark.parametrize(("name", "value"), [("format", 2), ("schema", 999)])
def test_a_newer_archive_is_refused(archive: Path, project: Path, name: str, value: int) -> None:
    with changed(archive) as folder:
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text("utf-8")) | {name: value}), "utf-8")
    refused(archive, project, "newer version")


@pytest.mark.parametrize(
    "name", ["../evil.duckdb", "/etc/evil.duckdb", "data/../../evil.duckdb", "data/sub/u1.duckdb", "crontab"]
)
def test_a_path_outside_is_refused(archive: Path, project: Path, name: str) -> None:
    with tarfile.open(archive, "a") as tar:
        info = tarfile.TarInfo(name)
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    refused(archive, project, "which no backup has")


def test_a_link_in_place_of_a_file_is_refused(archive: Path, project: Path) -> None:
    with tarfile.open(archive, "a") as tar:
        info = tarfile.TarInfo("data/u2.duckdb")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    refused(archive, project, "which no backup has")


# -- While a run writes --


def test_a_backup_while_a_run_writes_is_consistent(
    archive: Path, sync: Callable[[], bool], shop: Shop, sandbox: Sandbox, project: Path
) -> None:
    put(shop, *range(10, 130))
    made: list[Path] = []
    done = threading.Event()
    code = "from sitniks_finmap.cli.entry import main; main()"

    def keep_backing_up() -> None:
        while not done.is_set() and len(made) < 40:
            path = archive.with_name(f"{len(made)}.tar")
            said = subprocess.run(  # noqa: S603
                [sys.executable, "-c", code, "backup", str(path)], capture_output=True, text=True, check=False
            )
            assert said.returncode == 0, said.stderr
            made.append(path)

    thread = threading.Thread(target=keep_backing_up)
    thread.start()
    until(lambda: made, seconds=60)
    assert sync()
    done.set()
    thread.join()
    assert len(made) > 1
    expected = keys(shop)
    for path in (made[0], made[len(made) // 2], made[-1]):
        lose_the_machine(project)
        restore_backup(path, replacing=False)
        assert sync()
        assert keys(shop) == expected
    assert [one for one in written(sandbox) if one.startswith(("PATCH", "DELETE"))] == []


# -- Kills --

BACKUP = """
from pathlib import Path
from sitniks_finmap.backup.make import make_backup
make_backup(Path({!r}), keys=True)
"""
RESTORE = """
from pathlib import Path
from sitniks_finmap.backup.restore import restore_backup
restore_backup(Path({!r}), replacing=True)
"""
KILLED_AT = """
import os
real, left = {{name: getattr(os, name) for name in ("replace", "unlink", "fsync")}}, [{}]
def passing(name):
    def call(*args, **more):
        left[0] -= 1
        if left[0] == 0:
            os._exit(137)
        return real[name](*args, **more)
    return call
for name in real:
    setattr(os, name, passing(name))
"""


def killed_at(step: int, code: str) -> bool:
    """Runs this code, and kills it before the n-th change of the disk; whether it came so far."""
    ended = subprocess.run([sys.executable, "-c", KILLED_AT.format(step) + code], check=False, capture_output=True)  # noqa: S603
    assert ended.returncode in (0, KILLED), ended.stderr
    return ended.returncode == KILLED


def test_a_killed_backup_leaves_no_archive(archive: Path) -> None:
    path = archive.with_name("other.tar")
    process = subprocess.Popen([sys.executable, "-c", BACKUP.format(str(path))])  # noqa: S603
    until(lambda: path.with_name(".other.tar.making").exists() or process.poll() is not None, seconds=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not path.exists()
    make_backup(path, keys=True)
    assert sorted(one.name for one in path.parent.iterdir()) == ["backup.tar", "other.tar"]


def test_a_killed_restore_leaves_the_old_or_the_new(archive: Path, project: Path) -> None:
    """Killed before each change of the disk: the old is whole, or nothing runs until the next restore has finished."""
    new = {"data/u1.duckdb", "data/installation", "connections.toml"}
    step, seen = 0, set[str]()
    while True:
        step += 1
        lose_the_machine(project)
        (project / "data").mkdir(mode=0o700)
        (project / "data" / "u1.duckdb").write_bytes(b"THE OLD ONE")
        (project / "data" / "installation").write_text("THE OLD ONE", "ascii")
        (project / "connections.toml").write_text("# THE OLD ONE", "utf-8")
        if not killed_at(step, RESTORE.format(str(archive))):
            break
        if (project / "data" / "restoring.json").exists():
            with pytest.raises(ConfigurationError, match="interrupted"):
                data_folder()
            restore_backup(archive, replacing=False)
            seen.add("new")
        is_new = {one: (project / one).read_bytes().removeprefix(b"# ") != b"THE OLD ONE" for one in new}
        assert set(is_new.values()) in ({True}, {False}), (step, is_new)
        seen.add("new" if all(is_new.values()) else "old")
        assert not (project / "data" / "restoring.json").exists()
    assert seen == {"old", "new"}
    assert step > 10


# -- Full disk --


def test_a_full_disk_leaves_everything_as_it_was(archive: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = {path: hash_of(path) for path in project.rglob("*") if path.is_file() and path.suffix != ".lock"}
    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(ArchiveError, match=r"no room in .*Nothing was changed"):
        restore_backup(archive, replacing=True)
    after = {path: hash_of(path) for path in project.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert after == before
    monkeypatch.setattr("tarfile.copyfileobj", full)
    with pytest.raises(ArchiveError, match=r"no room in .*No backup was made"):
        make_backup(archive.with_name("other.tar"), keys=True)
    assert sorted(one.name for one in archive.parent.iterdir()) == ["backup.tar"]


# -- The commands --


def test_the_commands_say_what_is_in_it_and_what_comes_next(
    archive: Path, project: Path, command: Callable[..., tuple[object, str]]
) -> None:
    other = archive.with_name("other.tar")
    code, said = command("backup", str(other))
    assert code == 0
    assert "1 connection" in said
    assert "contains .env with the keys" in said
    lose_the_machine(project)
    code, said = command("restore", str(other))
    assert code == 0
    assert "restored 1 connection as of" in said
    assert "sitniks-finmap doctor" in said
    code, said = command("restore", str(other))
    assert code == 1
    assert "--replace" in said


def test_a_running_daemon_is_noticed_a_stopped_one_is_not(
    archive: Path, project: Path, command: Callable[..., tuple[object, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_machine(project)
    (project / "data" / "dagster").mkdir(parents=True)
    beats = iter([Heartbeat(datetime.now(UTC) + timedelta(seconds=n), "one") for n in range(9)])
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("sitniks_finmap.cli.backup_commands.utc_now", lambda: datetime.now(UTC) + timedelta(seconds=2))
    monkeypatch.setattr("sitniks_finmap.defs.heartbeats.last_heartbeat", lambda: next(beats))
    code, said = command("restore", str(archive))
    assert code == 2
    assert "daemon is running: stop it" in said
    stopped = Heartbeat(datetime.now(UTC), "one")
    monkeypatch.setattr("sitniks_finmap.defs.heartbeats.last_heartbeat", lambda: stopped)
    assert command("restore", str(archive))[0] == 0
