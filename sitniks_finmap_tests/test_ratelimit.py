"""One rate for each API key, whoever uses it; one pause for all of them."""

import heapq
import itertools
import stat
import subprocess
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.ratelimit import Paused, RateLimiter, limiter_for
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap_tests.deliveries import writes
from sitniks_finmap_tests.processes import Other, Pipe, processes, until

KEY = "sk_live_4f9c2e7ab1"


class VirtualTime:
    """A clock for several threads that moves on only when all of them sleep, and then wakes one."""

    def __init__(self, now: float = 1024.0) -> None:
        self.now = now
        self._moved = threading.Condition()
        self._sleepers: list[tuple[float, int]] = []
        self._awake = 0
        self._numbers = itertools.count()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._moved:
            sleeper = (self.now + seconds, next(self._numbers))
            heapq.heappush(self._sleepers, sleeper)
            self._rest()
            assert self._moved.wait_for(lambda: sleeper not in self._sleepers, timeout=30)

    def together(self, *works: Callable[[], None]) -> None:
        """Runs the works side by side until all are done."""
        threads = [threading.Thread(target=self._work, args=(work,), daemon=True) for work in works]
        self._awake = len(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._moved:
                self._rest()

    def _rest(self) -> None:
        self._awake -= 1
        if not self._awake and self._sleepers:
            self.now, _ = heapq.heappop(self._sleepers)
            self._awake = 1
            self._moved.notify_all()


@pytest.fixture
def time_() -> VirtualTime:
    return VirtualTime()


def limiter(folder: Path, time_: VirtualTime, per_second: float = 4, key: str = KEY) -> RateLimiter:
    return RateLimiter(folder / "limits", key, per_second, clock=time_.clock, sleep=time_.sleep)


def worker(limiter: RateLimiter, starts: list[float], requests: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(requests):
            limiter.wait()
            starts.append(limiter.clock())

    return work


def test_requests_start_at_the_rate_and_the_first_one_at_once(project: Path, time_: VirtualTime) -> None:
    starts: list[float] = []
    time_.together(worker(limiter(project, time_), starts, 5))
    assert starts == [1024.0, 1024.25, 1024.5, 1024.75, 1025.0]


def test_all_users_of_a_key_share_its_whole_rate(project: Path, time_: VirtualTime) -> None:
    starts: list[float] = []
    one, other = limiter(project, time_), limiter(project, time_)
    time_.together(*(worker(each, starts, 5) for each in (one, one, other, other)))
    assert sorted(starts) == [1024 + n / 4 for n in range(20)]


def test_another_key_has_a_rate_of_its_own(project: Path, time_: VirtualTime) -> None:
    first: list[float] = []
    second: list[float] = []
    time_.together(worker(limiter(project, time_), first, 3), worker(limiter(project, time_, key="another"), second, 3))
    assert first == second == [1024.0, 1024.25, 1024.5]


def test_time_that_nobody_used_is_not_made_up_for(project: Path, time_: VirtualTime) -> None:
    starts: list[float] = []
    limit = limiter(project, time_)
    limit.wait()
    time_.now += 60
    time_.together(worker(limit, starts, 2), worker(limit, starts, 2))
    assert sorted(starts) == [1084.0, 1084.25, 1084.5, 1084.75]


def test_rate_zero_is_no_rate_but_pauses_hold(project: Path, time_: VirtualTime) -> None:
    starts: list[float] = []
    limit = limiter(project, time_, per_second=0)
    time_.together(worker(limit, starts, 3))
    limit.pause(70)
    time_.together(worker(limit, starts, 2))
    assert starts == [1024.0, 1024.0, 1024.0, 1094.0, 1094.0]


def test_a_pause_holds_for_all_users_of_a_key_and_no_others(project: Path, time_: VirtualTime) -> None:
    starts: list[float] = []
    limiter(project, time_).pause(70)
    limiter(project, time_, key="another").wait()
    assert time_.now == 1024.0
    time_.together(*(worker(limiter(project, time_), starts, 2) for _ in range(2)))
    assert sorted(starts) == [1094.0, 1094.25, 1094.5, 1094.75]


def test_a_pause_voids_the_slots_of_those_who_wait_already(project: Path, time_: VirtualTime) -> None:
    starts: list[float] = []
    limit = limiter(project, time_)

    def pause() -> None:
        time_.sleep(0.6)
        limiter(project, time_).pause(70)

    time_.together(worker(limit, starts, 3), worker(limit, starts, 3), pause)
    before, after = [at for at in starts if at < 1094.6], [at for at in starts if at >= 1094.6]
    assert sorted(before) == [1024.0, 1024.25, 1024.5]
    assert len(after) == 3


def test_a_shorter_pause_does_not_end_a_longer_one(project: Path, time_: VirtualTime) -> None:
    starts: list[float] = []
    limit = limiter(project, time_)
    limit.pause(70)
    limit.pause(1)
    time_.together(worker(limit, starts, 1))
    assert starts == [1094.0]


def test_the_longest_pause_is_whole_and_the_rate_holds_after_it(project: Path, time_: VirtualTime) -> None:
    starts: list[float] = []
    limiter(project, time_).pause(600)
    time_.together(*(worker(limiter(project, time_), starts, 2) for _ in range(3)))
    assert sorted(starts) == [1624 + n / 4 for n in range(6)]


def test_a_clock_that_was_set_back_stops_nobody_for_hours(project: Path, time_: VirtualTime) -> None:
    limit = limiter(project, time_)
    time_.now += 86_400
    limit.wait()
    limit.pause(70)
    time_.now -= 86_400
    starts: list[float] = []
    time_.together(worker(limit, starts, 2))
    assert starts == [1024.0, 1024.25]


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([0.5, 1, 4, 16]),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 80)), max_size=3),
)
def test_the_rate_is_never_exceeded_and_no_pause_is_broken(
    tmp_path_factory: pytest.TempPathFactory, rate: float, workers: list[int], pauses: list[tuple[int, int]]
) -> None:
    folder, time_ = tmp_path_factory.mktemp("limits"), VirtualTime()
    starts: list[float] = []
    paused: list[tuple[float, float]] = []

    def pauser() -> None:
        for after, seconds in pauses:
            time_.sleep(after / 8)
            limiter(folder, time_, rate).pause(seconds)
            paused.append((time_.now, time_.now + seconds))

    time_.together(*(worker(limiter(folder, time_, rate), starts, requests) for requests in workers), pauser)
    assert len(starts) == sum(workers)
    starts.sort()
    for earlier, later in itertools.pairwise(starts):
        assert later - earlier >= 1 / rate
    assert not [at for at in starts for begin, end in paused if begin < at < end]


