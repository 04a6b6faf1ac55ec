"""The words of the plan (sql/plan.sql): what is to be done about a transaction, and whether a run may do it."""

from enum import StrEnum


class Action(StrEnum):
    """What is to be done about an operation in Finmap."""

    CREATE = "create"
    RECREATE = "recreate"  # again, after it was taken out
    VERIFY = "verify"  # look at it: what became of it is not known
    UPDATE = "update"
    REPLACE = "replace"  # delete it and create the next generation: an income cannot be made an expense
    WITHDRAW = "withdraw"  # delete it: Sitniks has no such transaction any more
    ROLLBACK = "rollback"  # delete it because a person takes back what was delivered


CREATIONS = (Action.CREATE, Action.RECREATE)
DELETIONS = (Action.WITHDRAW, Action.REPLACE, Action.ROLLBACK)


class Standing(StrEnum):
    """Whether a planned action is carried out."""

    GO = "go"  # by a run, once it is due
    PENDING = "pending"  # a person decides
    KEPT = "kept"  # no: the connection or a person said so
