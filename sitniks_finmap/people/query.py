"""The command `sql`: a query over the published copy, and its rows as a table, as fields, as CSV or as JSON."""

import json
import math
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from csv import writer as csv_writer
from typing import Any, TextIO

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sitniks_finmap.language import terminal_language
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse

NARROW = 24  # characters of a column that must not wrap; longer text may
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
# A character that starts a formula, at the start of a spreadsheet cell. In some locales, cells are separated by
# semicolons or tabs.
FORMULA = re.compile(r"(^|[;\t\r\n])([\s\x22]*)(?=[=+\-@＝＋－＠])")


def read_only(query: str, connection: Connection) -> tuple[list[str], list[tuple]]:
    """Runs a query on the published copy, which it can neither change nor escape; returns column names and rows.

    Raises ConfigurationError if there is no copy yet or the query is invalid.
    """
    warehouse = open_warehouse(connection)
    path = warehouse.read_path
    if not path.exists():
        raise ConfigurationError(f"{connection.name}: {_why_no_copy(warehouse)}")
    with duckdb.connect(path, read_only=True) as con:
        con.execute(f"set timezone = '{connection.timezone}'")
        con.execute("set enable_external_access = false")
        con.execute("set python_enable_replacements = false")  # a table's name must not resolve to a Python variable
        con.execute("set lock_configuration = true")
        try:
            rows = _rows(con, query)
        except (duckdb.Error, ValueError, OverflowError) as error:  # also a value that Python has no type for
            raise ConfigurationError(str(error)) from None
        return [column[0] for column in con.description or []], rows


def _why_no_copy(warehouse: Warehouse) -> str:
    if not warehouse.exists():
        return "nothing has been synced yet; run `sitniks-finmap sync`"
    if warehouse.is_running():
        return "its first run has not ended yet: the copy that `sql` reads appears when it does. Try again then"
    return "its first run did not end: the copy that `sql` reads appears when one does. Run `sitniks-finmap sync`"


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple]:
    """Runs a query that Ctrl-C ends. DuckDB may not notice a signal while its threads are busy: Python waits for it."""

    def run() -> list[tuple]:
        done = con.execute(query)
        if done is None:
            raise ConfigurationError('the query is empty; try "from operations limit 5"')
        return done.fetchall()

    with ThreadPoolExecutor(1) as apart:
        rows = apart.submit(run)
        try:
            return rows.result()
        except KeyboardInterrupt:
            con.interrupt()
            raise


def print_rows(out: Console, columns: list[str], rows: list[tuple], *, csv: bool) -> None:
    """Prints a table, or one field per line if the terminal is too narrow; or CSV. Money is exact in each."""
    if csv:
        write_csv(sys.stdout, columns, rows)
        return
    cells = [list(map(text_of, row)) for row in rows]
    longest = [max(len(line) for text in column for line in text.split("\n")) for column in zip(columns, *cells)]  # noqa: B905
    borders = 3 * len(columns) + 1
    if sum(min(wanted, NARROW) for wanted in longest) + borders > out.width:
        print_fields(out, columns, rows)
        return
    table = Table()
    for column, wanted in zip(columns, longest, strict=True):
        table.add_column(escape(column), no_wrap=wanted <= NARROW)
    for row in cells:
        table.add_row(*map(escape, row))
    out.print(table)


def print_fields(out: Console, columns: list[str], rows: list[tuple]) -> None:
    """Prints one field per line; leaves out empty fields."""
    width, words = max(map(len, columns)), terminal_language()
    for number, row in enumerate(rows, start=1):
        out.print(f"[dim]{words.text('row {number}', number=number)}[/]")
        for column, value in zip(columns, row, strict=True):
            if value is not None:
                said = escape(text_of(value)).replace("\n", "\n" + " " * (width + 4))
                out.print(f"  {escape(column.ljust(width))}  {said}")
    if not rows:
        out.print(words.text("no rows; columns: {names}", names=escape(", ".join(columns))))


def write_csv(stream: TextIO, columns: list[str], rows: list[tuple]) -> None:
    """Writes CSV in UTF-8, with the byte order mark that Excel needs, except on a terminal.

    Nothing in it is a formula: text that would be one gets an apostrophe.
    """
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure and not stream.isatty():
        reconfigure(encoding="utf-8-sig", errors="backslashreplace")
    writer = csv_writer(stream, lineterminator="\n")
    writer.writerow([harmless(column) for column in columns])
    writer.writerows([None if value is None else harmless(value) for value in row] for row in rows)


def write_json(stream: TextIO, columns: list[str], rows: list[tuple]) -> None:
    """Writes a list of objects, one per row. Repeated column names get a number."""
    names: list[str] = []
    for column in columns:
        again = (f"{column}_{number}" for number in range(2, len(columns) + 2))
        names.append(column if column not in names else next(name for name in again if name not in (*names, *columns)))
    objects = [dict(zip(names, map(json_of, row), strict=True)) for row in rows]
    stream.write(json.dumps(objects, ensure_ascii=False, indent=2) + "\n")


def json_of(value: Any) -> Any:
    """A value as JSON; types that JSON lacks become text, so money stays exact."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case list() | tuple():
            return [json_of(one) for one in value]
        case dict():
            return {str(name): json_of(one) for name, one in value.items()}
    return str(value)


def harmless(value: Any) -> str:
    """A value as text that is no formula. Numbers, negative ones included, stay as they are."""
    text = text_of(value)
    return text if NUMBER.fullmatch(text) else FORMULA.sub(r"\1\2'", text)


def text_of(value: Any) -> str:
    return "" if value is None else str(value)
