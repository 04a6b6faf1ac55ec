"""A dead man's switch: calls a URL that misses us when this machine is gone. healthchecks.io, Uptime Kuma and the like.

healthchecks.io: GET <url>/start, then POST <url> or <url>/fail with a line of counts. Uptime Kuma (/api/push/): GET
with ?status=up or down, and the counts as msg. Nothing but counts is ever sent.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import duckdb
import requests
from urllib3.exceptions import HTTPError

from sitniks_finmap import __version__
from sitniks_finmap.people.summary import done_by
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.value_types import LOOPBACK
from sitniks_finmap.warehouse.store import WarehouseError

log = logging.getLogger(__name__)

DEPLOYMENT = "HEARTBEAT_URL"  # a variable
TIMEOUT = 10.0  # seconds
PUSH = "/api/push/"
Signal = Literal["start", "success", "fail"]


def ping(variable: str, signal: Signal, counts: str = "", seconds: float = TIMEOUT) -> bool:
    """Calls the URL in this environment variable once; whether that was accepted within so many seconds.

    Never raises, never logs the URL. It is called beside us, because a service may drip bytes for ever.
    """
    done: list[bool] = []
    call = threading.Thread(target=lambda: done.append(_call(variable, signal, counts)), daemon=True)
    call.start()
    call.join(seconds)
    if not done:
        log.warning("%s did not answer within %.0f seconds", variable, seconds)
    return bool(done and done[0])


def _call(variable: str, signal: Signal, counts: str) -> bool:
    url = os.environ.get(variable, "").strip()
    if not url:
        return False
    try:
        method, target, body = request_of(url, signal, counts)
        reply = requests.request(
            method,
            target,
            data=body.encode() or None,
            headers={"User-Agent": f"sitniks-finmap/{__version__}"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
    except Skipped:
        return False
    except NotCalled as error:
        log.error("%s: %s", variable, error)
        return False
    except ValueError:  # its text, and that of requests' own kinds of it, quotes the URL
        log.error("%s is not a URL", variable)
        return False
    except (requests.RequestException, HTTPError) as error:
        log.warning("%s did not answer (%s)", variable, type(error).__name__)
        return False
    if not reply.ok or reply.is_redirect:
        log.warning("%s answered %s", variable, reply.status_code)
    return reply.ok and not reply.is_redirect


def request_of(url: str, signal: Signal, counts: str) -> tuple[str, str, str]:
    """Method, URL and body of one call. Raises NotCalled for one that may not be called, and ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise NotCalled("must be https:// (http:// is allowed on this machine only)")
    if PUSH in parts.path:
        if signal == "start":
            raise Skipped
        known = {name: value for name, value in parse_qsl(parts.query) if name not in ("status", "msg")}
        query = {**known, "status": "up" if signal == "success" else "down", "msg": counts or "OK"}
        return "GET", urlunsplit(parts._replace(query=urlencode(query), fragment="")), ""
    path = parts.path.rstrip("/") + ("" if signal == "success" else f"/{signal}")
    target = urlunsplit(parts._replace(path=path, fragment=""))
    return ("GET", target, "") if signal == "start" else ("POST", target, counts)


def why_not_called(variable: str) -> str | None:
    """Why the URL in this environment variable would not be called; None if it would be."""
    try:
        parts = urlsplit(os.environ.get(variable, "").strip())
        request_of(parts.geturl(), "success", "")
    except NotCalled as why:
        return str(why)
    except ValueError:
        return "it is not a URL"
    return None if parts.hostname else "it is not a URL"


class NotCalled(ValueError):
    """A URL that may not be called; the message says why, without the URL."""


class Skipped(ValueError):
    """The service has no such signal."""


@dataclass
class Outcome:
    """How a sync ended: whether it failed, and counts to send."""

    failed: bool = False
    counts: str = ""


@contextmanager
def pinged(variable: str | None) -> Iterator[Outcome]:
    """Says that a sync starts, and how it ended.

    The start is said beside the sync, so that a service that does not answer delays nothing; the end after it, in ten
    seconds at most.
    """
    outcome = Outcome(failed=True)
    if variable is None:
        yield outcome
        return
    start = threading.Thread(target=ping, args=(variable, "start"), daemon=True)
    start.start()
    try:
        yield outcome
    finally:
        end = time.monotonic() + TIMEOUT
        start.join(TIMEOUT / 2)
        signal = "fail" if outcome.failed else "success"
        ping(variable, signal, outcome.counts, max(end - time.monotonic(), 0))


def counts_of(run: ConnectionRun, begun: datetime) -> str:
    """What a run did, in counts; empty if its file cannot be read."""
    try:
        done = done_by(run.warehouse, [run.run_id or ""], (date.min, date.max), begun)
    except (WarehouseError, duckdb.Error):
        return ""
    counts = {name: count for name, count in asdict(done).items() if name != "days_read"}
    return ", ".join(f"{name} {count}" for name, count in counts.items())
