"""Names as people write them: one spelling for comparison, and the one that was meant."""

import difflib
import re
import unicodedata
from collections.abc import Iterable


def normal_name(name: str) -> str:
    """Normalize a name for comparison, like the SQL macro of the same name."""
    plain = re.sub("[’ʼ‘`´]", "'", unicodedata.normalize("NFC", name))
    return " ".join("".join(one for one in plain if unicodedata.category(one) != "Cf").lower().split())


def nearest(written: str, known: Iterable[str]) -> str:
    """ "; did you mean …?" with the known name that a mistyped one is closest to, or nothing."""
    spellings = {one.casefold(): one for one in known}
    found = difflib.get_close_matches(written.casefold(), spellings, 1, 0.6)
    return f"; did you mean {spellings[found[0]]}?" if found else ""
