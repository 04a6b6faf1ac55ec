"""The command `sql`: a query over the published copy, and its rows as a table, as fields, as CSV or as JSON."""

import json
import math
import re
import sys
from csv import writer as csv_writer
from typing import Any, TextIO

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sitniks_finmap.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.duckdb_files import interruptible
from sitniks_finmap.warehouse.store import open_warehouse

NARROW = 24  # characters of a column that may not be broken; longer texts may
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
# Where a spreadsheet begins a cell, a sign that begins a formula. A semicolon or a tab is a border of cells where the
# country's list separator is not the comma.
FORMULA = re.compile(r"(^|[;\t\r\n])([\s\x22]*)(?=[=+\-@＝＋－＠])")


def read_only(query: str, connection: Connection) -> tuple[list[str], list[tuple]]:
    """Column names and rows of a query over the published copy, which no query can change or get out of.

    Raises ConfigurationError when there is no copy yet, or the query is wrong.
    """
    path = open_warehouse(connection).read_path
    if not path.exists():
        raise ConfigurationError(f"{connection.name}: nothing was synced yet; run `sitniks-finmap sync`")
    with interruptible(), duckdb.connect(path, read_only=True) as con:
        con.execute(f"set timezone = '{connection.timezone}'")
        con.execute("set enable_external_access = false")
        con.execute("set python_enable_replacements = false")  # a table's name is not a variable of this program
        con.execute("set lock_configuration = true")
        try:
            done = con.execute(query)
            if done is None:
                raise ConfigurationError('the query is empty; write one, as "from operations limit 5"')
            rows = done.fetchall()
        except (duckdb.Error, ValueError, OverflowError) as error:  # also a value that Python has no type for
            raise ConfigurationError(str(error)) from None
        return [column[0] for column in con.description or []], rows


def print_rows(out: Console, columns: list[str], rows: list[tuple], *, csv: bool) -> None:
    """A table for people, or one field a line where the terminal is too narrow for it; or CSV for programs and
    spreadsheets. Money is exact digit for digit either way.
    """
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
    """One field a line; fields without a value are left out."""
    width = max(map(len, columns))
    for number, row in enumerate(rows, start=1):
        out.print(f"[dim]row {number}[/]")
        for column, value in zip(columns, row, strict=True):
            if value is not None:
                said = escape(text_of(value)).replace("\n", "\n" + " " * (width + 4))
                out.print(f"  {escape(column.ljust(width))}  {said}")
    if not rows:
        out.print("no rows, of the columns " + escape(", ".join(columns)))


def write_csv(stream: TextIO, columns: list[str], rows: list[tuple]) -> None:
    """CSV in UTF-8, which begins with the mark by which Excel knows it, except on a terminal.

    Nothing in it is a formula: a text that would be one gets an apostrophe before its sign.
    """
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure and not stream.isatty():
        reconfigure(encoding="utf-8-sig", errors="backslashreplace")
    writer = csv_writer(stream, lineterminator="\n")
    writer.writerow([harmless(column) for column in columns])
    writer.writerows([None if value is None else harmless(value) for value in row] for row in rows)


def write_json(stream: TextIO, columns: list[str], rows: list[tuple]) -> None:
    """A list of objects, one for each row. A column whose name was there already gets a number."""
    names: list[str] = []
    for column in columns:
        again = (f"{column}_{number}" for number in range(2, len(columns) + 2))
        names.append(column if column not in names else next(name for name in again if name not in (*names, *columns)))
    objects = [dict(zip(names, map(json_of, row), strict=True)) for row in rows]
    stream.write(json.dumps(objects, ensure_ascii=False, indent=2) + "\n")


def json_of(value: Any) -> Any:
    """A value as JSON has it; what JSON has no type for, as text, so that money is exact digit for digit."""
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
    """A value as CSV has it. Numbers stay as they are, the negative ones too."""
    text = text_of(value)
    return text if NUMBER.fullmatch(text) else FORMULA.sub(r"\1\2'", text)


def text_of(value: Any) -> str:
    return "" if value is None else str(value)
