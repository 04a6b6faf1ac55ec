"""The command about the hosts of one Dagster."""

import click
from rich.markup import escape

from sitniks_finmap.alerts.hosts import LOST
from sitniks_finmap.cli.terminal import out
from sitniks_finmap.days import utc_now
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.settings.hosts import name_here


@click.command()
@click.option("--forget", metavar="NAME", help="Forget a host that is gone for good: its shops may run elsewhere.")
def hosts(forget: str | None) -> None:
    """List the hosts that share one Dagster, with their shops.

    Each has a code server of its own: docs/hosts.md. A host that was shut down for good keeps its shops until it is
    forgotten. One that still runs announces itself again within a minute.

    Example: sitniks-finmap hosts --forget host_2
    """
    from sitniks_finmap.defs.hosts import forget as forget_host
    from sitniks_finmap.defs.hosts import known_hosts
    from sitniks_finmap.defs.launch import instance

    words = terminal_language()
    with instance() as dagster:
        if forget and not forget_host(dagster, forget):
            known = ", ".join(one.name for one in known_hosts(dagster)) or "none"
            raise ConfigurationError(f"there is no host {forget}; known hosts: {known}")
        found = known_hosts(dagster)
    if forget:
        out.print(f"{MARKS['ok']} {escape(words.text('{host}: forgotten', host=forget))}")
    for host in found:
        silent = utc_now() - host.seen > LOST
        moment = f"{host.seen.astimezone():%Y-%m-%d %H:%M}"
        shops = ", ".join(sorted(host.shops)) or "–"
        said = words.text("{host}: {shops}; last sign of life {moment}", host=host.name, shops=shops, moment=moment)
        here = f" ({words.text('this host')})" if host.name == name_here() else ""
        out.print(f"{MARKS['error' if silent else 'ok']} {escape(said)}{here}")
    if not found:
        out.print(words.text("no host has announced itself: the sensor alerts does so every minute"))
