"""What digests say. The English texts are the keys of language/uk/."""

from dataclasses import astuple, dataclass

Plural = tuple[str, str]


@dataclass(frozen=True)
class OfDays:
    """What is said of one day, or of several; the lists name their records."""

    different: Plural
    otherwise: Plural
    rejected: Plural
    unread: str
    unreconciled: str
    list: str
    list_rejected: str


OF_A_DAY = OfDays(
    (
        "Sitniks and Finmap differ: {count} record of this day is not the same.",
        "Sitniks and Finmap differ: {count} records of this day are not the same.",
    ),
    (
        "{count} record of this day is not the same in other respects.",
        "{count} records of this day are not the same in other respects.",
    ),
    (
        "{count} record of this day could not be posted and is in neither sum.",
        "{count} records of this day could not be posted and are in neither sum.",
    ),
    "the day has not been read completely since it ended",
    "no sync has succeeded since the day was read",
    "What to do: see which, with `sitniks-finmap sql \"from differences where day = '{day}'\" --connection {shop}`.",
    "What to do: see which, with `sitniks-finmap sql \"from rejected_transactions where day = '{day}'\" --connection "
    "{shop}`.",
)
OF_SEVERAL_DAYS = OfDays(
    (
        "Sitniks and Finmap differ: {count} record of these days is not the same.",
        "Sitniks and Finmap differ: {count} records of these days are not the same.",
    ),
    (
        "{count} record of these days is not the same in other respects.",
        "{count} records of these days are not the same in other respects.",
    ),
    (
        "{count} record of these days could not be posted and is in neither sum.",
        "{count} records of these days could not be posted and are in neither sum.",
    ),
    "not each of these days has been read completely since it ended",
    "no sync has succeeded since these days were read",
    "What to do: see which, with `sitniks-finmap sql \"from differences where day between '{day}' and '{last}'\" "
    "--connection {shop}`.",
    "What to do: see which, with `sitniks-finmap sql \"from rejected_transactions where day between '{day}' and "
    "'{last}'\" --connection {shop}`.",
)
TITLE = "{shop}: summary of {days}"
TITLE_OF_WEEK = "{shop}: summary of the week, {days}"
EQUAL = "Equal to the kopiyka: {totals}."
EMPTY = "No income and no expenses; Sitniks and Finmap agree."
MISSING = "This day is not reconciled yet, so there are no totals. They follow if it is reconciled today."
MISSING_OF_WEEK = (
    "This week is not reconciled yet, so there are no totals. They follow once it is, unless the next weekly "
    "summary comes first."
)
UNREADABLE = "the data file of the shop cannot be read"
SIDE = "{side}: {totals}."
INCOMES = ("{count} income operation {money}", "{count} income operations {money}")
EXPENSES = ("{count} expense operation {money}", "{count} expense operations {money}")


def texts_of_digests() -> dict[str, str]:
    """Every text of this module, with its plural or ""."""
    said = [one for texts in (OF_A_DAY, OF_SEVERAL_DAYS) for one in astuple(texts)]
    said += [TITLE, TITLE_OF_WEEK, EQUAL, EMPTY, MISSING, MISSING_OF_WEEK, UNREADABLE, SIDE, INCOMES, EXPENSES]
    return dict((one, "") if isinstance(one, str) else one for one in said)
