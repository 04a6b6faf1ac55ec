"""How a command ends when something hinders it: one line with the remedy, the exit code, never a traceback.

The real command in processes of its own: one Python starts the commands of all tests, each in a fork.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from sitniks_finmap.cli import entry
from sitniks_finmap.defs.launch import instance
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.sandbox.state import State
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.records import transaction

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.runs, pytest.mark.timeout(300)]  # processes that import Dagster anew
START = date.today() - timedelta(days=2)  # noqa: DTZ011
# Root may do everything: without its capabilities it meets modes and owners as anybody does.
ANYBODY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
EVERY_COMMAND = [
    ["doctor"], ["sync"], ["preview"], ["preview", "--json"], ["status"], ["explain", "tx_1"], ["approve"],
    ["dismiss"], ["catch-up", "--until", str(START)], ["catch-up", "--undo"], ["rebuild-ledger"],
    ["rollback", "--run", "abc", "--yes"], ["sql", "from operations"], ["sandbox", "--port", "38686"],
    ["demo", "--port", "38686"],
]  # fmt: skip
COMMAND = [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()"]
FORKS = """
import json, os, signal, sys, tempfile
import sitniks_finmap.cli.commands, sitniks_finmap.cli.demo, sitniks_finmap.defs.launch
import sitniks_finmap.cli.decision_commands, sitniks_finmap.cli.reading_commands, sitniks_finmap.cli.sync_commands
for line in sys.stdin:
    task = json.loads(line)
    with tempfile.TemporaryFile() as said:
        if not (child := os.fork()):
            signal.alarm(100)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            if os.environ.get("NO_STDIN"):
                sys.stdin = None  # as Python does when a service closed it
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            try:
                os.environ.clear()
                os.environ.update(task["environment"])
                os.chdir(task["folder"])
                sys.argv = ["sitniks-finmap", *task["command"]]
                sitniks_finmap.cli.commands.main()
            except SystemExit as ended:
                sys.stdout.flush()
                os._exit(ended.code or 0)
            finally:
                os._exit(99)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        print(json.dumps([code, said.read().decode("utf-8", "replace")]), flush=True)
