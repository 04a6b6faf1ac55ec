"""What `init` says. The English texts are the keys of language/uk/."""

WELCOME = "Six questions connect a shop. Nothing is written before you confirm; Ctrl-C stops."
STEP = "{number} of 6. {what}"

# -- 1. Name --
NAME = "Name of the shop: small Latin letters, digits and _"
NAMES_THERE = "In connections.toml: {names}. One of these names edits that shop."
NAME_PROMPT = "Name"
NAME_FORM = "a name has only small Latin letters, digits and _, such as {example}"
NAME_TAKEN = "{other} already writes to Finmap under the name {name}; choose another"
NAME_IS_NEW = "{name} is a new shop"
NAME_IS_EDITED = "{name} is in connections.toml; Enter keeps what it has"
NAME_IS_CLONED = "{name} is a new shop with the settings of {other}, except: {without}"
NO_TABLE = "connections.toml has no {name}, whose settings are to be copied{meant}"
NOT_A_CLONE = "{name} is in connections.toml already; --from is for a new shop"
OWN = "keys, first day, who is notified"

# -- 2 and 3. Keys --
SITNIKS_KEY = "Sitniks key: Sitniks → Settings → Integrations → Open API"
FINMAP_KEY = "Finmap key: Finmap → company settings → API"
KEY_PROMPT = "Key (it stays invisible)"
KEY_PROMPT_KEEP = "Key (it stays invisible; Enter keeps the present one)"
KEY_PROMPT_AGAIN = "Key (it stays invisible; Enter tries the same one again)"
KEY_EMPTY = "the key is empty; paste it from {side}"
KEY_ODD = "it has characters that no key has; copy it from {side} again"
KEY_VARIABLE_UNSET = "the environment variable {variable} is not set"
KEY_ON_COMMAND_LINE = (
    "never write a key into a command: others would see it. Use `-` for standard input, or env:NAME for a variable"
)
KEY_OF_OTHER = "this looks like the {other} key: {other} accepts it, {side} does not. Here the {side} key is needed"
KEY_TWICE = "this is the {other} key again; here the {side} key is needed"
KEY_REFUSED = "{side} does not accept this key. {why}"
NO_ANSWER = "{why}. Try again in a moment, or stop with Ctrl-C"
SITNIKS_ACCEPTS = "Sitniks accepts the key"
FINMAP_ACCEPTS = (
    "Finmap accepts the key; it can write to {count} account",
    "Finmap accepts the key; it can write to {count} accounts",
)

# -- 4. Source --
SOURCE = "What to take from Sitniks"
TRANSACTIONS = "transactions: every payment, refund and fee, on its own day"
ORDERS = "orders: sales and refunds by the status of the order; no fees"
SEEN = "in the last 30 days: {count}"
UNREADABLE = "this key may not read them"
SOURCE_PROMPT = "Number"
SOURCE_FORM = "write 1 for transactions or 2 for orders"
SOURCE_UNREADABLE = "Sitniks does not show the {source} of this company to this key; take {other}"
SETTINGS_GO = "With this source, these settings go: {names}"
STATUSES = "What the order statuses mean for the money:"
STATUS_ROW = "{orders} of the latest {all}"
STATUSES_PROMPT = "Enter if that is right; otherwise correct it, e.g. {example}"
STATUS_UNKNOWN = 'Sitniks has no status "{status}"{meant}. The statuses are: {all}'
STATUS_FORM = "cannot read {part}: write NUMBER=MEANING, with one of: {words}"
STATUS_PAID_MISSING = "at least one status must mean: paid in full"
NO_STATUSES = "Sitniks shows no order statuses to this key, so orders cannot be taken"
PAID = "paid in full"
PREPAID = "prepaid"
REFUNDED = "refunded"
PARTLY_REFUNDED = "partly refunded"
CANCELLED = "cancelled"
NO_MONEY = "nothing"
STATUSES_LEFT_OUT = "Left out, because Sitniks has no such status: {names}"

