"""What the hosts of one Dagster tell each other, through Dagster's own database."""

from dataclasses import replace
from datetime import datetime

import dagster as dg
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.runs.schema import KeyValueStoreTable
from sqlalchemy import delete, select

from sitniks_finmap.alerts.hosts import Hosts
from sitniks_finmap.days import utc_now
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.hosts import (
    Host,
    host_of,
    installation_here,
    name_here,
    note_name,
    refuse_second_host,
    this_host,
)
from sitniks_finmap.settings.last_good import load_running

PREFIX = "sitniks_finmap/host/"


def announce(instance: dg.DagsterInstance, name: str, now: datetime | None = None) -> None:
    """Tells the other hosts that this one lives, under the name of its code location, and which shops it has."""
    if (before := name_here()) != name:
        if before and (old := _known(instance).get(before)) and old.installation == installation_here():
            forget(instance, before)  # the location was renamed in workspace.yaml
        note_name(name)
    host = this_host(name, load_running().connections, now or utc_now())
    instance.run_storage.set_cursor_values({PREFIX + name: host.to_text()})


def known_hosts(instance: dg.DagsterInstance) -> list[Host]:
    """Every host that has ever announced itself and was not forgotten."""
    return [*_known(instance).values()]


def other_hosts(instance: dg.DagsterInstance) -> list[Host]:
    """The other hosts. Before Dagster has told this one its name, those of another installation."""
    here, installation = name_here(), installation_here()
    return [
        one
        for one in known_hosts(instance)
        if (one.name != here if here else not installation or one.installation != installation)
    ]


def hosts_of(instance: dg.DagsterInstance) -> Hosts | None:
    """This host and the others; None before Dagster has told this one its name."""
    here = name_here()
    return Hosts(here, other_hosts(instance)) if here else None


def renew(instance: dg.DagsterInstance, now: datetime) -> None:
    """Tells the others that this host lives, without its keys: those who look from outside of Dagster may lack them."""
    known = _known(instance).get(name_here() or "")
    if known and known.installation == installation_here():
        instance.run_storage.set_cursor_values({PREFIX + known.name: replace(known, seen=now).to_text()})


def refuse_on_two_hosts(instance: dg.DagsterInstance, run: dg.DagsterRun | None, connection: Connection) -> None:
    """Announces this host and refuses a run of a shop that another host has. Of two that begin at one moment, at least
    one finds the other. Raises OnTwoHosts.
    """
    origin = run.remote_job_origin.repository_origin.code_location_origin if run and run.remote_job_origin else None
    # A command only repeats the name that Dagster has told this host.
    if name := origin.location_name if isinstance(origin, GrpcServerCodeLocationOrigin) else name_here():
        announce(instance, name)
    refuse_second_host(connection, name_here(), other_hosts(instance))


def forget(instance: dg.DagsterInstance, name: str) -> bool:
    """Forgets a host that is gone: what it had may be on another one. Whether it was known."""
    if name not in _known(instance) or not isinstance(storage := instance.run_storage, SqlRunStorage):
        return False
    with storage.connect() as con:
        con.execute(delete(KeyValueStoreTable).where(KeyValueStoreTable.c.key == PREFIX + name))
    return True


def _known(instance: dg.DagsterInstance) -> dict[str, Host]:
    if not isinstance(storage := instance.run_storage, SqlRunStorage):
        return {}
    table = KeyValueStoreTable.c
    with storage.connect() as con:
        rows = con.execute(select(table.key, table.value).where(table.key.startswith(PREFIX, autoescape=True)))
        found = [(str(key).removeprefix(PREFIX), host_of(value)) for key, value in rows.fetchall()]
    return {name: host for name, host in sorted(found) if host}