# -- Real processes --


def ask(pipe: Pipe, folder: Path, rate: float, begin: Barrier, requests: int) -> None:
    """Sends the moments at which it might send a request, on a clock of its own that moves only when it sleeps."""
    time_ = [1024.0]

    def sleep(seconds: float) -> None:
        time_[0] += seconds

    limit = RateLimiter(folder, KEY, rate, clock=lambda: time_[0], sleep=sleep)
    begin.wait(30)
    starts = []
    for _ in range(requests):
        limit.wait()
        starts.append(time_[0])
    pipe.send(starts)


def test_several_processes_share_a_rate_without_exceeding_it(project: Path) -> None:
    """And use all of it: no place in the schedule is taken twice, and none is left free."""
    rate, askers, each = 32.0, 8, 40
    begin = processes.Barrier(askers)
    pipes = [processes.Pipe() for _ in range(askers)]
    for _, theirs in pipes:
        processes.Process(target=ask, args=(theirs, project / "limits", rate, begin, each), daemon=True).start()
    starts = []
    for ours, _ in pipes:
        assert ours.poll(60)
        starts += ours.recv()
    assert sorted(starts) == [1024 + place / rate for place in range(askers * each)]


def wait_and_hang(pipe: Pipe, folder: Path) -> None:
    limit = RateLimiter(folder, KEY, 1000)
    with limit._locked():
        pipe.send("inside")
        pipe.recv()


def test_a_process_that_is_killed_leaves_nothing_locked(project: Path) -> None:
    other = Other(wait_and_hang, project / "limits")
    other.process.kill()
    other.process.join(10)
    RateLimiter(project / "limits", KEY, 1000).wait()


def test_the_file_is_private_and_tells_nothing_of_the_key(project: Path) -> None:
    RateLimiter(project / "limits", KEY, 1).wait()
    [file] = (project / "limits").iterdir()
    assert oct(stat.S_IMODE(file.stat().st_mode)) == "0o600"
    assert KEY not in file.name
    assert KEY.encode() not in file.read_bytes()


# -- Real processes, as the API sees them --

RATE = 50.0
JITTER = 8  # requests: what was sent on time may arrive 160 ms late, and those after it not

