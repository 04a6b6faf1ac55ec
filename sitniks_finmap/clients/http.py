"""HTTP client of one API: rate limit, retries, timeouts, typed failures."""

import http.client
import io
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter
from urllib3.connection import HTTPConnection, HTTPSConnection

from sitniks_finmap import __version__
from sitniks_finmap.clients.answers import (
    KeyRefused,
    Limited,
    Reply,
    Unavailable,
    Unreachable,
)
from sitniks_finmap.clients.ratelimit import Paused, RateLimiter
from sitniks_finmap.clients.reasons import never_connected, reason_of, refusal_of, why_no_answer
from sitniks_finmap.clients.redaction import Redaction

log = logging.getLogger(__name__)
# urllib3 logs response headers that it cannot parse, whatever they contain.
logging.getLogger("urllib3.connection").addFilter(lambda record: "Failed to parse headers" not in str(record.msg))

USER_AGENT = f"sitniks-finmap/{__version__}"  # a firewall answers 403 to Python's default
TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds between two chunks of a response
ANSWER_WITHIN = 120.0  # seconds for a whole response, headers and body, even if it keeps trickling in
PAUSE_AFTER_429 = 70.0  # the key is blocked for about a minute, and no header says so
LONGEST_PAUSE = 600.0
READ_ATTEMPTS = 6
# If no connection was ever established, this machine is offline or the address is wrong: give up within seconds, so
# that nobody waits a minute for each side; the next sync tries again.
UNREACHED_ATTEMPTS = 3
UNREACHED_TIMEOUT = 5.0  # seconds to connect


