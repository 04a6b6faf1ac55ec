"""Sends what is in the outbox, apart from everything else: `python -m sitniks_finmap.alerts.sending`.

Each message is claimed before it is sent. If a sender is killed in between, the next one finds that its process is gone
and sends the message again; otherwise it is sent exactly once, however many send at the same time.
"""

import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta

import apprise

from sitniks_finmap.alerts.conditions import DEPLOYMENT
from sitniks_finmap.alerts.leases import Lease, is_held, new_lease
from sitniks_finmap.alerts.pings import DEPLOYMENT as DEPLOYMENT_URL
from sitniks_finmap.alerts.pings import ping
from sitniks_finmap.alerts.recipients import Recipient, recipient_of
from sitniks_finmap.alerts.state import Memory, Message, StateUnusable, memory
from sitniks_finmap.days import Clock, utc_now
from sitniks_finmap.settings_files import Unreadable, load_env

log = logging.getLogger(__name__)
logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs invalid URLs with their tokens

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
DROPPED_AFTER = timedelta(days=7)  # how long a message waits for a recipient that is not in the environment
KEPT = timedelta(days=30)  # how long sent messages are kept
PING_EVERY = timedelta(minutes=5)
RETRIES, WAIT = 2, 1.0  # of apprise within one attempt, unless a URL says otherwise (?retry=3&wait=2)


def send_all(now: Clock = utc_now) -> int:
    """Sends every message that is due, each recipient's in order; returns how many were sent. Raises StateUnusable."""
    sent = 0
    tried: set[str] = set()
    while claimed := _claim(now, tried):
        message, lease = claimed
        try:
            sent += _send(message, now, tried)
        finally:
            lease.release()
    with memory() as kept:
        kept.forget_sent(now() - KEPT)
    return sent


def _send(message: Message, now: Clock, tried: set[str]) -> bool:
    """Tries to send a message, and remembers what came of it."""
    recipient = recipient_of(message.recipient)
    accepted = False
    if recipient.url is None:  # .env may be unreadable for now
        done = now() - message.created_at >= DROPPED_AFTER
        log.warning("%s is not set: a message to it is %s", message.recipient, "dropped" if done else "kept")
    else:
        done = accepted = deliver(recipient, message.title, message.body)
    with memory() as kept:
        if done:
            kept.sent(message, now())
        else:
            kept.failed(message, now() + pause_after(message.attempts))
            tried.add(message.recipient)  # not again in this pass, and nothing later before it
    return accepted


def pause_after(attempts: int) -> timedelta:
    return min(FIRST_PAUSE * 2 ** min(attempts, 16), LONGEST_PAUSE)


def _claim(clock: Clock, without: set[str]) -> tuple[Message, Lease] | None:
    """The next message that is due and that no other sender has, now ours. A clock that was set back holds nothing up.

    The clock is asked inside of the transaction: the wait for it may be long.
    """
    with memory() as kept:
        now = clock()
        for message, due_at, lease in kept.unsent():
            early = now < due_at <= now + LONGEST_PAUSE and message.attempts > 0
            if message.recipient not in without and not early and not is_held(lease, now):
                ours = new_lease(now)
                kept.lease(message, ours)
                return message, ours
    return None


def is_due(kept: Memory, now: datetime) -> bool:
    """Whether there is anything to send now, HEARTBEAT_URL included."""
    last = kept.moment("pinged")
    if os.environ.get(DEPLOYMENT_URL) and not (last and timedelta() <= now - last < PING_EVERY):
        return True
    return any(
        not is_held(lease, now) and not (message.attempts and now < due <= now + LONGEST_PAUSE)
        for message, due, lease in kept.unsent()
    )


def deliver(recipient: Recipient, title: str, body: str) -> bool:
    """Sends one message to one URL now; whether it was accepted. Logs no URL, because it contains a token."""
    asset = apprise.AppriseAsset(async_mode=False, default_service_retry=RETRIES, default_service_wait=WAIT)
    messenger = apprise.Apprise(asset=asset)
    url = recipient.url
    if url is None or not messenger.add(url):
        log.error("%s holds no URL that apprise understands; check it with `apprise -vv`", recipient.name)
        return False
    for service in messenger:
        if "overflow=" not in url:
            service.overflow_mode = apprise.OverflowMode.SPLIT  # a text that is too long becomes several messages
    try:
        accepted = bool(messenger.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT))
    except Exception as error:  # a plugin's bug must not stop the messages to others
        log.error("a message to %s failed: %s", recipient.name, type(error).__name__)
        return False
    if not accepted:
        log.error("a message to %s was not accepted; it is tried again. Check the URL: `apprise -vv`", recipient.name)
    return accepted


def send_apart() -> None:
    """Starts a process that sends, and does not wait for it: a sensor that waited would delay every sync."""
    subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", __name__],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def ping_deployment(now: Clock = utc_now) -> None:
    """Calls HEARTBEAT_URL, if the daemon has looked and nobody has called it for a while: fail if the deployment itself
    has a problem.
    """
    if not os.environ.get(DEPLOYMENT_URL):
        return
    with memory() as kept:
        last, moment = kept.moment("pinged"), now()
        if last and timedelta() <= moment - last < PING_EVERY:
            return
        kept.set_note("pinged", moment.isoformat())
        states = [(scope, state) for (scope, _), state in kept.states().items() if state.is_open]
    own = sum(scope == DEPLOYMENT for scope, _ in states)
    ping(DEPLOYMENT_URL, "fail" if own else "success", f"open conditions {len(states)}, of the deployment {own}")


def main() -> None:
    """What the daemon's sensor starts: everything that waits for the network."""
    try:
        load_env()
    except Unreadable as error:
        log.error("%s", error)
    try:
        ping_deployment()
        send_all()
    except StateUnusable as error:
        log.error("%s", error)


if __name__ == "__main__":
    main()
