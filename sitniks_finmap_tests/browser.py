"""Chromium without a window, driven over its DevTools protocol: what a page looks like to those who open it."""

import json
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip
PATIENCE = 60.0  # seconds for a start on a busy machine


def chromium() -> str | None:
    """The path of a Chromium on this machine."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page. `errors` are what its console and its policies said, `requests` the addresses that it asked for."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.number = 0
        self.session: str | None = None
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.events: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Sends a command and returns its result. Raises AssertionError if Chromium refuses it."""
        self.number += 1
        session = {"sessionId": self.session} if self.session else {}
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": values, **session}))
        while True:
            told = json.loads(self.socket.recv(PATIENCE))
            if told.get("id") == self.number:
                assert "error" not in told, (method, told)
                return told["result"]
            self._heard(told)

    def open(self, path: Path, width: int = 1280, height: int = 900, theme: str = "light") -> None:
        """Loads a file, as on a screen of this size in this theme."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.events.clear()
        self.call("Page.navigate", url=path.absolute().as_uri())
        while "Page.loadEventFired" not in self.events:
            self._heard(json.loads(self.socket.recv(PATIENCE)))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression. Raises AssertionError if it throws."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses a key of the keyboard, such as Tab or Enter."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )  # fmt: skip

    def pdf(self) -> bytes:
        """The page as it is printed, on the paper that it asks for."""
        return b64decode(self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])

    def screenshot(self) -> bytes:
        """A PNG of the whole page."""
        return b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def _heard(self, told: dict[str, Any]) -> None:
        method, values = told.get("method", ""), told.get("params", {})
        self.events.append(method)
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(values["exceptionDetails"]))
        elif (method == "Log.entryAdded" and values["entry"]["level"] == "error") or (
            method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning")
        ):
            self.errors.append(json.dumps(values, ensure_ascii=False))
        elif method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A page of a browser whose profile is in this folder; nothing of it is left running."""
    program = chromium()
    assert program
    started = subprocess.Popen(  # noqa: S603
        [program, *FLAGS, f"--user-data-dir={folder}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with connect(_address(folder), max_size=None, open_timeout=PATIENCE) as socket:
            page = Page(socket)
            yield page
            page.session = None
            page.call("Browser.close")
    finally:
        with suppress(subprocess.TimeoutExpired):
            started.wait(10)
        started.kill()
        started.wait()


def _address(folder: Path) -> str:
    """Where it listens, which it writes into a file."""
    file, deadline = folder / "DevToolsActivePort", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError, ValueError):
            port, path = file.read_text("utf-8").split()
            return f"ws://127.0.0.1:{port}{path}"
        time.sleep(0.05)
    raise AssertionError("Chromium did not start")
