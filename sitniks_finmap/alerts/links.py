"""Links in messages and in the report."""

import os
from urllib.parse import urlsplit, urlunsplit

UI_URL = "SITNIKS_FINMAP_UI_URL"


def ui_url() -> str:
    """The address of the Dagster UI, without the user and the password that it may hold; empty if there is none."""
    try:
        parts = urlsplit(os.environ.get(UI_URL, "").strip())
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