"""


SERVERS: dict[str, subprocess.Popen[str]] = {}


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    yield
    while SERVERS:
        _, server = SERVERS.popitem()
        server.communicate()


def forking(encoding: str) -> subprocess.Popen[str]:
    """One Python that starts the commands of all tests, by anybody but root, for a terminal of this encoding."""
    if ANYBODY and not shutil.which("setpriv"):
        pytest.skip("root cannot become anybody without setpriv")
    if encoding not in SERVERS:
        # A library that starts threads when it is imported would make forking unsafe.
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        SERVERS[encoding] = subprocess.Popen(  # noqa: S603
            [*ANYBODY, sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, **one_thread},
        )  # fmt: skip
    return SERVERS[encoding]


def ends(*commands: list[str], folder: Path, encoding: str = "utf-8", **variables: str) -> list[tuple[int, str]]:
    """Exit code and output of each command, started in this folder by anybody but root."""
    server = forking(encoding)
    assert server.stdin
    assert server.stdout
    found = []
    for command in commands:
        where = folder
        if command[0] == "cd":
            where, command = Path(command[1]), command[2:]
        task = {"folder": str(where), "environment": os.environ | variables, "command": command}
        server.stdin.write(json.dumps(task) + "\n")
        server.stdin.flush()
        code, said = json.loads(server.stdout.readline())
        assert "Traceback" not in said, (command, said)
        assert code in (0, 1, 2), (command, code, said)
        found.append((code, said))
    return found


@contextmanager
def modes(folder: Path, of_folders: int, of_files: int) -> Iterator[None]:
    paths = [folder, *folder.rglob("*")] if folder.is_dir() else [folder]
    for path in reversed(paths):
        path.chmod(of_folders if path.is_dir() else of_files)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(0o700)


@pytest.fixture
def connection(connect: Callable[..., Connection], shop: Shop) -> Connection:
    shop.put_transaction(transaction(1, START))
    return connect(start_date=START)


# -- Files --


def test_a_folder_that_may_not_be_written_is_one_line(connection: Connection, project: Path) -> None:
    with modes(project, 0o555, 0o444):
        found = ends(*EVERY_COMMAND, folder=project)
    failed = {command[0] for command, (code, said) in zip(EVERY_COMMAND, found, strict=True) if code == 1}
    assert failed >= {
        "doctor",
        "sync",
        "preview",
        "explain",
        "catch-up",
        "rebuild-ledger",
        "rollback",
        "sandbox",
        "demo",
    }
    for command, (code, said) in zip(EVERY_COMMAND, found, strict=True):
        if code == 1 and command[0] not in ("doctor", "status", "rollback"):
            assert str(project) in said
            assert len(said.removesuffix("[]\n").splitlines()) == 1


@pytest.mark.parametrize("kind", ["folder", "files", ".env"])
def test_data_of_another_user_is_one_line(kind: str, connection: Connection, project: Path) -> None:
    with open_warehouse(connection).run(wait=0), open_warehouse(connection).transaction(), instance():
        (project / ".env").write_text("")
    State(project / "data" / "sandbox.sqlite").close()
    hindered = {
        "folder": (project / "data", 0, 0),
        "files": (project / "data", 0o555, 0),
        ".env": (project / ".env", 0, 0),
    }
    with modes(*hindered[kind]):
        found = ends(*EVERY_COMMAND, folder=project)
    for command, (code, said) in zip(EVERY_COMMAND, found, strict=True):
        assert code == (2 if kind == ".env" else 1), (command, said)
        assert len(said.removesuffix("[]\n").splitlines()) == 1 or command[0] in ("doctor", "status"), (command, said)
        assert "user" in said


def test_any_name_of_a_folder_will_do(
    connection: Connection, connect: Callable[..., Connection], sandbox: Sandbox, shop: Shop, project: Path
) -> None:
    first, second = (project / name for name in ("a#b&c;d:e", '100% тека [bold] it\'s "q"'))
    for folder in (first, second):
        folder.mkdir()
    shutil.copy(project / "connections.toml", first)
    sandbox.add_shop("other").put_transaction(transaction(1, START))  # one shop belongs to one installation
    connect("u1", "other", start_date=START)
    shutil.copy(project / "connections.toml", second)
    keys = {"U1_SITNIKS_API_KEY": shop.sitniks_key, "U1_FINMAP_API_KEY": shop.finmap_key}
    commands = (["sync"], ["status"], ["sql", "--csv", "select transaction_id from operations"])
    found = ends(*(["cd", str(first), *command] for command in commands), folder=project, **keys)
    found += ends(*(["cd", str(second), *command] for command in commands), folder=project)
    assert [code for code, _ in found] == [0] * 6, found
    assert all("tx_1" in said for _, said in found[2::3])


def test_a_name_that_cannot_be_used_is_said_before(connection: Connection, project: Path) -> None:
    for name in ("a?b", "a%20b"):
        (project / name).mkdir()
        shutil.copy(project / "connections.toml", project / name)
    found = ends(*(["cd", str(project / name), "sync"] for name in ("a?b", "a%20b")), folder=project)
    assert [(code, len(said.splitlines())) for code, said in found] == [(2, 1)] * 2, found
    assert "SITNIKS_FINMAP_DATA" in found[0][1]
    assert "DAGSTER_HOME" in found[1][1]
    elsewhere = {"SITNIKS_FINMAP_DATA": str(project / "data"), "DAGSTER_HOME": str(project / "home")}
    assert ends(["sync"], folder=project / "a?b", **elsewhere)[0][0] == 0


def test_a_prompt_nobody_can_answer_names_the_option_to_use(
    connect: Callable[..., Connection], shop: Shop, project: Path
) -> None:
    shop.put_transaction(transaction(1, START))
    connect(start_date=START, on_change="ask")
    assert ends(["sync"], folder=project)[0][0] == 0
    shop.put_transaction(transaction(1, START, amount="7.00"))
    found = ends(["sync"], ["approve"], ["rollback", "--from", str(START), "--to", str(START)], folder=project)
    assert [code for code, _ in found] == [1, 2, 2], found
    assert all("--yes" in said and "Interrupted" not in said for _, said in found[1:])
    closed = ends(["approve"], ["rollback", "--from", str(START), "--to", str(START)], folder=project, NO_STDIN="1")
    assert [(code, "--yes" in said) for code, said in closed] == [(2, True), (2, True)], closed


# -- Terminals --


@pytest.mark.parametrize("encoding", ["ascii", "koi8-u"])
def test_a_terminal_that_is_not_utf8_gets_what_it_can_show(
    encoding: str, connection: Connection, project: Path
) -> None:
    commands = [["sync"], ["doctor"], ["preview"], ["status"], ["explain", "tx_1"], ["sql", "select '✓ ґ'"]]
    found = ends(*commands, folder=project, encoding=encoding)
    assert "+ " in found[1][1]
    assert "✓" not in found[1][1]


def test_a_reader_that_leaves_early_is_no_error(connection: Connection, project: Path) -> None:
    assert ends(["sync"], folder=project)[0][0] == 0
    command = [
        sys.executable,
        "-c",
        "from sitniks_finmap.cli.entry import main; main()",
        "sql",
        "--csv",
        "from range(200000)",
    ]
    for target in ("/dev/full", None):
        with subprocess.Popen(  # noqa: S603
            command, cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
            stdout=open(target, "w") if target else subprocess.PIPE,
        ) as process:  # fmt: skip
            if process.stdout:
                process.stdout.read(10)
                process.stdout.close()
            assert process.stderr
            said = process.stderr.read()
        assert process.returncode == 1
        assert "Traceback" not in said
        assert ("free some disk space" in said) == bool(target)


# -- Wrong use --


def test_wrong_use_is_exit_code_2_without_a_traceback(connection: Connection, project: Path) -> None:
    commands = [
        ["sandbox", "--port", "80000"], ["demo", "--port", "0"], ["sandbox", "--live", "-1"], ["demo", "--days", "0"],
        ["sync", "--from", "2001-01-01"], ["sync", "--connection", "nobody"], ["frobnicate"], ["sync", "--from", "x"],
    ]  # fmt: skip
    for command, (code, said) in zip(commands, ends(*commands, folder=project), strict=True):
        assert code == 2, (command, said)
    with open_warehouse(connection).run(wait=0), open_warehouse(connection).transaction():
        pass
    commands = [["sql", query] for query in ("", ";", " ", "select", "drop table operations", "select 1/0 +")]
    for command, (code, said) in zip(commands, ends(*commands, folder=project), strict=True):
        assert (code, said.startswith("Error: ")) == (2, True), (command, said)


def test_a_port_that_is_taken_is_said(connection: Connection, sandbox: Sandbox, project: Path) -> None:
    port = sandbox.url.rpartition(":")[2]
    ((code, said),) = ends(["sandbox", "--port", port], folder=project)
    assert (code, said) == (2, f"Error: port {port} is taken by another program; choose another with --port\n")


def test_a_second_sandbox_over_the_same_shop_is_refused(project: Path) -> None:
    data = project / "data"
    data.mkdir(exist_ok=True)
    with FileLock(data / "sandbox.lock"), modes(data, 0o777, 0o666):
        ended = ends(["sandbox", "--port", "38686"], folder=project)
    assert ended == [(2, f"Error: another sandbox is serving the shop in {data}; stop it first\n")]


def test_a_damaged_file_of_the_sandbox_is_said(project: Path) -> None:
    data = project / "data"
    data.mkdir(exist_ok=True)
    (data / "sandbox.sqlite").write_text("no database, by any means")
    with modes(data, 0o777, 0o666):
        [(code, said)] = ends(["sandbox", "--port", "38687"], folder=project)
    assert (code, said) == (2, f"Error: the shop's file in {data} cannot be used: file is not a database\n")


# -- Ctrl-C --


class Interrupting:
    """A finder of modules that is interrupted by Ctrl-C at one of them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, *rest: object) -> None:
        if name == self.name:
            raise KeyboardInterrupt