class Api:
    """Sends requests with one key to one API. Thread-safe.

    `secrets` are redacted from every response. `attempts` limits the tries of a read; `timeout` is the seconds to
    connect and between two chunks of a response. `connection` owns the key, and `key_env` is the environment variable
    that holds it.
    """

    def __init__(
        self,
        title: str,
        base_url: str,
        headers: dict[str, str],
        limiter: RateLimiter,
        *,
        connection: str = "",
        key_env: str = "",
        secrets: Sequence[str] = (),
        attempts: int = READ_ATTEMPTS,
        timeout: tuple[float, float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.title = title
        self.base_url = base_url
        self.host = urlsplit(base_url).netloc
        self.connection = connection
        self.key_place = f"{key_env} in .env" if key_env else ".env"
        self.limiter = limiter
        self.attempts = attempts
        self.timeout = timeout
        self.redaction = Redaction(secrets)
        self.sleep = sleep
        self.answered = False  # whether any response has arrived
        self.clock_ahead: timedelta | None = None  # how far the API's clock was ahead of ours at the last response
        self._headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **headers}
        self._sessions = threading.local()

    def read(self, method: str, path: str, **request: Any) -> Reply:
        """Send a read-only request, retrying until it is answered.

        Raises KeyRefused, or Unavailable when all attempts failed; other 4xx are returned as a Reply. A host that was
        never reached is retried less often.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential_jitter(max=30),
            stop=self._is_last_attempt,
            sleep=self.sleep,
            before_sleep=self._log_retry,
            reraise=True,
        )
        return attempts(self.send, method, path, **request)

    def write(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Send a write once; only a 429 is retried, because then nothing was done.

        Raises KeyRefused, or Unavailable if the outcome is unknown.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(Limited),
            stop=stop_after_attempt(self.attempts),
            before_sleep=self._log_retry,
            reraise=True,
        )
        return attempts(self.send, method, path, writing=True, data=body)

    def send(self, method: str, path: str, *, writing: bool = False, **request: Any) -> Reply:
        """Send one request; return its reply or raise a typed failure."""
        try:
            self.limiter.wait()
            timeout = self.timeout or (TIMEOUT if self.answered else (UNREACHED_TIMEOUT, TIMEOUT[1]))
            response = self._session().request(
                method, self.base_url + path, timeout=timeout, allow_redirects=False, **request
            )
        except Paused as paused:
            raise Limited(f"{self.title}: the rate limit of the key is used up; {paused}") from None
        except (requests.RequestException, ValueError) as error:  # ValueError: a Location that is not a URL
            never_reached = not self.answered and never_connected(error)
            raise (Unreachable if never_reached else Unavailable)(
                f"{self.title} did not answer ({self.host}: {why_no_answer(error)})"
            ) from None
        self.answered = True
        return self._parse(response, writing, request.get("data"))

    def _is_last_attempt(self, state: RetryCallState) -> bool:
        never_reached = state.outcome is not None and isinstance(state.outcome.exception(), Unreachable)
        return state.attempt_number >= (min(UNREACHED_ATTEMPTS, self.attempts) if never_reached else self.attempts)

    def _log_retry(self, state: RetryCallState) -> None:
        """Log why a request is retried, so that nobody watches a silent terminal for half a minute."""
        error = state.outcome.exception() if state.outcome else None
        whose = f"{self.connection}: " if self.connection else ""
        log.info("%s%s; retrying (attempt %d)", whose, error, state.attempt_number + 1)

    def _session(self) -> requests.Session:
        session = getattr(self._sessions, "session", None)
        if session is None:
            session = requests.Session()
            session.mount("http://", _DeadlineAdapter())
            session.mount("https://", _DeadlineAdapter())
            # Read proxies once and .netrc never: it could replace our Authorization header.
            session.trust_env = False
            session.proxies.update(get_environ_proxies(self.base_url))
            session.headers.update(self._headers)
            self._sessions.session = session
        return session

    def _parse(self, response: requests.Response, writing: bool, sent: bytes | None) -> Reply:
        status = response.status_code
        if served := _http_date(response.headers.get("Date")):
            self.clock_ahead = served - datetime.now(UTC)
        text = response.content.decode("utf-8-sig", "replace")
        reports = writing or not 200 <= status < 300  # a status report, not records to store verbatim
        text = self.redaction.error(text) if reports else self.redaction.record(text)
        if status == 429:
            self.limiter.pause(_pause(response.headers.get("Retry-After")))
            raise Limited(f"{self.title} answered 429: the rate limit of the key is used up{self._quoted(text, sent)}")
        if text.lstrip()[:1] == "<":
            page = f"{self.title} answered {status} with a web page instead of JSON"
            raise Unavailable(page + self._quoted(text, sent))
        if status in (401, 402, 403):
            raise KeyRefused(refusal_of(self.title, status, self._reason(text, sent), self.key_place), status)
        if status >= 500 or status < 200 or 300 <= status < 400:
            raise Unavailable(f"{self.title} answered {status}{self._quoted(text, sent)}")
        try:
            reply = read_json(status, text)
        except (ValueError, RecursionError):
            raise Unavailable(f"{self.title} answered {status} with a body that is not whole JSON") from None
        return Reply(status, self.redaction.body(reply.body), text) if reports else reply

    def _reason(self, text: str, sent: bytes | None) -> str:
        return self.redaction.error(reason_of(text, sent))  # again, now that escapes are decoded

    def _quoted(self, text: str, sent: bytes | None) -> str:
        reason = self._reason(text, sent)
        return f': "{reason}"' if reason else ""


# -- JSON: one absurd value must not make a whole page unreadable, or one record would stop a connection. --

DEEPEST = 50  # no real data is nested deeper
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def read_json(status: int, text: str) -> Reply:
    """Parse JSON. Raises ValueError or RecursionError."""
    if not text:
        return Reply(status, None, text)
    try:
        return Reply(status, _DECODER.decode(text), text)
    except RecursionError:
        text = _shallow(text)
        return Reply(status, _DECODER.decode(text), text)


def _shallow(text: str) -> str:
    """Replace whatever is nested deeper than DEEPEST with null."""
    kept: list[str] = []
    at = depth = 0
    for token in _TOKEN.finditer(text):
        if token[0][0] in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept.append(text[at : token.start()] + "null")
        elif token[0][0] in "]}":
            if depth == DEEPEST + 1:
                at = token.end()
            depth -= 1
    return "".join(kept) + text[at:]


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 1000 else Decimal(digits)  # Python refuses to read an int of 4,300 digits


def _decimal(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except ArithmeticError:  # an exponent of twenty digits
        return Decimal("Infinity")


_DECODER = json.JSONDecoder(parse_float=_decimal, parse_int=_whole, strict=False)


# -- A timeout for the whole response: that of requests restarts with every chunk. --


class _Deadline(io.RawIOBase):
    """A socket stream that can be read for ANSWER_WITHIN seconds."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._stream = sock.makefile("rb", buffering=0)
        self._until = time.monotonic() + ANSWER_WITHIN

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        if left < (self._sock.gettimeout() or ANSWER_WITHIN):
            self._sock.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **more: Any) -> None:
        super().__init__(sock, *arguments, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_Deadline(sock))


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _DeadlineAdapter(HTTPAdapter):
    """An adapter whose connections, also through a proxy, read responses against a deadline."""

    def get_connection_with_tls_context(self, *arguments: Any, **more: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*arguments, **more)
        pool.ConnectionCls = _SecureConnection if pool.scheme == "https" else _Connection
        return pool


def _pause(retry_after: str | None) -> float:
    """Seconds to wait after a 429: the header's value (at least 1), or the measured default without one."""
    if retry_after is None:
        return PAUSE_AFTER_429
    try:
        seconds = float(retry_after)
    except ValueError:
        moment = _http_date(retry_after)
        seconds = (moment - datetime.now(UTC)).total_seconds() if moment else PAUSE_AFTER_429
    return min(max(seconds, 1.0), LONGEST_PAUSE)


def _http_date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None
