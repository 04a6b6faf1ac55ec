"""What the report says beside its templates. The English texts are the keys of language/uk/."""

# -- The answer --

MATCH = "Finmap and Sitniks match to the kopiyka."
MATCH_BUT = "Finmap and Sitniks match to the kopiyka, but something needs your attention."
MATCHED = "As of the last sync, Finmap and Sitniks match to the kopiyka, but something needs your attention."
DECIDED = "Finmap and Sitniks differ only where people decided so."
BEHIND = "Finmap does not have everything from Sitniks yet."
DIFFER = "Finmap and Sitniks do not match."
EMPTY = "There are no income and no expenses yet; Finmap and Sitniks match."
NEVER = "This shop has not been synced yet."
UNREADABLE = "The data of this shop cannot be read now."
INVALID = "The settings of this shop are invalid."
WAITS = (
    "Finmap differs from Sitniks until you decide about {count} change.",
    "Finmap differs from Sitniks until you decide about {count} changes.",
)
COVERS = (
    "Compared: {count} operation, {first} to {last}.",
    "Compared: {count} operations, {first} to {last}.",
)
RECONCILED = "Last reconciled: {moment}."
LESS_INCOME = "Finmap has {money} less income than Sitniks."
MORE_INCOME = "Finmap has {money} more income than Sitniks."
LESS_EXPENSE = "Finmap has {money} less expense than Sitniks."
MORE_EXPENSE = "Finmap has {money} more expense than Sitniks."
CANCELS_OUT = "Single days or accounts differ, but the sums are equal ({currency})."
OF_STOCK = "On the stock account: {what}"
RECORDS_DIFFER = "Records that differ: {kinds}."
KIND = "{kind} ({count})"
SYNC_FIRST = "Run `sitniks-finmap sync --connection {shop}`, or start Dagster; then make the report again."
WHY_UNREADABLE = "Detail: {detail}"

# Kind of a difference → what it means.
KINDS = {
    "skipped": "skipped by catch-up",
    "deleted by a person": "deleted by a person in Finmap",
    "rolled back": "taken out by a rollback",
    "refused": "refused by Finmap",
    "missing": "missing in Finmap",
    "pending": "pending your decision",
    "different": "different in Finmap",
    "kept": "left as it is in Finmap, as a person or a setting says",
    "scheduled": "to be posted by the next sync",
    "unexpected": "in Finmap, but not in Sitniks",
    "edited by a person": "edited by a person in Finmap",
    "stored differently": "stored differently by Finmap",
}

# -- Charts --

BY_DAY = "Income and expenses by day"
BY_MONTH = "Income and expenses by month"
COLUMN = "{when}: income {income}, expenses {expense}"
CHART = "{first} to {last}: income {income}, expenses {expense}."

# -- Troubles that are no condition of a message --

UNBOOKED = ("{count} order without an operation", "{count} orders without an operation")
UNBOOKED_MONEY = "Money may have come or gone that is not in Finmap."
UNBOOKED_TODO = (
    "Check them in Sitniks; `sitniks-finmap explain ORDER --connection {shop}` shows why. If all is as it should be, "
    "`sitniks-finmap dismiss --unbooked --connection {shop}` takes them off this list."
)

# -- The index --

NEEDY = ("{count} shop needs attention.", "{count} shops need attention.")
ALL_MATCH = ("Everything matches in {count} shop.", "Everything matches in {count} shops.")

# -- Classifications, as people call them; those of a shop's own rules have no words --

CLASSIFICATIONS = {
    "refund": "Refunds",
    "marketplace_commission": "Marketplace fees",
    "delivery": "Delivery",
    "social_sale": "Sales in social networks",
    "marketplace_sale": "Sales on marketplaces",
    "client_payment": "Payments of clients",
    "other": "Other",
    "prepayment": "Prepayments",
    "sale": "Sales",
    "cost_of_goods": "Cost of goods",
    "restock": "Returned to the stock",
}
NO_SOURCE = "no source"

# -- Kinds of runs --

RUNS = {"sync": "Sync", "deliver": "Delivery to Finmap", "preview": "Preview or catch-up", "partial": "Single assets"}
IN_PROGRESS = "in progress"
SUCCEEDED = "succeeded"
FAILED = "failed"

# -- Reasons, which the warehouse says in English. The patterns come after those of alerts/texts.py --

REASONS = (
    # of rejected records
    "unreadable date",
    "no date",
    "the prepayment is larger than the total",
    # of pending changes
    "it follows from changed lists of order statuses",
    "the first import is held for review",
    "a person deleted it in Finmap",
    "a person changed in Finmap what also changed in Sitniks",
    "the ledger was rebuilt",
    "a person edited it in Finmap",
    "a person restored it in Finmap in place of a newer operation",
    "Sitniks has it, but it can no longer become an operation",
    "too many operations would have changed at once",
    "on_change is ask",
    "gone from Sitniks, and on_delete is ask",
    "its order is no longer paid",
    "its order no longer has this part",
    "the payment of its order is not in Finmap",
    "another part of its order was not changed",
    # of orders without an operation
    "it went back to a status that is in no list",
    "prepaid, but its prepayment has no amount",
    "refunded before it was ever seen paid",
    "partly refunded before it was ever seen paid",
    "refunded, but its money came before start_date",
    "partly refunded, but its total does not tell how much",
    "the cost of its goods is incomplete",
)
PATTERNS = (
    "its day, {day}, is in the future",
    "its date, {day}, is before start_date",
    "date {day} is outside what Finmap accepts (2015 to 2036)",
    "currency {currency}, but the Finmap account is in {own}",
    "unknown currency, and the Finmap account is in {own}",
    "Finmap no longer shows {count} of {count_known} operations",
    "{count} of {count_known} operations would change at once",
    "Finmap stored a different {what} than was written",
    "it appeared when {count} known transactions vanished from Sitniks",
    "it appeared when {count} known parts of orders vanished from Sitniks",
)
# Fields that such a pattern may name.
FIELDS = ("type", "amount", "date", "account")

PLURALS = (WAITS, COVERS, UNBOOKED, NEEDY, ALL_MATCH)


def all_texts() -> dict[str, str]:
    """Every text, with its plural or ""."""
    single = (
        MATCH, MATCH_BUT, MATCHED, DECIDED, BEHIND, DIFFER, EMPTY, NEVER, UNREADABLE, INVALID, RECONCILED, LESS_INCOME,
        MORE_INCOME, LESS_EXPENSE, MORE_EXPENSE, CANCELS_OUT, OF_STOCK, RECORDS_DIFFER, KIND, SYNC_FIRST,
        WHY_UNREADABLE, *KINDS.values(), BY_DAY, BY_MONTH, COLUMN, CHART, UNBOOKED_MONEY, UNBOOKED_TODO,
        *CLASSIFICATIONS.values(), NO_SOURCE, *RUNS.values(), IN_PROGRESS, SUCCEEDED, FAILED, *REASONS,
        *PATTERNS, *FIELDS,
    )  # fmt: skip
    return dict(PLURALS) | dict.fromkeys(single, "")