# -- 5. Account --
ACCOUNT = "Finmap account that receives the operations; best one of its own"
ACCOUNT_PROMPT = "Number or name"
ACCOUNT_UNKNOWN = 'Finmap has no account "{account}"{meant}. The accounts are: {all}'
ACCOUNT_SEVERAL = 'several accounts are called "{account}"; write the number from the list, or the ID'
NO_ACCOUNTS = (
    "Finmap shows no account to this key. Create one in Finmap, or give the key access to one; then run this again"
)
FEED = (
    "{count} operation not from here in 30 days: a bank feed?",
    "{count} operations not from here in 30 days: a bank feed?",
)
FEED_CHOSEN = (
    "Somebody else posts to “{account}”. If that is the same money, such as that of a bank feed, it counts twice: stop "
    "the feed, or choose an account of its own"
)
FEED_UNKNOWN = "Whether a bank feed posts to these accounts cannot be seen: {why}"
ACCOUNT_MOVES = "What is in Finmap already moves to the new account with the next syncs"
LEFT_OUT = "Left out, because this Finmap has no such account or category: {names}"

# -- 6. Start --
START = "From when to import"
START_TODAY = "from today on, {day}"
START_DAY = "from another day on: everything since then goes to Finmap"
START_HISTORY = "from another day on, and everything up to a later day is history: it is read, but never goes to Finmap"
START_PROMPT = "Number or day, e.g. {day}"
START_FORM = "write 1, 2, 3 or a day, e.g. {day}"
FIRST_DAY_PROMPT = "First day"
HISTORY_PROMPT = "Last day of the history"
DAY_WRONG = "{day}: {why}"
SKIP_OUTSIDE = "the history ends on {until}; choose a day from the first day {first} to today {today}"

# -- Categories and tags --
MORE = "Choose categories and tags now?"
CATEGORIES_THERE = "Categories in Finmap: {names}"
CATEGORY_PROMPT = "Category of {classification} (number or name; Enter = {default})"
NO_CATEGORY = "none"
CATEGORY_UNKNOWN = 'Finmap has no category "{category}"{meant}'
CATEGORY_SEVERAL = 'several categories are called "{category}"; write the ID'
CLASSIFICATION_UNKNOWN = "there is no classification {classification}{meant}; there are: {all}"
CATEGORY_FORM = "write --category CLASSIFICATION=CATEGORY, not {part}"
NO_CATEGORIES = "Finmap shows no categories to this key"
TAG = "Add the source of the sale, such as Instagram, as a tag?"

# -- The end --
SUMMARY = "This will be written:"
INTO_TOML = "into {path}:"
INTO_ENV = "into {path}: {names} (only you can read the file)"
SKIPS = "up to {day}, nothing goes to Finmap (undo: sitniks-finmap catch-up --connection {name} --undo)"
REVIEW = "The first import waits until you approve it"
NOTHING_CHANGES = "Nothing is to be changed: connections.toml and .env stay as they are"
CONFIRM = "Write it?"
YES_OR_NO = "write yes or no"
YES = "yes"
NO = "no"
DECLINED = "Nothing was written"
INTERRUPTED = "Stopped. Nothing was written"
WRITTEN = "Written: {what}"
CHECKING = "Checking the connection:"
PREVIEWING = "Preview of the first import (writes nothing):"
PREVIEWING_LATEST = "Preview of the latest {days} days of the first import (writes nothing):"
FIX_FIRST = "Correct what is marked with ✗ above, then check again:"
NEXT = "Next:"
NEXT_APPROVE = "approve the first import"
NEXT_SYNC = "write it to Finmap"
NEXT_AUTOMATIC = "from then on, automatically"
NEXT_AFTER_STOP = "The shop is connected. The preview was stopped; to see it:"
STARTS_LATER = "The import begins on {day}"
MISSING = "there is no terminal to ask on; add {options}"
