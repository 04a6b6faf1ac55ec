"""Names as people write them: one spelling for comparison."""

import re
import unicodedata


def normal_name(name: str) -> str:
    """Normalize a name for comparison, like the SQL macro of the same name."""
    plain = re.sub("[’ʼ‘`´]", "'", unicodedata.normalize("NFC", name))
    return " ".join("".join(one for one in plain if unicodedata.category(one) != "Cf").lower().split())
