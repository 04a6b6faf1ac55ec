"""The state of connections for programs: JSON, and metrics for Prometheus' node_exporter."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sitniks_finmap.people.status import WORST_FIRST, Fleet, InvalidStatus, Status

PLACES = ("delivered", "failed", "refused", "left", "pending")


def fleet_json(fleet: Fleet) -> list[dict[str, Any]]:
    """One object for each connection, the worst first; moments with their offset, numbers null if nothing was read."""
    return [_json(shop) for shop in fleet.shops]


def _json(shop: Status | InvalidStatus) -> dict[str, Any]:
    known = shop if isinstance(shop, Status) else None
    has = known.summary if known else None
    places = _places(known) if known else None
    return {
        "connection": shop.name,
        "source": known.connection.source if known else None,
        "state": shop.verdict,
        "last_success": _stamp(known.local(known.succeeded_at) if known else None),
        "last_read": _stamp(known.local(has.last_read) if known and has else None),
        "next_due": _stamp(known.local(known.next_due) if known else None),
        "operations": has.operations if has else None,
        **(places or dict.fromkeys(PLACES)),
        "delivered_today": known.delivered_today if known and has else None,
        "left_out": sum(has.left_out.values()) if has else None,
        "rejected": has.rejected if has else None,
        "unbooked_orders": sum(has.unbooked.values()) if has else None,
        "problems": [
            {
                "problem": finding.problem,
                "verdict": finding.verdict,
                "count": finding.count or None,
                "since": _stamp(finding.since),
                "what": finding.what,
            }
            for finding in shop.findings
        ],
    }


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _places(status: Status) -> dict[str, int] | None:
    """Where the operations are. With those left out of Finmap, these are all of them."""
    if (has := status.summary) is None:
        return None
    return dict(zip(PLACES, (has.done, has.failed, has.refused, has.backlog, has.pending), strict=True))


def write_metrics(fleet: Fleet, now: datetime, path: Path) -> None:
    """Writes a textfile for node_exporter, whole or not at all. Raises OSError."""
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile  # 0.1 s, for this option alone

    registry = CollectorRegistry()

    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"sitniks_finmap_{name}", about, labels, registry=registry)

    gauge("status_timestamp_seconds", "When this file was written.").set(now.timestamp())
    state = gauge("state", "1 for the state that the connection is in.", "connection", "state")
    success = gauge("last_success_timestamp_seconds", "When a sync last ended without an error.", "connection")
    operations = gauge("operations", "Operations by where they are.", "connection", "place")
    today = gauge("delivered_today", "Operations created or corrected in Finmap since midnight.", "connection")
    rejected = gauge("rejected_records", "Transactions or orders of which no operation can be made.", "connection")
    problems = gauge("problems", "Problems that `status` names: records concerned.", "connection", "problem", "verdict")
    for shop in fleet.shops:
        for verdict in WORST_FIRST:
            state.labels(shop.name, verdict).set(shop.verdict == verdict)
        for finding in shop.findings:
            problems.labels(shop.name, finding.problem or "other", finding.verdict).set(max(finding.count, 1))
        if isinstance(shop, InvalidStatus):
            continue
        if shop.succeeded_at:
            success.labels(shop.name).set(shop.succeeded_at.timestamp())
        if shop.summary:
            for place, count in (_places(shop) or {}).items():
                operations.labels(shop.name, place).set(count)
            today.labels(shop.name).set(shop.delivered_today)
            rejected.labels(shop.name).set(shop.summary.rejected)
    write_to_textfile(str(path), registry)
