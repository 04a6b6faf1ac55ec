"""Hosts that are silent, and which of those that live tells about what concerns all of them."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sitniks_finmap.alerts.conditions import DEPLOYMENT, Fact
from sitniks_finmap.alerts.state import Memory
from sitniks_finmap.settings.hosts import Host

# The sensor `alerts` announces a host every minute, `watch` every five; and each again after the daemon was away.
LOST = timedelta(minutes=10)
OF_ONE_HOST = ("disk", "file", "env", "location", "notifying")


@dataclass(frozen=True)
class Hosts:
    """This host's name, and what the others last said of themselves."""

    here: str
    others: list[Host]

    def tells(self, now: datetime) -> bool:
        """Whether this host tells about what concerns all: of those that live, the first by name does."""
        return all(self.here < one.name for one in self.others if now - one.seen <= LOST)


def with_hosts(facts: dict[str, Fact], hosts: Hosts | None, kept: Memory, now: datetime) -> dict[str, Fact]:
    """The facts of the deployment as this host tells them: one host about all, each about itself, by name."""
    if hosts is None or not hosts.others:
        return facts
    told = {condition for (scope, condition), state in kept.states().items() if scope == DEPLOYMENT and state.is_open}
    lost = {f"host {one.name}": _lost(one) for one in hosts.others if now - one.seen > LOST}
    found: dict[str, Fact] = {}
    for condition, fact in {**facts, **lost}.items():
        if condition in OF_ONE_HOST:
            found[condition] = replace(fact, values={**fact.values, "on": hosts.here})
        elif hosts.tells(now) or condition in told:  # who told the beginning tells the end
            found[condition] = fact
    return found


def unknown_hosts(hosts: Hosts | None, kept: Memory) -> frozenset[str]:
    """What cannot be known of other hosts while Dagster's database cannot be read."""
    about = {condition for scope, condition in kept.states() if scope == DEPLOYMENT and condition.startswith("host ")}
    return frozenset(about) if hosts is None else frozenset()


def _lost(host: Host) -> Fact:
    return Fact(values={"host": host.name, "shops": ", ".join(sorted(host.shops))})
