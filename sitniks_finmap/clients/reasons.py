"""Turns a vendor's refusal into a reason that is safe to show, without customer data it may quote; also explains why
no response came.
"""

import html
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from sitniks_finmap.clients.answers import Reply

LONGEST = 300
FIELDS = ("message", "error", "errors", "detail", "details", "error_description", "description", "reason", "title")
# A reason that `said`, `refusal_of` or the HTTP client quotes, after the status.
QUOTED = re.compile(r'((?:answered \d{3}|refused (?:the key|access) \(\d{3}\))[^"]*?): "[^"]*"')
PHRASES = {status.phrase.casefold() for status in HTTPStatus}

# Email addresses, nicknames, phones and long numbers; dates look like phones but are kept.
DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?|\d\d\.\d\d\.\d{4}(?: \d\d:\d\d(?::\d\d)?)?"
PERSONAL = re.compile(rf"(?P<date>{DATE})|\S+@\S+|@\S+|\+?\d[\d ()-]{{7,}}\d|\d{{6,}}")
# Words that may be capitalized without being a name: about access, payment and HTTP.
ORDINARY = re.compile(
    "subscri|expir|trial|period|ended|plan|tarif|payment|paid|billing|licen[cs]e|renew|your|key|token|invalid|wrong|"
    "missing|access|denied|right|permission|account|company|user|limit|exceed|block|suspend|inactive|disable|revok|"
    "contact|support|please|sitniks|finmap|maintenance|technical|api|open|"
    "підписк|тариф|оплат|ключ|доступ|термін|закінч|заборон|прав|компан|акаунт|обліков|користувач|ваш|ліміт|пробн|"
    + "|".join(sorted({word for phrase in PHRASES for word in re.findall(r"[a-z]{3,}", phrase)}))
)
SUBSCRIPTION = re.compile(
    r"subscri|tarif|\bplan\b|trial|\bpaid\b|payment|billing|licen[cs]e|підписк|тариф|оплат|пробн|ліценз|подписк|лиценз"
)
EXPIRED = re.compile(r"expir|закінчи|минув|прострочен|истек|истёк")
KEY = re.compile(r"\bkey\b|token|jwt|ключ|токен")


def message_of(body: Any) -> str:
    """Extract the message of an error body as one short line; it may quote the record."""
    return " ".join(_said(body).split())[:LONGEST]


def _said(body: Any) -> str:
    match body:
        case str():
            return body
        case list():
            return "; ".join(filter(None, map(_said, body)))
        case dict():
            return next(filter(None, (_said(body.get(field)) for field in FIELDS)), "")
    return ""


def reason_of(text: str, sent: bytes | str | None = None) -> str:
    """Extract the message of a refusal (JSON, a web page or plain text) as one line that is safe to show anywhere.

    Words quoted from the request `sent` and possible names, phones or addresses are removed. Empty if nothing is left,
    or only the name of the HTTP status.
    """
    try:
        said = message_of(json.loads(text))
    except (ValueError, RecursionError):
        title = re.search(r"<title[^>]*>(.*?)</title>", text[:10_000], re.IGNORECASE | re.DOTALL)
        plain = "" if "<" in text or len(text) > LONGEST else text
        said = " ".join(html.unescape(title[1] if title else plain).split())[:LONGEST]
    said = without_names(without_echo(said, _words_of(sent))).replace('"', "'")  # it is put between quotation marks
    if said.replace("_", " ").strip(" .!").casefold() in PHRASES or not re.search(r"\w{2}", said):
        return ""
    return said


def said(title: str, reply: Reply, what: str, sent: bytes | None = None) -> str:
    """Describe an unexpected response, with its reason: "Finmap answered 410 to /accounts: "…""."""
    reason = reason_of(reply.text, sent)
    return f"{title} answered {reply.status} {what}" + (f': "{reason}"' if reason else "")


def without_quotes(error: str) -> str:
    """An error of ours without what it quotes from a vendor: for messages, since no filter recognizes every name."""
    return QUOTED.sub(r"\1", re.sub(r"; the fields are .*", "", error, flags=re.DOTALL))


