"""Services that take messages, on this machine: a webhook, a mail server, one that answers as Telegram does."""

import asyncio
import json
import socket
import threading
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


class Inbox:
    """A service that takes messages in apprise's JSON notation. `status` is what it answers."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.attached: list[tuple[str, bytes]] = []
        self.status = 200
        self.before_answer: Callable[[], None] = lambda: None
        self.refuses: Callable[[dict[str, Any]], bool] = lambda said: False
        self.requests = 0
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = inbox.parse(self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"])))
                inbox.requests += 1
                inbox.before_answer()
                status = 400 if inbox.refuses(said) else inbox.status
                if status == 200:
                    inbox.take(said)
                answer = json.dumps(inbox.answer()).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *arguments: None  # who sent has gone  # type: ignore[method-assign]
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/?retry=0"

    @property
    def titles(self) -> list[str]:
        return [title for title, _ in self.messages]

    def parse(self, kind: str, said: bytes) -> dict[str, Any]:
        return json.loads(said)

    def take(self, said: dict[str, Any]) -> None:
        self.messages.append(self.read(said))
        self.attached += [(one["filename"], b64decode(one["base64"])) for one in said.get("attachments", [])]

    def read(self, said: dict[str, Any]) -> tuple[str, str]:
        return said["title"], said["message"]

    def answer(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Telegram(Inbox):
    """Takes what apprise sends to api.telegram.org: `<b>title</b>` and the body in one text."""

    @property
    def url(self) -> str:
        return "tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFG/12315544/?retry=0"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/bot"

    def parse(self, kind: str, said: bytes) -> dict[str, Any]:
        """A document comes as a form, apart from its text."""
        if not kind.startswith("multipart/"):
            return super().parse(kind, said)
        form = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + said, policy=policy.default)
        files = [part for part in form.iter_parts() if part.get_filename()]
        return {"document": [(str(part.get_filename()), part.get_payload(decode=True)) for part in files]}

    def take(self, said: dict[str, Any]) -> None:
        if "document" in said:
            self.attached += said["document"]
        else:
            super().take(said)

    def read(self, said: dict[str, Any]) -> tuple[str, str]:
        title, _, body = said["text"].partition("\n")
        return title, body

    def answer(self) -> dict[str, Any]:
        return {"ok": True, "result": {"message_id": len(self.messages), "chat": {"id": 12315544}}}


class Dripper:
    """A service that takes everything, then answers with a byte now and then and never ends; or does not answer."""

    def __init__(self, *drips: bytes) -> None:
        self.taken = 0
        self.stopped = threading.Event()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.drips = drips
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/"

    def _serve(self) -> None:
        while not self.stopped.is_set():
            try:
                taken, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._drip, args=(taken,), daemon=True).start()

    def _drip(self, taken: socket.socket) -> None:
        with taken, suppress(OSError):
            taken.recv(65536)
            self.taken += 1
            for drip in self.drips:
                taken.sendall(drip)
            while self.drips and not self.stopped.wait(0.05):
                taken.sendall(b"x")
            self.stopped.wait(60)

    def close(self) -> None:
        self.stopped.set()
        self.server.close()


class Mailbox:
    """A mail server."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.attached: list[tuple[str, bytes]] = []
        self.most_bytes = 1 << 25
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.refuses = ""  # this address
        self.pause = 0.0  # seconds before the answer
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address == self.refuses:
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if len(envelope.content) > self.most_bytes:
            return "552 too large"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        for part in mail.iter_attachments():
            self.attached.append((str(part.get_filename()), bytes(part.get_payload(decode=True))))  # type: ignore[arg-type]
        text = mail.get_body(("plain", "html"))
        self.messages.append((str(mail["Subject"]), text.get_content() if text else ""))
        await asyncio.sleep(self.pause)
        return "250 OK"

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?mode=insecure&from=shop@example.com&to=owner@example.com&format=text&retry=0"

    def close(self) -> None:
        self.controller.stop()
