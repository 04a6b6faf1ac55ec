"""Sends what is in the outbox, apart from everything else: `python -m sitniks_finmap.alerts.sending`.

Each message is claimed before it is sent. If a sender is killed in between, the next one finds that its process is gone
and sends the message again; otherwise it is sent exactly once, however many send at the same time.
"""

import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sitniks_finmap.alerts.attachments import report_for
from sitniks_finmap.alerts.conditions import DEPLOYMENT
from sitniks_finmap.alerts.delivery import DEADLINE, Outcome, deliver, deliver_report
from sitniks_finmap.alerts.leases import Lease, is_held, new_lease
from sitniks_finmap.alerts.outbox import Message
from sitniks_finmap.alerts.pings import DEPLOYMENT as DEPLOYMENT_URL
from sitniks_finmap.alerts.pings import ping
from sitniks_finmap.alerts.recipients import readdress, recipient_of, recipients_in
from sitniks_finmap.alerts.state import Memory, StateUnusable, memory
from sitniks_finmap.days import Clock, utc_now
from sitniks_finmap.settings.text_files import Unreadable, load_env

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
# After an attempt whose outcome is unknown, because the message may have arrived; then it is given up.
UNKNOWN_PAUSES = (timedelta(minutes=5), timedelta(minutes=20), timedelta(hours=1))
# A message that was refused so often, or for so long, lets later ones to the same recipient pass.
BLOCKS_TIMES, BLOCKS_FOR = 5, timedelta(hours=1)
DROPPED_AFTER = timedelta(days=7)  # how long a message waits for a recipient
KEPT = timedelta(days=30)  # how long sent messages are kept
PING_EVERY = timedelta(minutes=5)
MESSAGES = "messages"  # the argument for the watcher, which does not speak for the daemon
PASS = 180.0  # seconds after which the rest is left to the next pass


@dataclass
class Pass:
    """What one pass has tried in vain, and does not try again."""

    messages: set[int] = field(default_factory=set)
    recipients: set[str] = field(default_factory=set)  # nobody of theirs is to be overtaken


def send_all(now: Clock = utc_now) -> int:
    """Sends every message that is due, each recipient's in order; returns how many were sent. Raises StateUnusable."""
    sent, tried, end = 0, Pass(), time.monotonic() + PASS
    with memory() as kept:
        variables = {label.partition(" ")[0] for label, _ in kept.recipients()}
    for variable in variables:
        recipients_in(variable)  # takes a second the first time: not inside of the transaction
    with memory() as kept:
        readdress(kept)
    while time.monotonic() < end and (claimed := _claim(now, tried)):
        message, lease = claimed
        try:
            sent += _send(message, now, tried)
        finally:
            lease.release()
    with memory() as kept:
        kept.forget_sent(now() - KEPT)
    return sent


def _send(message: Message, now: Clock, tried: Pass) -> bool:
    """Tries to send a message, and remembers what came of it."""
    recipient = recipient_of(message.recipient, message.address)
    if recipient is None:  # .env may be unreadable for now
        log.warning("%s is not set: a message to it waits", message.recipient)
    report = report_for(recipient, message.report_of) if recipient and message.report_of else None
    # A service that hangs up may do so because of the report.
    along = None if message.unknowns else report
    outcome = deliver(recipient, message.title, message.body, message.tone, along) if recipient else Outcome.UNREACHED
    with memory() as kept:
        _note(kept, message, outcome, now(), tried)
    if outcome == Outcome.ACCEPTED and recipient and report:
        deliver_report(recipient, report)  # where it did not go along; the message is sent, whatever comes of this
    return outcome == Outcome.ACCEPTED


def _note(kept: Memory, message: Message, outcome: Outcome, now: datetime, tried: Pass) -> None:
    """Remembers what came of an attempt."""
    unknowns = message.unknowns + (outcome == Outcome.UNKNOWN)
    if outcome == Outcome.ACCEPTED:
        kept.sent(message, now)
        kept.hurry(message, Outcome.REFUSED, tried.messages, now)  # the service takes messages again
        return
    if unknowns > len(UNKNOWN_PAUSES) or message.age(now) >= DROPPED_AFTER:
        why = "may have arrived several times" if unknowns > len(UNKNOWN_PAUSES) else "was not accepted in a week"
        log.error("a message to %s is dropped: it %s", message.recipient, why)
        kept.sent(message, now)
        return
    pause = UNKNOWN_PAUSES[unknowns - 1] if outcome == Outcome.UNKNOWN else pause_after(message.attempts)
    kept.failed(message, outcome, unknowns, now + pause)
    tried.messages.add(message.id)
    if outcome != Outcome.REFUSED or not gives_way(message, now):
        tried.recipients.add(message.to)


