"""The answers of the sandbox, and JSON that keeps money exact."""

import json
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from json.encoder import encode_basestring
from typing import Any, Literal

Api = Literal["sitniks", "finmap"]
BASES: dict[Api, str] = {"sitniks": "/open-api", "finmap": "/v2.2"}

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
HTML_PAGE = "<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"


@dataclass(slots=True)
class Answer:
    """One response; Content-Length is added when it is sent."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """The API refuses the call; `answer` is the error as NestJS, behind both APIs, formats it."""

    def __init__(self, status: int, message: str | list[str], headers: tuple[tuple[str, str], ...] = ()):
        super().__init__(status, message)
        body = {"statusCode": status, "message": message, "error": HTTPStatus(status).phrase}
        self.answer = Answer(status, dumps(body).encode(), headers=headers)


def dumps(value: Any) -> str:
    return ENCODER.encode(value)


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, json_text(value).encode())


def html_answer(status: int, title: str) -> Answer:
    return Answer(status, HTML_PAGE.format(title=title).encode(), HTML_TYPE)


def json_text(value: Any) -> str:
    """JSON in which a Decimal is an exact number; the json module would need a float."""
    try:
        return dumps(value)
    except TypeError:
        return exact_text(value)


def exact_text(value: Any) -> str:
    """Like json_text, but faster if Decimals are expected."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        pairs = (f"{encode_basestring(str(key))}: {exact_text(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(exact_text, value)) + "]"
    return dumps(value)


def parse_json(text: str | bytes) -> Any:
    """JSON with numbers as int or Decimal. Raises ValueError for anything else, NaN and Infinity included."""
    try:
        return DECODER.decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# created once: json.dumps and json.loads would create new ones on every call
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
