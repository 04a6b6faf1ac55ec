"""Pieces of the warehouse's SQL, for tests of one macro alone."""

import re

from sitniks_finmap.warehouse.schema import sql


def macro_text(macro: str) -> str:
    """The statement of sql/views.sql that makes this macro."""
    found = re.search(rf"create or replace macro {macro}\(.*?\n\]?.*?;\n", sql("views"), re.DOTALL)
    assert found, macro
    return found[0]