@pytest.mark.parametrize("module", ["sitniks_finmap.cli.commands", "sitniks_finmap.cli.reading_commands"])
def test_ctrl_c_in_the_first_moment_is_no_traceback(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for loaded in {"sitniks_finmap.cli.commands", module}:
        monkeypatch.delitem(sys.modules, loaded, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(module), *sys.meta_path])
    monkeypatch.setattr(sys, "argv", ["sitniks-finmap", "sql", "from operations"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 130


@pytest.mark.parametrize("moment", ["reading", "delivering", "waiting"])
def test_ctrl_c_is_one_line_and_130_and_loses_nothing(
    moment: str, connection: Connection, project: Path, sandbox: Sandbox, shop: Shop
) -> None:
    where = {"reading": ("sitniks", "GET", "/transactions"), "delivering": ("finmap", "POST", "/operations/income")}
    if moment in where:
        api, method, path = where[moment]
        sandbox.fault(Fault("slow", api=api, method=method, path=path, seconds=8))  # type: ignore[arg-type]
    warehouse = open_warehouse(connection)
    with warehouse.run(wait=0) if moment == "waiting" else nullcontext():
        process = subprocess.Popen(  # noqa: S603
            [*COMMAND, "sync"],
            cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        with process:
            assert process.stderr
            assert process.stdout
            if moment == "waiting":
                while "another run is in progress" not in process.stderr.readline():
                    assert process.poll() is None
            else:
                api, method, path = where[moment]
                while not [one for one in sandbox.requests(api, method=method) if one.path == path]:  # type: ignore
                    with pytest.raises(subprocess.TimeoutExpired):
                        process.wait(0.05)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that the command started
            said = process.stdout.read() + process.stderr.read()
    lines = [line for line in said.splitlines() if line and not line[:2].isdigit()]
    assert lines == ["Interrupted. Nothing is lost: run the command again to continue."]
    assert process.returncode == 130
    sandbox.clear_faults()
    assert ends(["sync"], folder=project)[0][0] == 0
    assert [row["externalId"] for row in shop.operations()] == ["u1:tx_1"]
