"""A client of one shop's two APIs, as plain as `requests` allows, and a clock that a test moves."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import requests

from sitniks_finmap.sandbox import Sandbox, Shop


class Clock:
    """The sandbox's now: stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 10, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Client:
    sandbox: Sandbox
    shop: Shop
    session: requests.Session = field(default_factory=requests.Session)

    def sitniks(
        self, path: str, headers: dict[str, str] | None = None, timeout: float = 5, **query: Any
    ) -> requests.Response:
        key = {"Authorization": f"Bearer {self.shop.sitniks_key}"}
        url = self.sandbox.sitniks_url + path
        return self.session.get(url, params=query, headers={**key, **(headers or {})}, timeout=timeout)

    def page(self, path: str = "/transactions", **query: Any) -> tuple[list[Any], int]:
        """The ids of a page, and its count."""
        answer = self.sitniks(path, **query)
        assert answer.status_code == 200, answer.text
        return [row.get("id") for row in answer.json()["data"]], answer.json()["count"]

    def finmap(self, method: str, path: str, body: Any = None, timeout: float = 5, **query: Any) -> requests.Response:
        """`body` may be JSON text, to send what json.dumps would not write."""
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        headers = {"apiKey": self.shop.finmap_key}
        if text is not None:
            headers["Content-Type"] = "application/json"
        return self.session.request(
            method, self.sandbox.finmap_url + path, params=query, headers=headers, timeout=timeout,
            data=None if text is None else text.encode(),
        )  # fmt: skip

    @property
    def account(self) -> str:
        return self.shop.accounts[0]["id"]

    def income(self, external_id: str = "x:1", timeout: float = 5, **fields: Any) -> requests.Response:
        body = {"accountToId": self.account, "amount": 100, "externalId": external_id, **fields}
        return self.finmap("POST", "/operations/income", body, timeout)

    def expense(self, external_id: str = "x:2", **fields: Any) -> requests.Response:
        body = {"accountFromId": self.account, "amount": 50, "externalId": external_id, **fields}
        return self.finmap("POST", "/operations/expense", body)

    def details(self, external_id: str = "x:1") -> dict[str, Any] | None:
        answer = self.finmap("GET", "/operations/details", externalId=external_id)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)["list"][0]

    def listed(self, **filters: Any) -> list[str]:
        """The externalIds of the page that a filter gives."""
        answer = self.finmap("POST", "/operations/list", filters)
        assert answer.status_code == 200, answer.text
        return [row["externalId"] for row in answer.json()["list"]]