def without_echo(said: str, told: str) -> str:
    """Remove the words quoted from a record from a vendor's message about it."""
    words = {word.casefold() for word in re.findall(r"\w+", told)}

    def hidden(match: re.Match[str]) -> str:
        word = match[0].casefold()
        quoted = word in words or (len(word) > 2 and any(one.startswith(word) for one in words))  # or cut off
        return "…" if quoted else match[0]

    return re.sub(r"…(\W*…)+", "…", re.sub(r"\w+", hidden, said))


def without_names(said: str) -> str:
    """Remove whatever may name a person, so that no customer is disclosed."""
    said = PERSONAL.sub(lambda match: match["date"] or "…", said)
    said = "".join(_sentence(one) for one in re.split(r"(?<=[.!?;])(?=\s)", said))
    return re.sub(r"…(\W*…)+", "…", said)


def _sentence(said: str) -> str:
    """Mask capitalized words, except ordinary ones and the first of a sentence that continues in lower case."""
    words = re.findall(r"\w+", said)
    begins_one = any(word[0].islower() for word in words[1:])

    def hidden(match: re.Match[str]) -> str:
        word = match[0]
        abbreviation = len(word) <= 4 and word.isupper()
        first = begins_one and word == words[0] and not said[: match.start()].strip(" \"'«“")
        kept = not word[0].isupper() or abbreviation or first or ORDINARY.match(word.casefold())
        return word if kept else "…"

    return re.sub(r"\w+", hidden, said)


def refusal_of(title: str, status: int, reason: str, place: str = ".env") -> str:
    """Explain a 401, 402 or 403 and the remedy: the subscription, an expired key, missing rights or a wrong key.

    `place` is where the key belongs.
    """
    quoted = f': "{reason}"' if reason else ""
    low = reason.casefold()
    about_key = KEY.search(low)
    if status == 402 or (SUBSCRIPTION.search(low) and not about_key) or (
        status == 403 and EXPIRED.search(low) and not about_key
    ):  # fmt: skip
        return (
            f"{title} refused access ({status}){quoted}; pay for or renew the {title} subscription. "
            "The key itself is not the problem; syncs resume automatically afterwards"
        )
    if EXPIRED.search(low):
        return f"{title} refused the key ({status}){quoted}; it has expired: create a new one and put it into {place}"
    if status == 403:
        return (
            f"{title} refused the key ({status}){quoted}; give it the missing rights, or create a new one "
            f"and put it into {place}"
        )
    return f"{title} refused the key ({status}){quoted}; put the correct {title} key, or a new one, into {place}"


def _words_of(sent: bytes | str | None) -> str:
    """The string values in a request's JSON body, without the field names."""
    try:
        values = json.loads(sent or "null")
    except ValueError:
        return ""
    return " ".join(one for one in values.values() if isinstance(one, str)) if isinstance(values, dict) else ""


# -- No response --


def why_no_answer(error: BaseException) -> str:
    """Explain in our own words why no response came; the error's text may contain received data."""
    seen = list(_causes(error))
    kinds = {type(one).__name__ for one in seen}
    for kind, words in NO_ANSWER.items():
        if kind in kinds:
            return words
    return "the connection broke off"


def never_connected(error: BaseException) -> bool:
    """Whether no connection was established, so that nothing was sent."""
    return not NO_CONNECTION.isdisjoint(type(one).__name__ for one in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and the errors that requests and urllib3 wrapped in it."""
    left: list[Any] = [error]
    seen: list[BaseException] = []
    while left:
        one = left.pop()
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            left += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    yield from seen


NO_CONNECTION = {
    "NameResolutionError", "ProxyError", "SSLError", "ConnectTimeout", "ConnectionRefusedError", "NewConnectionError"
}  # fmt: skip
NO_ANSWER = {
    "NameResolutionError": "the name cannot be resolved; is this machine online?",
    "ProxyError": "the proxy did not let the request through",
    "SSLError": "its TLS certificate is not trusted, or TLS failed",
    "ConnectTimeout": "no connection in time",
    "ConnectionRefusedError": "the connection was refused",
    "NewConnectionError": "it cannot be reached",
    "ReadTimeout": "no answer in time",
    "TimeoutError": "no answer in time",
    "InvalidHeader": "the key cannot be sent as a header",
    "ValueError": "the request cannot be sent",
}
