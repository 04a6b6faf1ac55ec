"""The sandbox as a server on this machine: uvicorn in its own thread."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from . import control_api
from .app import Application, Journal
from .exchange import BASES, Answer, Api
from .faults import Fault, Faults
from .request import RecordedRequest
from .state import State
from .tenant import Shop

NAME = re.compile(r"[a-z0-9_]+")


def utc_now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """Sitniks and Finmap on http://127.0.0.1:<port>, with the shop "demo" and any that are added.

    `path` is the SQLite file of the whole state, None = in memory. `clock` is "now" for every rule of the
    APIs (stamps, Stored delays, rate limits); faults that make a client wait really wait.
    """

    def __init__(
        self, path: Path | str | None = None, port: int = 0, clock: Callable[[], datetime] | None = None, *,
        reuse_deleted_ids: bool = False, keep_requests: int = 200_000,
    ):  # fmt: skip
        self.clock = clock or utc_now
        self._reuse_deleted_ids = reuse_deleted_ids
        self._wanted_port = port
        self._state = State(path)
        self._faults = Faults()
        self._journal = Journal(keep_requests)
        self._shops: dict[str, Shop] = {}
        self._keys: dict[tuple[Api, str], Shop] = {}
        self._server: _Server | None = None
        for name in [
            "demo",
            *(row["name"] for row in self._state.rows("select name from shops order by id")),
        ]:
            self.add_shop(name)

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("the sandbox is not started")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def sitniks_url(self) -> str:
        return self.url + BASES["sitniks"]

    @property
    def finmap_url(self) -> str:
        return self.url + BASES["finmap"]

    def start(self) -> "Sandbox":
        """Starts serving; returns when connections are accepted. Raises OSError if the port is taken."""
        connections = _Connections()
        application = Application(
            self._keys, self._faults, self._journal, lambda: self.clock(), connections.transport_of, self._control
        )
        self._server = _Server(application, connections, self._wanted_port)
        self._server.start()
        return self

    def stop(self) -> None:
        """Closes every connection and the state. Does nothing the second time."""
        if self._server:
            self._server.stop()
            self._server = None
        self._state.close()

    def __enter__(self) -> "Sandbox":
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def shop(self, name: str = "demo") -> Shop:
        """Raises KeyError if there is no such shop."""
        return self._shops[name]

    def shops(self) -> list[Shop]:
        return list(self._shops.values())

    def add_shop(self, name: str) -> Shop:
        """Adds a tenant with its own keys, or returns the one that has this name already."""
        if not NAME.fullmatch(name) or name == "faults":
            raise ValueError("a shop's name consists of a-z, 0-9 and _, and must not be faults")
        with self._state.lock:
            if name not in self._shops:
                self._state.write("insert or ignore into shops (name) values (?)", (name,))
                row = self._state.row("select id from shops where name = ?", (name,))
                shop = Shop(self._state, row["id"] if row else 0, name, self._now, self._reuse_deleted_ids)
                self._shops[name] = shop
                self._keys["sitniks", shop.sitniks_key] = shop
                self._keys["finmap", shop.finmap_key] = shop
            return self._shops[name]

    def issue_key(self, api: Api, shop: str = "demo") -> str:
        """Issues an additional key for a shop."""
        tenant = self.shop(shop)
        with self._state.lock:
            key = f"sandbox-{api}-key-{shop}-{len(self._keys)}"
            self._keys[api, key] = tenant
        return key

    def _now(self) -> datetime:
        return self.clock()

    def fault(self, fault: Fault) -> None:
        self._faults.add(fault)

    def clear_faults(self) -> None:
        self._faults.clear()

    def requests(
        self,
        api: Api | None = None,
        shop: str | None = None,
        method: str | None = None,
        path: str | None = None,
    ) -> list[RecordedRequest]:
        """The recorded requests, oldest first. `path` is a prefix below the API's base, as in "/operations"."""

        def wanted(recorded: RecordedRequest) -> bool:
            return (
                api in (None, recorded.api)
                and shop in (None, recorded.shop)
                and method in (None, recorded.method)
                and recorded.path.startswith((path or "").removeprefix(BASES[recorded.api]))
            )

        return [recorded for recorded in self._journal.all() if wanted(recorded)]

    def forget_requests(self) -> None:
        self._journal.clear()

    def _control(self, method: str, path: str, body: bytes) -> Answer:
        return control_api.answer(self, method, path, body)


class _Connections:
    """The open connections by the client's address, so that a fault can close one of them."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, int], asyncio.Transport] = {}

    def drop_all(self) -> None:
        for transport in list(self.open.values()):
            transport.abort()

    def transport_of(self, scope: dict[str, Any]) -> asyncio.Transport | None:
        return self.open.get(tuple(scope["client"]))

    def protocol(self) -> type[asyncio.Protocol]:
        """uvicorn's HTTP protocol, which also tracks the open connections."""
        connections = self.open

        class Protocol(AutoHTTPProtocol):
            address: tuple[str, int]

            def connection_made(self, transport: Any) -> None:
                self.address = tuple(transport.get_extra_info("peername")[:2])
                connections[self.address] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.address, None)
                super().connection_lost(exc)

        return Protocol


class _Server(uvicorn.Server):
    """uvicorn in a daemon thread on a port of 127.0.0.1."""

    def __init__(self, application: Application, connections: _Connections, port: int):
        super().__init__(
            uvicorn.Config(
                application,
                http=connections.protocol(),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,  # the application writes it
                timeout_keep_alive=600,
                backlog=1024,
            )
        )
        self._connections = connections
        self._socket = _bound_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        self._leave: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name=f"sandbox-{self.port}", daemon=True)

    def _run(self) -> None:
        try:
            self.run([self._socket])
        finally:
            self._ready.set()

    async def main_loop(self) -> None:
        """Waits until it is stopped, instead of waking ten times a second."""
        await self.on_tick(0)
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._leave.wait()
        self._connections.drop_all()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drops all connections, instead of giving each a tenth of a second to finish."""
        for listening in [*self.servers, *(sockets or [])]:
            listening.close()
        self._connections.drop_all()
        for task in self.server_state.tasks:
            task.cancel()
        await asyncio.sleep(0)
        self._connections.drop_all()  # those opened while it was closing

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(10)
        if self._leave is None:
            raise RuntimeError("the sandbox's server did not start")

    def stop(self) -> None:
        """Stops serving; clients still waiting for an answer lose the connection."""
        self.force_exit = True
        if self._loop and self._leave and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(10)
        self._socket.close()


def _bound_socket(port: int) -> socket.socket:
    # the protocol is named because asyncio disables Nagle's algorithm only if it is
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound
