"""Runs forked from a warm process: one that has imported everything and loaded the definitions once.

A code server starts each run as a new process, which imports Dagster and builds the definitions of every shop: with a
hundred of them, most of what a run without news costs. Python's fork server does both once and forks the runs, which
the code server then starts, watches and ends as before.
"""

import gc
import multiprocessing
import sys
from multiprocessing.context import ForkServerContext
from typing import Any

import dagster as dg

from sitniks_finmap.settings.last_good import Running

FEWEST = 10  # connections; fewer are not worth the memory of the warm process
WARM = "sitniks_finmap.defs.warmed"  # what that process imports

kept: tuple[Running, dg.Definitions] | None = None


def fork_runs(connections: int) -> None:
    """In a code server with that many connections, starts the runs from now on by forking a warm process.

    Dagster has no setting for this: its server starts a run in the context `_mp_ctx` of multiprocessing, which is one
    that starts a new interpreter.
    """
    server: Any = sys.modules.get("dagster._grpc.server")
    if connections < FEWEST or server is None or sys.platform != "linux":
        return
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([WARM])
    start_run = server.DagsterApiServer.StartRun

    def start_run_warm(self: Any, request: Any, asked: Any) -> Any:
        self._mp_ctx = context
        return start_run(self, request, asked)

    server.DagsterApiServer.StartRun = start_run_warm


def keep_warm(running: Running, definitions: dg.Definitions) -> None:
    """Keeps these definitions, with all of their jobs resolved, for the processes that are forked from this one."""
    global kept
    definitions.get_repository_def().get_all_jobs()
    kept = running, definitions
    gc.collect()
    gc.freeze()  # the garbage collector would write to the pages that these processes share


def loaded_for(running: Running) -> dg.Definitions | None:
    """The definitions that were loaded before the fork, unless the settings have changed since."""
    return kept[1] if kept and kept[0] == running else None
