"""operations → plan → finmap_upload."""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial

from sitniks_finmap.figures import counted
from sitniks_finmap.pipeline.checks import guard_delivery
from sitniks_finmap.pipeline.courier import Courier, Delivery
from sitniks_finmap.pipeline.posted_elsewhere import refuse_doubles, refuse_doubles_around
from sitniks_finmap.pipeline.readback import rebuild_ledger
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive

log = logging.getLogger(__name__)


def deliver(
    run: ConnectionRun,
    first_day: date,
    last_day: date,
    *,
    minutes: float | None = None,
    every_failed: bool = True,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Delivery:
    """Deliver these days to Finmap. An empty ledger is first filled from Finmap.

    Every delivery goes through here: raises CheckFailed, WrongCompany, OtherInstallation or PostedElsewhere before
    anything is posted, and ApiError.
    """
    guard_delivery(run.warehouse)
    finmap = run.finmap_to_write
    with run.warehouse.transaction() as con:
        (known,) = con.execute("select count(*) from finmap_upload where state <> 'rolled_back'").fetchone() or (0,)
    if not known:
        refuse_doubles(run.connection, run.warehouse, finmap, now())
        # The old file may have been lost; without this, a second generation could be sent as a first.
        found, _ = rebuild_ledger(run, run.connection.start_date, run.connection.today(now()), now())
        if found:
            log.info("%s: %s in Finmap already", run.connection.name, counted(found, "operation"))
            derive_again(run, first_day, last_day, now())
    courier = Courier(
        run.warehouse, finmap, retry_every=run.connection.retry_every, run_id=run.run_id, now=now,
        before_creating=partial(refuse_doubles_around, run.connection, run.warehouse, finmap), first_import=not known,
    )  # fmt: skip
    delivery = courier.deliver(first_day, last_day, minutes=minutes, every_failed=every_failed)
    log.info("%s: %s", run.connection.name, delivery)
    return delivery


def derive_again(run: ConnectionRun, first_day: date, last_day: date, now: datetime) -> None:
    """After the ledger was rebuilt: what Finmap has of an order tells when it was paid and refunded."""
    if run.connection.source == "orders":
        with run.warehouse.transaction() as con:
            derive(con, first_day, last_day, now)
