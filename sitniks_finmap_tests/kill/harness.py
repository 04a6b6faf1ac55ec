"""Connections whose syncing process is killed and started again until all is quiet."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from sitniks_finmap.failpoint import KILLED
from sitniks_finmap.sandbox import Sandbox
from sitniks_finmap_tests.kill.nursery import Nursery
from sitniks_finmap_tests.kill.till import Till
from sitniks_finmap_tests.sandbox.clients import Clock

NUMBERS = count(1)
ROUNDS = 10
BETWEEN_SYNCS = timedelta(minutes=45)  # two looks at what is to be gone lie two hours apart


@dataclass
class Harness:
    sandbox: Sandbox
    nursery: Nursery
    clock: Clock
    folder: Path
    tills: list[Till] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first_day = self.clock.now.date() - timedelta(days=1)

    def connect(self, seed: int = 1, finmap: str | None = None) -> Till:
        """A connection of its own Sitniks company; its money goes to the Finmap company of another if one is named."""
        name = f"k{next(NUMBERS)}"
        shop = self.sandbox.add_shop(name)
        till = Till(name, shop, self.sandbox.shop(finmap) if finmap else shop, seed)
        self.tills.append(till)
        return till

    def task(self, *tills: Till, **more: Any) -> dict[str, Any]:
        """The task of a process that syncs these connections, or all, one after the other at this moment."""
        tills = tills or tuple(self.tills)
        keys = {}
        for till in tills:
            keys[f"{till.connection.upper()}_SITNIKS_API_KEY"] = till.sitniks.sitniks_key
            keys[f"{till.connection.upper()}_FINMAP_API_KEY"] = till.finmap.finmap_key
        return {
            "connections": [self.settings(till) for till in tills],
            "keys": keys,
            "data": str(self.folder / "data"),
            "now": self.clock.now.isoformat(),
            "first": self.first_day.isoformat(),
            "last": (self.clock.now + timedelta(hours=3)).date().isoformat(),  # of Kyiv, or the day after
            **more,
        }

    def settings(self, till: Till) -> dict[str, Any]:
        """Everything follows the source by itself; nothing waits for a person."""
        return {
            "name": till.connection, "start_date": self.first_day.isoformat(), "finmap_account": "Каса",
            "sitniks_url": self.sandbox.sitniks_url, "finmap_url": self.sandbox.finmap_url,
            "sitniks_requests_per_second": 0, "finmap_requests_per_second": 0,
            "on_change": "update", "on_delete": "withdraw", "max_change_share": 1, **till.settings,
        }  # fmt: skip

    def sync(self, *tills: Till, **more: Any) -> dict[str, Any]:
        """Syncs these connections, or all, once and unharmed."""
        code, answer = self.nursery.run(self.task(*tills, **more))
        assert code == 0
        return answer

    def die_at(self, failpoint: str, doomed: Till) -> None:
        """Syncs a connection in a process that ends at the failpoint."""
        code, answer = self.nursery.run(self.task(doomed, failpoint=failpoint))
        assert code == KILLED, f"the process did not come to {failpoint}: {code}, {answer}"

    def sync_until_quiet(self, *tills: Till, **more: Any) -> None:
        """Syncs these connections, or all, until nothing is left to do or on its way; nothing may be unexplained.

        What is missing in Sitniks for the first time is something to do for the next sync. The first sync is whole, the
        others are plain.
        """
        answers: Any = None
        for turn in range(ROUNDS):
            self.clock.now += BETWEEN_SYNCS
            answers = self.sync(*tills, plainly=turn > 0, **more).values()
            if not any(one.get(what, ["?"]) for one in answers for what in ("to_do", "pending", "missed")):
                assert [one for one in answers if one["waiting"] or one["unexplained"]] == []
                return
        raise AssertionError(f"not quiet after {ROUNDS} syncs: {answers}")

    def files_open(self) -> int:
        """Opens every DuckDB file and every read copy; returns how many there are."""
        files = [*(self.folder / "data").rglob("*.duckdb")]
        for path in files:
            with duckdb.connect(path, read_only=True) as con:
                con.execute("select count(*) from finmap_upload").fetchall()
        return len(files)
