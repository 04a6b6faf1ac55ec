"""What messages say. The English texts are the keys of language/uk/.

Each says what happened, to which shop, since when, what it means for the money, and what to do now. None quotes a
record. {shop} is a connection; the other values are those of the fact.
"""

from sitniks_finmap.alerts.cases import KEY_MONEY, THEN_DOCTOR, WHERE, Text, texts_of_cases
from sitniks_finmap.alerts.digest_texts import texts_of_digests

NOTHING_IS_LOST = "Nothing is lost, and nothing is posted twice: the next sync goes on where it stopped."
RUN_DOCTOR = "Run `sitniks-finmap doctor --connection {shop}` and do what it says."
SYNC = "then run `sitniks-finmap sync --connection {shop}`"

TEXTS: dict[str, Text] = {
    "key": Text(
        "the key is refused or missing",
        KEY_MONEY,
        f"Put a working key into .env {WHERE}, or renew the subscription if the detail below says so. {THEN_DOCTOR}",
        "the key works again",
    ),
    "invalid": Text(
        "the settings in connections.toml are invalid",
        "If the shop ran before, it goes on with its last valid settings. If it is new, it does not start until they "
        "are corrected.",
        "Correct the table [{shop}] in connections.toml as the detail below says. No restart is needed: it is read "
        "again within a minute or two.",
        "its settings are valid again",
    ),
    "stopped": Text(
        "syncs have stopped and need a person",
        "New income and expenses are not posted to Finmap until the cause is removed. Nothing was posted in doubt.",
        "Read the detail below. " + RUN_DOCTOR,
        "syncs work again",
    ),
    "unreachable": Text(
        "no connection to {side}",
        "New income and expenses are not posted to Finmap for now. " + NOTHING_IS_LOST,
        "Nothing, if the outage is temporary: every sync tries again. If other websites do not open on the server "
        "either, check its network.",
        "the connection to {side} works again",
    ),
    "crashed": Text(
        "the last sync failed unexpectedly",
        "New income and expenses may be missing in Finmap until a sync succeeds. " + NOTHING_IS_LOST,
        "Run `sitniks-finmap sync --connection {shop}`. If it fails again, report it with what `sitniks-finmap status "
        "--connection {shop}` says.",
        "syncs work again",
    ),
    "stale": Text(
        "no successful sync for a long time",
        "Finmap may not show what the shop earned and spent since then. Nothing is lost.",
        "Check that Dagster is running, and in its UI, under Automation, that {shop}_sensor is on. To sync now: "
        "`sitniks-finmap sync --connection {shop}`.",
        "the shop was synced",
    ),
    "failing": Text(
        "{count} operation is not in Finmap",
        "This money is in Sitniks and not, or not up to date, in Finmap. It is sent again automatically.",
        "Nothing at first. If this message is not followed by an all-clear today, run `sitniks-finmap status "
        "--connection {shop}`: it says why.",
        "no operation waits to be sent again",
        "{count} operations are not in Finmap",
    ),
    "unread": Text(
        "{count} day could not be read from Sitniks",
        "What was earned and spent on these days may be missing in Finmap.",
        "Nothing, if it is temporary: these days are tried again automatically. If it persists, send them to Sitniks "
        "support; `sitniks-finmap status --connection {shop}` names them.",
        "all days are read",
        "{count} days could not be read from Sitniks",
    ),
    "unread_orders": Text(
        "{count} order or day of orders could not be read from Sitniks",
        "Their status in Finmap stays as last known.",
        "Check in Sitniks whether the key may read orders; `sitniks-finmap doctor --connection {shop}` checks it too.",
        "all orders are read",
        "{count} orders or days of orders could not be read from Sitniks",
    ),
    "rejected": Text(
        "{count} record of Sitniks cannot be posted",
        "This money is not in Finmap, because no operation can be made of these records.",
        'See which: `sitniks-finmap sql "from rejected_transactions" --connection {shop}`.',
        "no record is rejected any more",
        "{count} records of Sitniks cannot be posted",
    ),
    "refused": Text(
        "Finmap refused {count} operation",
        "This money is not in Finmap, or not as in Sitniks.",
        "Run `sitniks-finmap status --connection {shop}`: it says why. Correct the record in Sitniks, or the accounts "
        "and categories in connections.toml; it is then sent again.",
        "no operation is refused any more",
        "Finmap refused {count} operations",
    ),
    "pending": Text(
        "{count} change is waiting for your decision",
        "Finmap stays as it is until you decide.",
        "Look at it with `sitniks-finmap preview --connection {shop}`, then accept it with `sitniks-finmap approve "
        "--connection {shop}` or decline it with `sitniks-finmap dismiss --connection {shop}`.",
        "no change is waiting for a decision",
        "{count} changes are waiting for your decision",
    ),
    "safety_catch": Text(
        "the safety catch holds {count} change",
        "Too much would change in Finmap at once: Sitniks or Finmap may be showing wrong data. Finmap stays as it is "
        "until you decide.",
        "Compare with Sitniks. If the changes are right, run `sitniks-finmap approve --connection {shop}`; if not, "
        "`sitniks-finmap dismiss --connection {shop}`. `sitniks-finmap preview --connection {shop}` lists them.",
        "the safety catch holds nothing any more",
        "the safety catch holds {count} changes",
    ),
    "difference": Text(
        "{count} unexplained difference between Sitniks and Finmap",
        "The totals of the two sides do not agree.",
        'List them: `sitniks-finmap sql "from differences where not explained" --connection {shop}`. Correct them in '
        "Finmap or in Sitniks, " + SYNC + ".",
        "no difference is unexplained any more",
        "{count} unexplained differences between Sitniks and Finmap",
    ),
    "other_operations": Text(
        "somebody else posts to the Finmap account of this shop ({count} operation)",
        "If it is the same money, such as that of a bank feed, it counts twice in Finmap.",
        "Stop the bank feed, or give the shop a Finmap account of its own. If it is other money, set bank_feed = "
        '"accepted" in the table [{shop}] of connections.toml.',
        "what others post to the Finmap account of this shop needs no attention any more",
        "somebody else posts to the Finmap account of this shop ({count} operations)",
    ),
    "defect": Text(
        "an internal check failed",
        "Nothing more is posted, and nothing in Finmap was changed, until the check passes.",
        "Run `sitniks-finmap sync --connection {shop} --full`. If this message is not followed by an all-clear, it is "
        "a bug: report it with the output of `sitniks-finmap status --connection {shop}`.",
        "all internal checks pass",
    ),
    "blind": Text(
        "nobody can say whether Finmap has everything",
        "Until that is mended, nothing else can be told. Syncs go on.",
        "Run `sitniks-finmap status --connection {shop}`. If it fails, this is a bug: report it with what it says.",
        "it is known again whether Finmap has everything",
    ),
    "damaged": Text(
        "a damaged data file was set aside",
        "Nothing is posted twice: the shop goes on with the last copy of the file, or begins anew if there is none, "
        "and finds in Finmap what was posted.",
        "Check the disk of the server. Move away from the data folder what is no longer needed: {file}.",
        "",
    ),
    "file": Text(
        "the file connections.toml cannot be read",
        "The shops go on with the last valid version of the file. Changes made since then are not in effect.",
        "Correct the file as the detail below says. No restart is needed: it is read again within a minute or two.",
        "the file connections.toml can be read again",
    ),
    "env": Text(
        "the file .env cannot be read",
        "A Dagster that runs goes on with the keys that it read before. After a restart, or without it, no shop whose "
        "keys are in this file is synced. New keys are not in effect.",
        "Correct the file as the detail below says. No restart is needed: it is read again within a minute or two.",
        "the file .env can be read again",
    ),
    "daemon": Text(
        "the Dagster daemon is not running",
        "Dagster syncs no shop: new income and expenses are not posted to Finmap. " + NOTHING_IS_LOST,
        "Start it again on the server, as with `systemctl restart` and the name of its service, or `dagster-daemon "
        "run`. `sitniks-finmap sync` syncs all shops without it.",
        "the Dagster daemon is running again",
    ),
    "location": Text(
        "the Dagster daemon runs, but carries out no sensor of ours",
        "Dagster syncs no shop: new income and expenses are not posted to Finmap. " + NOTHING_IS_LOST,
        "Open the Dagster UI: under Deployment, see why the code location sitniks_finmap does not load. "
        "`sitniks-finmap sync` syncs all shops without it.",
        "sensors are carried out again",
    ),
    "notifying": Text(
        "the sensor alerts is off",
        "It only notifies: syncs have sensors of their own. Until it is on, `sitniks-finmap watch` alone notifies you, "
        "and nothing calls HEARTBEAT_URL.",
        "Turn it on in the Dagster UI, under Automation, or ask who turned it off.",
        "the sensor alerts is on again",
    ),
    "disk": Text(
        "the disk is nearly full: {free} MB ({share} %) left",
        "When it is full, syncs stop. Nothing is lost, and nothing is posted twice.",
        "Free some space on the disk of {folder}.",
        "the disk has room again",
    ),
    "host": Text(
        "the host {host} gives no sign of life",
        "Its shops are not synced; those of other hosts are. " + NOTHING_IS_LOST,
        "Start it again, or move its shops to another host: docs/hosts.md says how. If it is gone for good, run "
        "`sitniks-finmap hosts --forget {host}`.",
        "the host {host} is back, or was forgotten",
    ),
    "outage": Text(
        "no connection to {side}",
        "New income and expenses of these shops are not posted to Finmap for now. " + NOTHING_IS_LOST,
        "Nothing, if the outage is temporary: every sync tries again. If other websites do not open on the server "
        "either, check its network.",
        "the connection to {side} works again",
    ),
}

