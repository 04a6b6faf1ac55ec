"""The sandbox as one ASGI application: finds API and shop, applies faults, records every request."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from . import finmap_api, sitniks_api
from .exchange import BASES, Answer, Api, Refused
from .faults import BEFORE, Fault, Faults
from .request import RecordedRequest, Request
from .tenant import Shop

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
APIS = {"sitniks": sitniks_api.answer, "finmap": finmap_api.answer}


class Journal:
    """The latest requests, oldest first."""

    def __init__(self, keep: int):
        self._requests: deque[RecordedRequest] = deque(maxlen=keep)
        self._lock = threading.Lock()

    def add(self, recorded: RecordedRequest) -> None:
        with self._lock:
            self._requests.append(recorded)

    def all(self) -> list[RecordedRequest]:
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()


class Application:
    """`transport_of` finds the connection of a scope, or None if it is closed."""

    def __init__(
        self, keys: Mapping[tuple[Api, str], Shop], faults: Faults, journal: Journal,
        clock: Callable[[], datetime], transport_of: Callable[[dict[str, Any]], asyncio.Transport | None],
        control: Callable[[str, str, bytes], Answer],
    ):  # fmt: skip
        self._keys = keys
        self._faults = faults
        self._journal = journal
        self._clock = clock
        self._transport_of = transport_of
        self._control = control

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        send = _dated(send, self._clock)
        body = await _whole_body(receive)
        path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or scope["path"]
        api = _api_of(path)
        if api is None:
            await _send(send, self._elsewhere(scope, path, body))
            return
        request = self._request(api, path.removeprefix(BASES[api]), scope, body)
        recorded = _recorded(request)
        self._journal.add(recorded)
        answer = await self._answer(request)
        dropped = request.fault is not None and request.fault.kind in ("drop_before", "drop_after")
        recorded.status = None if dropped else answer.status
        if request.fault:
            recorded.fault = request.fault.kind
        await self._deliver(answer, request.fault, scope, receive, send)

    def _elsewhere(self, scope: dict[str, Any], path: str, body: bytes) -> Answer:
        try:
            if path == "/open-api-json" and sitniks_api.passes_firewall(dict(scope["headers"])):
                return sitniks_api.document()
            return self._control(scope["method"], path, body)
        except Refused as refused:
            return refused.answer

    def _request(self, api: Api, path: str, scope: dict[str, Any], body: bytes) -> Request:
        headers = dict(scope["headers"])
        shop = self._keys.get((api, _key(api, headers)))
        method, now = scope["method"], self._clock()
        request = Request(api, method, path, scope["query_string"], headers, body, shop, None, now)
        request.fault = self._faults.take(api, method, path, shop.name if shop else None, scope["query_string"])
        return request

    async def _answer(self, request: Request) -> Answer:
        fault = request.fault
        if fault and fault.kind in BEFORE:
            return fault.answer()
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            request.now = self._clock()
        try:
            if request.shop:
                request.shop.access[request.api].check_rate(request.now)
            answer = APIS[request.api](request)
        except Refused as refused:
            return refused.answer
        except Exception:
            logger.exception("the sandbox failed on %s %s", request.method, request.path)
            return Refused(500, "the sandbox failed").answer
        if fault and fault.kind == "slow_after":
            await asyncio.sleep(fault.seconds)
        return fault.answer() if fault and fault.kind in ("status_after", "html_after") else answer

    async def _deliver(
        self, answer: Answer, fault: Fault | None, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        kind = fault.kind if fault else None
        if kind in ("drop_before", "drop_after"):
            await self._hang_up(scope, receive)
        elif kind == "truncated" and fault and fault.full_length:
            await _send(send, answer, answer.body[: len(answer.body) // 2])
            await self._hang_up(scope, receive)
        elif kind == "truncated":
            answer.body = answer.body[: len(answer.body) // 2]
            await _send(send, answer)
        elif kind == "drip" and fault:
            await _drip(send, answer, fault.seconds)
        elif kind == "drip_head" and fault:
            await self._drip_head(scope, answer, fault.seconds)
            await self._hang_up(scope, receive)
        else:
            await _send(send, answer)

    async def _drip_head(self, scope: dict[str, Any], answer: Answer, seconds: float) -> None:
        """Bypasses the server, which would send the head at once."""
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name.decode()}: {value.decode()}" for name, value in _headers(answer)]
        head = ("\r\n".join([*lines, "connection: close"]) + "\r\n\r\n").encode()
        begin = time.monotonic()
        for place in range(len(head)):
            await asyncio.sleep(max(0.0, begin + seconds * (place + 1) / len(head) - time.monotonic()))
            transport = self._transport_of(scope)
            if transport is None:
                return
            transport.write(head[place : place + 1] if place + 1 < len(head) else head[place:] + answer.body)

    async def _hang_up(self, scope: dict[str, Any], receive: Receive) -> None:
        """Closes the connection and waits until the server notices; otherwise it would answer for us."""
        if transport := self._transport_of(scope):
            transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


def _api_of(path: str) -> Api | None:
    for api, base in BASES.items():
        if path.startswith(base + "/"):
            return api
    return None


def _key(api: Api, headers: dict[bytes, bytes]) -> str:
    if api == "finmap":
        return headers.get(b"apikey", b"").decode("latin-1")
    scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return key if scheme.lower() == "bearer" else ""


def _recorded(request: Request) -> RecordedRequest:
    return RecordedRequest(
        at=request.now,
        monotonic=time.monotonic(),
        api=request.api,
        shop=request.shop.name if request.shop else None,
        method=request.method,
        path=request.path,
        query=request.query.decode("latin-1"),
        body=request.body.decode("utf-8", "replace"),
        user_agent=request.headers.get(b"user-agent", b"").decode("latin-1"),
    )


async def _whole_body(receive: Receive) -> bytes:
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    return headers + [(name.lower().encode(), value.encode()) for name, value in answer.headers]


def _dated(send: Send, clock: Callable[[], datetime]) -> Send:
    """Adds a Date by the sandbox's clock: uvicorn updates its own in a loop that does not run here."""

    async def dated(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [(b"date", format_datetime(clock(), usegmt=True).encode()), *message["headers"]]
        await send(message)

    return dated


async def _start(send: Send, answer: Answer) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})


async def _send(send: Send, answer: Answer, part: bytes | None = None) -> None:
    """The whole answer, or its headers and the first `part` of its body."""
    await _start(send, answer)
    body = answer.body if part is None else part
    await send({"type": "http.response.body", "body": body, "more_body": part is not None})


async def _drip(send: Send, answer: Answer, seconds: float) -> None:
    await _start(send, answer)
    begin, size = time.monotonic(), len(answer.body)
    for place in range(size):
        await asyncio.sleep(max(0.0, begin + seconds * (place + 1) / size - time.monotonic()))
        await send({"type": "http.response.body", "body": answer.body[place : place + 1], "more_body": True})
    await send({"type": "http.response.body", "body": b""})
