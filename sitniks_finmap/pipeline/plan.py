"""The vocabulary of the plan (sql/plan.sql): what to do about a transaction, and whether a run may do it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import duckdb


class Action(StrEnum):
    """What to do about an operation in Finmap."""

    CREATE = "create"
    RECREATE = "recreate"  # create it again after it was removed
    VERIFY = "verify"  # check it: its state is unknown
    UPDATE = "update"
    REPLACE = "replace"  # delete it and create the next generation: an income cannot become an expense
    WITHDRAW = "withdraw"  # delete it: Sitniks no longer has the transaction
    ROLLBACK = "rollback"  # delete it because a person undoes a delivery


CREATIONS = (Action.CREATE, Action.RECREATE)
DELETIONS = (Action.WITHDRAW, Action.REPLACE, Action.ROLLBACK)


class Standing(StrEnum):
    """Whether a planned action is carried out."""

    GO = "go"  # by a run, once it is due
    WAITING = "waiting"  # by a run, once something else has happened
    PENDING = "pending"  # a person decides
    KEPT = "kept"  # no: a setting or a person said so


@contextmanager
def planned(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Provide the plan as the temporary table `planned`; on small data, binding the view takes 0.1 s of CPU."""
    con.execute("create or replace temp table planned as from plan")
    yield
    con.execute("drop table planned")