TITLE = "{shop}: {what}"
SHOP_ONE, SHOPS_MANY = "{what}: {count} shop", "{what}: {count} shops"
SHOPS = "Shops ({count}): {shops}."
SINCE = "Since: {moment}."
TODO = "What to do: {todo}"
REASONS = "Why: {reasons}."
REASON = "{reason} ({count})"
MORE_REASONS = ("{count} more record for other reasons", "{count} more records for other reasons")
IN_SITNIKS = "Correct them in Sitniks; they are posted at the next successful sync."
IN_SETTINGS = (
    "Wrong currency or unmapped account: in [{shop}.accounts] of connections.toml, map the settlement account to a "
    "Finmap account of that currency. Before start_date: they are from before the first day that you chose."
)
IN_BOTH = "Correct the others in Sitniks; they are posted at the next successful sync."
FORWARD = "If somebody else looks after the server, forward this message to them."
DETAIL = "Detail: {detail}"
RUN = "The run: {url}"
LASTED = "It lasted {duration}, from {since} to {until}."
LASTED_THAT_DAY = "It lasted {duration}: on {day} from {since} to {until}."
UNWORDED = "{shop}: a message could not be put into words"
UNWORDED_SERVER = "A message could not be put into words"
UNWORDED_BEGIN = "Something needs a person: {what}."
UNWORDED_END = "Something is over: {what}. Whether all is well, this message does not say."
UNWORDED_DIGEST = "It was to be the summary of {what}, which is therefore missing."
UNWORDED_TODO = (
    "What to do: run `sitniks-finmap status`, which says what is wrong now. Its text failed: that is a bug, so "
    "please report it."
)
NO_ACTION = "You need not do anything."
TEST_TITLE = "sitniks_finmap: a test message"
TEST_OWNER = "Messages about the shop {shop} arrive here. You need not do anything."
TEST_OPERATOR = "Messages about all shops and the server arrive here. You need not do anything."
PLURALS = (
    (SHOP_ONE, SHOPS_MANY), MORE_REASONS,
)  # fmt: skip


def all_texts() -> dict[str, str]:
    """Every text, with its plural or ""."""
    found: dict[str, str] = {}
    for text in TEXTS.values():
        found |= {text.title: text.many, text.money: "", text.todo: "", **({text.over: ""} if text.over else {})}
    found |= texts_of_cases() | texts_of_digests() | dict(PLURALS)
    single = (
        TITLE, SHOPS, SINCE, TODO, REASONS, REASON, IN_SITNIKS, IN_SETTINGS, IN_BOTH, FORWARD, DETAIL, RUN, LASTED,
        LASTED_THAT_DAY, NO_ACTION, UNWORDED, UNWORDED_SERVER, UNWORDED_BEGIN, UNWORDED_END, UNWORDED_DIGEST,
        UNWORDED_TODO, TEST_TITLE, TEST_OWNER, TEST_OPERATOR,
    )  # fmt: skip
    return found | dict.fromkeys(single, "")