ASKER = """
import sys
from sitniks_finmap.clients import finmap
from sitniks_finmap.settings.connections_file import choose
client = finmap.connect(choose(sys.argv[1])[0])
print("ready", flush=True)
while True:
    client.accounts()
"""


@contextmanager
def asking(name: str, project: Path) -> Iterator[None]:
    """A process of this connection that always has work."""
    command = [sys.executable, "-c", ASKER, name]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE) as process:  # noqa: S603
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


def most_in(window: float, moments: list[float]) -> int:
    """How many there are at most in any window of this length."""
    return max(bisect_left(moments, at + window) - place for place, at in enumerate(moments))


@pytest.mark.chaos
def test_two_connections_on_one_key_share_its_rate(
    connect: Callable[..., Connection], sandbox: Sandbox, shop: Shop, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two syncs from the command line and two other processes; in the middle one of them is told 429.

    Counted where requests arrive: no window of one or five seconds holds more than the rate, one for its edge, and
    JITTER.
    """
    sandbox.add_shop("other")
    for name, tenant in (("u1", "demo"), ("u2", "other")):
        connect(name, shop=tenant, start_date=date.today() - timedelta(days=1), finmap_requests_per_second=RATE)  # noqa: DTZ011
        rows = [{"id": f"{name}-{n}", "amount": 100 + n} for n in range(60)]
        at = datetime.now(UTC) - timedelta(minutes=5)
        for row in rows:
            sandbox.shop(tenant).put_transaction(row | {"createdAt": at.isoformat()}, at)
    monkeypatch.setenv("U2_FINMAP_API_KEY", shop.finmap_key)
    command = [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()", "sync", "--connection"]
    said = {name: project / f"{name}.txt" for name in ("u1", "u2")}
    with asking("u1", project), asking("u2", project):
        sandbox.forget_requests()
        syncs = [
            subprocess.Popen([*command, name], cwd=project, stdout=path.open("w"), stderr=subprocess.STDOUT)  # noqa: S603
            for name, path in said.items()
        ]
        until(lambda: len(writes(sandbox)) > 30, seconds=90)
        sandbox.fault(Fault("status", "finmap", status=429, headers={"Retry-After": "2"}))
        ended = [sync.wait(90) for sync in syncs]
        assert ended == [0, 0], [path.read_text("utf-8") for path in said.values()]
    assert len(shop.operations()) == 120

    requests = sandbox.requests("finmap")
    moments = [one.monotonic for one in requests]
    [told] = [one.monotonic for one in requests if one.status == 429]
    # What was on its way when the 429 was told still arrives; then nobody asks, and then all do again.
    during = [at - told for at in moments if 0 < at - told < 2]
    assert not [after for after in during if after > 0.25], during
    assert len(during) <= 6
    most = {seconds: most_in(seconds, moments) for seconds in (1.0, 5.0)}
    assert all(count <= RATE * seconds + 1 + JITTER for seconds, count in most.items()), most


# -- One limiter for a key, wherever its processes work --


def test_two_data_folders_with_one_key_share_its_rate(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(project / "one"))
    one = limiter_for(KEY, 0)
    one.pause(70)
    monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(project / "two"))
    monkeypatch.chdir(project / "state")
    with pytest.raises(Paused, match=r"may start again in (70|69) s"):
        limiter_for(KEY, 0, patience=5).wait()
    limiter_for("another", 0, patience=5).wait()
    assert not list(project.glob("*/limits"))


def test_the_state_of_limiters_is_private_and_holds_no_key(project: Path) -> None:
    limiter_for(KEY, 1).wait()
    folder = project / "state" / "sitniks-finmap" / "limits"
    [file] = folder.iterdir()
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)
    assert KEY not in file.name
    assert KEY.encode() not in file.read_bytes()


@pytest.mark.parametrize("home", ["a file in its place", "none"])
def test_without_a_state_folder_the_data_folder_serves(
    home: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if home == "none":
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    else:
        (project / "state").write_text("")
    limiter_for(KEY, 1).wait()
    assert len(list((project / "data" / "limits").iterdir())) == 1


def test_with_no_folder_that_can_be_written_it_is_said(project: Path) -> None:
    (project / "state").write_text("")
    (project / "data").write_text("")
    with pytest.raises(ConfigurationError, match=r"data cannot be written: .*give it to the user"):
        limiter_for(KEY, 1)
