"""A Finmap that alters what it stores, in ways that careless servers are known for."""

import html
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Body = dict[str, Any]


def _comment(change: Callable[[str], str]) -> Callable[[Body], Body]:
    return lambda body: body | {"comment": change(body["comment"])} if body.get("comment") else body


def _date(unit: int) -> Callable[[Body], Body]:
    return lambda body: body | {"date": int(body["date"]) // unit * unit} if "date" in body else body


def _whole(body: Body) -> Body:
    if "amount" not in body:
        return body
    return body | {"amount": Decimal(body["amount"]).quantize(Decimal(1), ROUND_HALF_UP)}


def _lower_case(body: Body) -> Body:
    return body | {"externalId": body["externalId"].lower()} if "externalId" in body else body


SPELLINGS: dict[str, Callable[[Body], Body]] = {
    "escapes HTML": _comment(lambda text: html.escape(text)),
    "drops emoji": _comment(lambda text: re.sub(r"[^\u0000-\uffff]", "", text)),
    "cuts": _comment(lambda text: text[:30]),
    "trims": _comment(lambda text: " ".join(text.split()).rstrip(".!")),
    "appends": _comment(lambda text: f"{text} [API]"),
    "whole hryvnias": _whole,
    "seconds": _date(1000),
    "days": _date(86_400_000),
    "lower case": _lower_case,
}