def pause_after(attempts: int) -> timedelta:
    return min(FIRST_PAUSE * 2 ** min(attempts, 16), LONGEST_PAUSE)


def gives_way(message: Message, now: datetime) -> bool:
    """Whether later messages to the same recipient may pass it; if that cannot be reached, none would arrive."""
    if message.outcome in ("", Outcome.UNREACHED):
        return False
    return message.attempts >= BLOCKS_TIMES or message.age(now) >= BLOCKS_FOR


def _claim(clock: Clock, tried: Pass) -> tuple[Message, Lease] | None:
    """The next message that is due and that no other sender has, now ours.

    The clock is asked inside of the transaction: the wait for it may be long.
    """
    with memory() as kept:
        now = clock()
        for message in _turns(kept, now, tried):
            lease = new_lease(now)
            kept.lease(message, lease)
            return message, lease
    return None


def _turns(kept: Memory, now: datetime, tried: Pass) -> list[Message]:
    """The next message to each recipient that is due."""
    waiting = [messages for to, messages in kept.unsent().items() if to not in tried.recipients]
    turns = [_turn(messages, now, tried) for messages in waiting]
    return sorted((one for one in turns if one), key=lambda one: one.id)


def _turn(waiting: list[Message], now: datetime, tried: Pass) -> Message | None:
    """The next message to one recipient, if one is due and nobody is sending any.

    Those that give way come up to the first that does not. Before a later message passes the first, that is tried once
    more, so that the order is kept if the service was only down.
    """
    ways = [gives_way(message, now) for message in waiting]
    ahead = waiting[: ways.index(False) + 1 if False in ways else len(ways)]
    if any(is_held(message.lease, now) for message in ahead):
        return None
    left = [message for message in ahead if message.id not in tried.messages]
    due = [message for message in left if _is_due(message, now)]
    if due and left[0] is waiting[0] and left[0].outcome == Outcome.REFUSED:
        return left[0]
    return due[0] if due else None


def _is_due(message: Message, now: datetime) -> bool:
    """A clock that was set back holds nothing up."""
    return not (message.attempts and now < message.next_at <= now + LONGEST_PAUSE)


def is_due(kept: Memory, now: datetime) -> bool:
    """Whether there is anything to send now, HEARTBEAT_URL included."""
    last = kept.moment("pinged")
    if os.environ.get(DEPLOYMENT_URL) and not (last and timedelta() <= now - last < PING_EVERY):
        return True
    return bool(_turns(kept, now, Pass()))


def send_apart(*arguments: str) -> subprocess.Popen[bytes]:
    """Starts a process that sends, and does not wait for it: a sensor that waited would delay every sync.

    It logs to our standard error, where the daemon logs.
    """
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", __name__, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def send_in_time(seconds: float = PASS + 2 * DEADLINE + 20) -> None:
    """Sends in a process that ends, so that services that hang do not pile up in one that goes on."""
    sender = send_apart(MESSAGES)
    try:
        sender.wait(seconds)
    except subprocess.TimeoutExpired:
        log.error("sending took longer than %.0f seconds; it goes on the next time", seconds)
    finally:
        if sender.poll() is None:
            sender.kill()
            sender.wait()


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
        states = [key for key, state in kept.states().items() if state.is_open]
    # An outage is one of Sitniks or Finmap; an invalid table is a problem of the file.
    own = sum(
        condition == "invalid" or (scope == DEPLOYMENT and not condition.startswith("outage"))
        for scope, condition in states
    )
    ping(DEPLOYMENT_URL, "fail" if own else "success", f"open conditions {len(states)}, of the deployment {own}")


def main(*arguments: str) -> None:
    """What the daemon's sensor starts: everything that waits for the network; or the messages only."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    try:
        load_env()
    except Unreadable as error:
        log.error("%s", error)
    try:
        if MESSAGES not in arguments:
            ping_deployment()
        send_all()
    except StateUnusable as error:
        log.error("%s", error)


if __name__ == "__main__":
    main(*sys.argv[1:])
