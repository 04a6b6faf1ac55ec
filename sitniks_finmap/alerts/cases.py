"""Texts of conditions that have several cases, each with its own remedy; and what differs if many shops are concerned.

{side} is Sitniks or Finmap. A case is in the values of a fact: alerts/failures.py, alerts/observe.py.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """What is said of a condition. `title` completes "u1: …"; {count} makes plural forms of `many`."""

    title: str
    money: str
    todo: str
    over: str
    many: str = ""  # the title in the plural; then `title` is the singular


@dataclass(frozen=True)
class Many:
    """What is said instead if several shops are concerned. Empty: the same, with commands for all shops."""

    money: str = ""
    todo: str = ""


KEY_MONEY = (
    "Syncs of this shop have stopped: new income and expenses are not posted to Finmap. Nothing is lost: they are "
    "posted as soon as the key works."
)
WHERE = "(Sitniks → Settings → Integrations → Open API; Finmap → company settings → API)"
THEN_DOCTOR = "Then run `sitniks-finmap doctor --connection {shop}`."
KEY_WORKS = "the {side} key works again"
KEYS_WORK = "the keys of Sitniks and Finmap work again"

CASES: dict[str, Text] = {
    "key missing": Text(
        "the {side} key is missing",
        KEY_MONEY,
        f"Put the {{side}} key into .env {WHERE}. {THEN_DOCTOR}",
        KEY_WORKS,
    ),
    "key missing both": Text(
        "the keys of Sitniks and Finmap are missing",
        KEY_MONEY,
        f"Put both keys into .env {WHERE}. {THEN_DOCTOR}",
        KEYS_WORK,
    ),
    "key odd": Text(
        "what .env has as the {side} key is no key",
        KEY_MONEY,
        f"Copy the {{side}} key into .env again {WHERE}. {THEN_DOCTOR}",
        KEY_WORKS,
    ),
    "key odd both": Text(
        "what .env has as the keys of Sitniks and Finmap are no keys",
        KEY_MONEY,
        f"Copy both keys into .env again {WHERE}. {THEN_DOCTOR}",
        KEYS_WORK,
    ),
    "key refused": Text(
        "{side} refuses the key",
        KEY_MONEY,
        f"Put the correct {{side}} key, or a new one, into .env {WHERE}. {THEN_DOCTOR}",
        KEY_WORKS,
    ),
    "key expired": Text(
        "the {side} key has expired",
        KEY_MONEY,
        f"Create a new {{side}} key and put it into .env {WHERE}. {THEN_DOCTOR}",
        KEY_WORKS,
    ),
    "key rights": Text(
        "the {side} key lacks rights",
        KEY_MONEY,
        f"Give the key the missing rights in {{side}}, or create a new one and put it into .env {WHERE}. {THEN_DOCTOR}",
        KEY_WORKS,
    ),
    "key subscription": Text(
        "{side} refuses access: the subscription is not paid",
        "Syncs of this shop have stopped: new income and expenses are not posted to Finmap. Nothing is lost: they are "
        "posted as soon as the subscription is paid.",
        "Pay for or renew the {side} subscription. The key is not the problem: syncs then go on automatically.",
        "{side} gives access again",
    ),
    "stopped installation": Text(
        "another installation posts this shop to Finmap",
        "So that nothing is posted twice, this one has stopped: new income and expenses are posted by the other one "
        "alone, if it runs.",
        "Decide which of them goes on. If this one, stop the other and run `sitniks-finmap rebuild-ledger --connection "
        "{shop}`. If the other, delete the table [{shop}] from connections.toml here.",
        "syncs work again",
    ),
    "invalid none": Text(
        "the settings in connections.toml are invalid",
        "There is no earlier valid version of them: the shop is not synced until they are corrected.",
        "Correct the table [{shop}] in connections.toml as the detail below says. No restart is needed: it is read "
        "again within a minute or two.",
        "its settings are valid again",
    ),
    "file none": Text(
        "the file connections.toml cannot be read",
        "There is no earlier valid version of it: no shop is synced until it can be read.",
        "Correct the file as the detail below says. No restart is needed: it is read again within a minute or two.",
        "the file connections.toml can be read again",
    ),
    "daemon database": Text(
        "Dagster's database cannot be read",
        "Without it, Dagster syncs no shop: new income and expenses are not posted to Finmap. Nothing is lost, and "
        "nothing is posted twice: the next sync goes on where it stopped.",
        "On the server, see whether Postgres runs (`systemctl status postgresql`), whether its disk is full and "
        "whether DAGSTER_POSTGRES_URL is right; `sitniks-finmap sync` says what is wrong. Then Dagster continues by "
        "itself.",
        "Dagster's database can be read again",
    ),
    "stale never": Text(
        "never synced",
        "Finmap does not show yet what the shop earned and spent.",
        "Start Dagster on the server, or sync now: `sitniks-finmap sync --connection {shop}`.",
        "the shop was synced",
    ),
}

SYNCS_STOPPED = (
    "Syncs of these shops have stopped: new income and expenses are not posted to Finmap. Nothing is lost: they are "
    "posted as soon as it works."
)
MANY: dict[str, Many] = {
    "key": Many(SYNCS_STOPPED),
    "invalid": Many(
        "Shops that ran before go on with their last valid settings. New ones do not start until theirs are corrected.",
        "Correct their tables in connections.toml; `sitniks-finmap status` says what is wrong. No restart is needed: "
        "it is read again within a minute or two.",
    ),
    "invalid none": Many(
        "There is no earlier valid version of them: these shops are not synced until they are corrected.",
        "Correct their tables in connections.toml; `sitniks-finmap status` says what is wrong. No restart is needed: "
        "it is read again within a minute or two.",
    ),
    "stopped installation": Many(
        "So that nothing is posted twice, these shops have stopped here: their new income and expenses are posted by "
        "the other installation alone, if it runs.",
        "Decide which of the installations goes on. If this one, stop the other and run `sitniks-finmap "
        "rebuild-ledger` for each shop. If the other, delete their tables from connections.toml here.",
    ),
    "stale": Many(
        "Finmap may not show what these shops earned and spent since then. Nothing is lost.",
        "Check that Dagster is running, and in its UI, under Automation, that the sensors of these shops are on. To "
        "sync now: `sitniks-finmap sync`.",
    ),
    "stale never": Many("Finmap does not show yet what these shops earned and spent."),
    "rejected": Many(todo="See which, and what to correct: `sitniks-finmap status`."),
    "difference": Many(todo="See which: `sitniks-finmap status`. Correct them, then run `sitniks-finmap sync`."),
    "other_operations": Many(
        todo="Stop the bank feed, or give each shop a Finmap account of its own. If it is other money, set bank_feed = "
        '"accepted" in their tables of connections.toml.',
    ),
}


def texts_of_cases() -> dict[str, str]:
    """Every text of this module, with its plural or ""."""
    cases = [one for text in CASES.values() for one in (text.title, text.money, text.todo, text.over)]
    many = [one for text in MANY.values() for one in (text.money, text.todo) if one]
    return dict.fromkeys([*cases, *many], "")
