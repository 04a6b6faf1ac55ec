"""Sends one message to one address, within a time limit, and says what came of it."""

import logging
import re
import smtplib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import apprise
import requests
from apprise import NotifyBase
from apprise.attachment.file import AttachFile
from urllib3.exceptions import NewConnectionError

from sitniks_finmap.alerts.addresses import asset, service_of
from sitniks_finmap.alerts.recipients import Recipient

log = logging.getLogger(__name__)

WAIT, LONGEST_WAIT = 30.0, 60.0  # seconds for a connection and for an answer; with ?cto= and ?rto= in the URL at most
DEADLINE = 90.0  # seconds for a message in all: a service may drip bytes for ever

# Schemes of services that take a text and a file in one request.
BOTH_AT_ONCE = frozenset({"mailto", "mailtos", "json", "jsons", "xml", "xmls", "form", "forms"})


class Outcome(StrEnum):
    """What came of an attempt."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # there was an answer
    UNREACHED = "unreached"  # nothing was sent
    UNKNOWN = "unknown"  # it was sent, and may have arrived


@dataclass
class Traffic:
    """What went over the network for a message: apprise says only whether all of it was accepted."""

    accepted: int = 0
    refused: int = 0
    unanswered: int = 0
    unreached: int = 0


_traffic: ContextVar[Traffic | None] = ContextVar("traffic", default=None)


def deliver(recipient: Recipient, title: str, body: str, tone: str = "info", report: Path | None = None) -> Outcome:
    """Sends one message to one recipient now. Logs no URL, because it contains a token.

    A report goes along where one request carries both; if the service refuses them, the message goes without it.
    """
    report = report if _takes_both(recipient) else None
    return _in_time(recipient, lambda: _deliver(recipient, title, body, tone, report))


def deliver_report(recipient: Recipient, report: Path) -> None:
    """Sends a report once, after its message, where it could not go along. Nothing depends on it: it may not arrive."""
    service = service_of(recipient.address)
    if service and service.attachment_support and not _takes_both(recipient):
        _in_time(recipient, lambda: _notify(recipient, "", "", "info", report))


def _takes_both(recipient: Recipient) -> bool:
    """Whether one request carries a text and a file, so that both arrive or neither does. Others need several."""
    return recipient.address.written.partition("://")[0].lower() in BOTH_AT_ONCE


def _in_time(recipient: Recipient, send: Callable[[], Outcome]) -> Outcome:
    done: list[Outcome] = []
    sender = threading.Thread(target=lambda: done.append(send()), daemon=True)
    sender.start()
    sender.join(DEADLINE)
    if done:
        return done[0]
    log.error("a message to %s was not answered within %.0f seconds; it may have arrived", recipient.label, DEADLINE)
    return Outcome.UNKNOWN


def _deliver(recipient: Recipient, title: str, body: str, tone: str, report: Path | None) -> Outcome:
    outcome = _notify(recipient, title, body, tone, report)
    if report is None or outcome != Outcome.REFUSED:
        return outcome
    log.warning("%s did not take a report; the message goes without it", recipient.label)
    return _notify(recipient, title, body, tone, None)


def _notify(recipient: Recipient, title: str, body: str, tone: str, report: Path | None) -> Outcome:
    traffic = Traffic()
    _traffic.set(traffic)  # of this thread
    service = service_of(recipient.address)
    if service is None:
        log.error("%s holds no URL that apprise understands; check it with `apprise -vv`", recipient.label)
        return Outcome.UNREACHED
    _prepare(service, recipient.address.written)
    messenger = apprise.Apprise(asset=asset())
    messenger.add(service)
    try:
        attached = apprise.AppriseAttachment([AttachFile(str(report), mimetype="text/html")]) if report else None
        kind, form = apprise.NotifyType(tone), apprise.NotifyFormat.TEXT
        accepted = bool(messenger.notify(body, title, kind, form, attach=attached))
    except Exception as error:  # a plugin's bug must not stop the messages to others
        log.error("a message to %s failed: %s", recipient.label, type(error).__name__)
        accepted = False
    if accepted:
        return Outcome.ACCEPTED
    in_parts = len(title) + len(body) > service.body_maxlen
    return _reason(recipient, traffic, in_parts=in_parts)


def _prepare(service: NotifyBase, url: str) -> None:
    """Patient, but not for ever, and once only: apprise's own retry repeats what may have arrived."""
    service.retry = 0
    said = {name for name in ("cto", "rto") if re.search(f"[?&]{name}=", url, re.IGNORECASE)}
    service.socket_connect_timeout = min(service.socket_connect_timeout, LONGEST_WAIT) if "cto" in said else WAIT
    service.socket_read_timeout = min(service.socket_read_timeout, LONGEST_WAIT) if "rto" in said else WAIT
    if "overflow=" not in url:
        service.overflow_mode = apprise.OverflowMode.SPLIT  # a text that is too long becomes several messages


def _reason(recipient: Recipient, traffic: Traffic, *, in_parts: bool) -> Outcome:
    """What came of a message that apprise says was not accepted by all."""
    if traffic.accepted and recipient.address.targets > 1:
        log.error("a message to %s was accepted by some of its targets only; it is not repeated", recipient.label)
        return Outcome.ACCEPTED
    if traffic.unanswered or (traffic.accepted and in_parts):
        log.error("a message to %s was sent, but not answered as a whole; it may have arrived", recipient.label)
        return Outcome.UNKNOWN
    if traffic.unreached and not traffic.accepted and not traffic.refused:
        log.error("%s cannot be reached; the message is sent again", recipient.label)
        return Outcome.UNREACHED
    log.error("a message to %s was not accepted; it is tried again. Check the URL: `apprise -vv`", recipient.label)
    return Outcome.REFUSED


# -- apprise does not say whether a request went out. requests and smtplib know. -----------------------------------


def _request(self: requests.Session, request: Any, **options: Any) -> requests.Response:
    traffic = _traffic.get()
    if traffic is None:
        return _real_request(self, request, **options)
    try:
        reply = _real_request(self, request, **options)
    except BaseException as error:
        if _is_before(error):
            traffic.unreached += 1
        else:
            traffic.unanswered += 1
        raise
    if request.method != "GET":  # those look something up
        traffic.accepted += reply.ok
        traffic.refused += not reply.ok
    return reply


def _is_before(error: BaseException) -> bool:
    """Whether there was no connection, so that nothing was sent."""
    connect = requests.exceptions.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, connect | ValueError) or isinstance(reason, NewConnectionError)


def _connect(self: smtplib.SMTP, *arguments: Any, **options: Any) -> Any:
    try:
        return _real_connect(self, *arguments, **options)
    except OSError:
        if traffic := _traffic.get():
            traffic.unreached += 1
        raise


def _data(self: smtplib.SMTP, *arguments: Any, **options: Any) -> Any:
    traffic = _traffic.get() or Traffic()
    try:
        code, said = _real_data(self, *arguments, **options)
    except smtplib.SMTPDataError:
        traffic.refused += 1
        raise
    except OSError:
        traffic.unanswered += 1
        raise
    traffic.accepted += code == 250
    traffic.refused += code != 250
    return code, said


_real_request, _real_connect, _real_data = requests.Session.send, smtplib.SMTP.connect, smtplib.SMTP.data
requests.Session.send = _request
smtplib.SMTP.connect, smtplib.SMTP.data = _connect, _data
