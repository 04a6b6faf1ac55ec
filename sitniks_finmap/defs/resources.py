"""The run of a connection as a Dagster resource."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import dagster as dg
from pydantic import Field

from sitniks_finmap.alerts.pings import counts_of, pinged
from sitniks_finmap.defs.hosts import refuse_on_two_hosts
from sitniks_finmap.pipeline.run import ConnectionRun, StepFailed
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.last_good import running_connection
from sitniks_finmap.warehouse.store import open_warehouse

SOURCES = {  # source → what is read from Sitniks
    "transactions": ("raw_sitniks_transactions", "raw_sitniks_orders"),
    "orders": ("raw_sitniks_orders",),
}
DELIVERING = {"finmap_upload", "reconciliation"}
WRONG_CONFIGURATION = "wrong configuration"  # metadata of a failed step, for the command's exit code


def kind_of(run: dg.DagsterRun | None, connection: Connection) -> str:
    """The kind of a run: a whole `sync`, a `deliver`, a `preview` (writes nothing to Finmap), or `partial`."""
    reading = {*SOURCES[connection.source], "operations", "unbooked_orders"}
    chosen = {key.path[-1] for key in (run.asset_selection if run else None) or ()}
    if run and run.job_name == f"{connection.name}_deliver" and not chosen:
        return "deliver"
    if run and run.job_name == f"{connection.name}_sync" and not chosen:
        return "sync"
    return (
        "sync" if chosen >= {SOURCES[connection.source][0], "operations"} | DELIVERING
        else "deliver" if chosen >= DELIVERING
        else "preview" if chosen and chosen <= reading
        else "partial"
    )  # fmt: skip


@contextmanager
def told(step: AbstractContextManager[None]) -> Iterator[None]:
    """Wraps a step: what stopped it becomes a Failure in the UI, with the reason and the remedy."""
    try:
        with step:
            yield
    except StepFailed as error:
        metadata = {WRONG_CONFIGURATION: True} if error.misconfigured else None
        raise dg.Failure(str(error), metadata=metadata, allow_retries=False) from error.__cause__


class ConnectionResource(dg.ConfigurableResource[ConnectionRun]):
    """The clients and the warehouse of a connection, shared by the whole run: the lock is held from the first step to
    the last.
    """

    connection: str = Field(description="The name of its table in connections.toml.")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[ConnectionRun]:
        try:
            connection = running_connection(self.connection)
        except ConfigurationError as why:
            raise dg.Failure(str(why), metadata={WRONG_CONFIGURATION: True}, allow_retries=False) from None
        run_id = context.run.run_id if context.run else None
        run = ConnectionRun(connection, open_warehouse(connection), run_id)
        kind = kind_of(context.run, connection)
        begun, url = run.now(), connection.heartbeat_url if kind == "sync" else None
        with pinged(url.removeprefix("env:") if url else None) as outcome:
            with told(run.recorded(kind)):
                if context.instance:
                    refuse_on_two_hosts(context.instance, context.run, connection)
                yield run
            if url:
                outcome.failed = any(ended.error for ended in run.ended.values())
                outcome.counts = counts_of(run, begun)
