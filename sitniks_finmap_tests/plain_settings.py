"""DuckDB on one thread and without its optimizer: to plan a query takes longer than to run it on a few rows."""

from typing import Any

import duckdb
import pytest

_optimizers = duckdb.execute("select string_agg(name, ',') from duckdb_optimizers()").fetchall()[0][0]

# Added to the settings with which a warehouse opens its file.
PLAIN: dict[str, Any] = {"threads": 1, "disabled_optimizers": _optimizers}

# The mark of tests that run twice: as quick tests do, and with DuckDB as shipped.
BOTH_OPTIMIZERS = pytest.mark.parametrize("optimizer", ["off", "on"], indirect=True)
