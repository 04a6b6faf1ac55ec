"""What a failed run amounts to: the condition, the host, and what else its message says: the side, and which case."""

import hashlib
import re
from urllib.parse import urlsplit

from sitniks_finmap.settings.connections import Connection

# Why a run failed: the first that its error matches. What matches none stopped for a reason that a person can remove.
FAILURES = (
    ("key", re.compile(
        r"refused (?:the key|access) \(|environment variables? .+ (?:is|are) not set|characters that no key has"
    )),
    ("damaged", re.compile(r"was damaged and is kept as")),
    ("unreachable", re.compile(
        r"did not answer \(|answered (?:429|5\d\d)|the rate limit of the key|was never complete|not whole JSON"
        r"|gives no count|something other than a list|ignores its date filter"
    )),
    ("waited", re.compile("another run is still in progress")),  # for that one; if it never ends, "stale" tells it
    ("crashed", re.compile(r"stopped by an unexpected|the run was interrupted|DuckDB failed \(")),
)  # fmt: skip
# Which case of a refused or missing key: alerts/cases.py has a text for each.
KEY_CASES = (
    ("subscription", re.compile("pay for or renew the")),
    ("expired", re.compile("it has expired")),
    ("rights", re.compile("give it the missing rights")),
    ("refused", re.compile("refused the key")),
    ("odd", re.compile("characters that no key has")),
    ("missing", re.compile("not set")),
)
KEPT_AS = re.compile(r"was damaged and is kept as (\S+\.\*)")
OTHER_INSTALLATION = re.compile("another installation of sitniks_finmap")
SIDES = ("Sitniks", "Finmap")


def failure_of(connection: Connection, error: str) -> tuple[str, str, dict[str, str]]:
    """The condition that a run's error amounts to; its cause: the host, if a side did not answer; and its values."""
    kind = next((name for name, sign in FAILURES if sign.search(error)), "stopped")
    if kind == "key":
        return kind, "", missing_key(connection, error)
    if kind == "damaged" and (kept := KEPT_AS.search(error)):
        return kind, "", {"file": kept[1]}
    if kind == "stopped" and OTHER_INSTALLATION.search(error):
        return kind, "", {"case": "installation"}
    if kind == "stopped":  # another reason needs another remedy
        return kind, "", {"about": hashlib.sha256(re.sub(r"\d+", "", error).encode()).hexdigest()[:8]}
    if kind != "unreachable":
        return kind, "", {}
    urls = {"Sitniks": connection.sitniks_url, "Finmap": connection.finmap_url}
    side = min((name for name in urls if name in error), key=error.index, default="")
    return kind, urlsplit(urls[side]).netloc if side else "", {"side": side} if side else {}


def missing_key(connection: Connection, error: str) -> dict[str, str]:
    """Which case it is, and whose key: a side, or both of them."""
    case = next((name for name, sign in KEY_CASES if sign.search(error)), "")
    variables = {"Sitniks": connection.sitniks_key_env, "Finmap": connection.finmap_key_env}
    sides = [side for side in SIDES if variables[side] in error or re.match(f"{side} refused", error)]
    if len(sides) > 1 and case in ("missing", "odd"):
        return {"case": f"{case} both"}
    return {"case": case, "side": sides[0]} if case and sides else {}
