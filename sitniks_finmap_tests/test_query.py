"""The command `sql`: tables that fit, one field a line where they do not, CSV that a spreadsheet opens safely."""

import csv
import io
import json
from decimal import Decimal

import duckdb
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sitniks_finmap.cli.commands import cli
from sitniks_finmap.people.query import print_rows, read_only, write_csv
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.store import Warehouse


def printed(columns: list[str], rows: list[tuple], width: int = 80) -> str:
    out = Console(file=io.StringIO(), width=width)
    print_rows(out, columns, rows, csv=False)
    return out.file.getvalue()  # type: ignore[attr-defined]


def csv_of(*row: object) -> str:
    stream = io.StringIO()
    write_csv(stream, [f"column {number}" for number, _ in enumerate(row)], [row])
    return stream.getvalue()


def cells(text: str, delimiter: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) for cell in row]


def test_the_example_of_the_help_prints_one_field_a_line(warehouse: Warehouse, connection: Connection) -> None:
    with warehouse.transaction():
        pass
    warehouse.publish()
    columns, _ = read_only("from operations limit 5", connection)
    said = printed(columns, [tuple(f"value {number}" for number, _ in enumerate(columns))])
    lines = said.splitlines()
    assert len(lines) == 1 + len(columns)
    assert [line.split(maxsplit=1) for line in lines[1:]] == [
        [column, f"value {number}"] for number, column in enumerate(columns)
    ]


def test_what_fits_is_a_table_and_a_long_last_column_is_broken() -> None:
    said = printed(["day", "comment"], [("2026-11-25", "слово " * 40)])
    assert said.startswith("┏")
    assert "2026-11-25" in said
    assert max(map(len, said.splitlines())) <= 80


def test_empty_columns_are_left_out_and_no_rows_are_reported() -> None:
    columns = [f"column_{number}" for number in range(20)]
    assert "column_7" not in printed(columns, [(*range(7), None, *range(8, 20))])
    assert printed(columns, []).startswith("no rows; columns: column_0, column_1")


@pytest.mark.parametrize(
    "text", ["=1+1", "+380671234567", "-1+1", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", "a;=1", "a\n=1"]
)
def test_no_cell_is_a_formula(text: str) -> None:
    for cell in [one for delimiter in ",;\t" for one in cells(csv_of(text), delimiter)]:
        assert cell.lstrip()[:1] not in set("=+-@＝＋－＠") - {""}


@given(st.text(st.sampled_from(" =+-@;,\t\n\"'1a"), max_size=8))
def test_no_cell_is_a_formula_whatever_the_list_separator(text: str) -> None:
    for delimiter in ",;\t":
        for cell in cells(csv_of("x", text, "y"), delimiter):
            begin = cell.lstrip(' \t\n"')[:1]
            assert begin not in ("=", "+", "@") or not begin, (text, cell)


def test_money_is_exact_and_negative_numbers_stay_numbers() -> None:
    row = (Decimal("-1234567890123456.78"), Decimal("0.10"), -5, "-12.50", None, -1e-9)
    assert csv_of(*row).splitlines()[1] == "-1234567890123456.78,0.10,-5,-12.50,,-1e-09"


def test_csv_has_a_byte_order_mark_except_on_a_terminal() -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    for kind, begins in ((io.TextIOWrapper, b"\xef\xbb\xbfa"), (Terminal, b"a")):
        stream = kind(io.BytesIO(), encoding="utf-8")
        write_csv(stream, ["a"], [("Каса",)])
        stream.flush()
        written = stream.buffer.getvalue()  # type: ignore[attr-defined]
        assert written.startswith(begins)
        assert "Каса".encode() in written


@pytest.mark.parametrize("query", ["", " ", ";", "-- nothing", "from nosuch", "insert into operations default values"])
def test_a_query_that_cannot_be_answered_is_said(query: str, warehouse: Warehouse, connection: Connection) -> None:
    with warehouse.transaction():
        pass
    warehouse.publish()
    with pytest.raises(ConfigurationError):
        read_only(query, connection)


def test_nothing_synced_yet_is_said(connection: Connection) -> None:
    with pytest.raises(ConfigurationError, match="nothing has been synced yet"):
        read_only("select 1", connection)


def test_a_first_run_that_has_not_ended_is_said(warehouse: Warehouse, connection: Connection) -> None:
    with warehouse.transaction():
        pass
    with warehouse.run(wait=0), pytest.raises(ConfigurationError, match="its first run has not ended yet"):
        read_only("select 1", connection)
    warehouse.read_path.unlink()
    with pytest.raises(ConfigurationError, match="its first run did not end"):
        read_only("select 1", connection)


def test_the_data_is_never_changed(warehouse: Warehouse, connection: Connection) -> None:
    with warehouse.transaction():
        pass
    warehouse.publish()
    before = warehouse.read_path.read_bytes()
    with pytest.raises(ConfigurationError):
        read_only("delete from operations", connection)
    assert warehouse.read_path.read_bytes() == before
    with duckdb.connect(warehouse.read_path, read_only=True) as con:
        assert con.execute("select count(*) from operations").fetchone() == (0,)


def test_json_is_a_list_of_objects_dates_and_decimals_as_text(
    warehouse: Warehouse, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouse.transaction():
        pass
    warehouse.publish()
    query = """
        select 'Каса' as account, 1234567890123456.70::decimal(18, 2) as amount, date '2026-11-25' as day,
            timestamptz '2026-11-25 10:00:00+02' as at, 7 as n, true as yes, null as nothing, 'nan'::double as odd,
            [1.50::decimal(4, 2)] as list, {'day': date '2026-11-25'} as struct, 8 as n
    """
    result = CliRunner().invoke(cli, ["sql", "--json", query])
    assert result.exit_code == 0, result.output
    assert "Каса" in result.output
    assert json.loads(result.output) == [
        {
            "account": "Каса", "amount": "1234567890123456.70", "day": "2026-11-25", "at": "2026-11-25 10:00:00+02:00",
            "n": 7, "yes": True, "nothing": None, "odd": "nan", "list": ["1.50"], "struct": {"day": "2026-11-25"},
            "n_2": 8,
        }
    ]  # fmt: skip
    assert json.loads(CliRunner().invoke(cli, ["sql", "--json", "from operations"]).output) == []
    assert CliRunner().invoke(cli, ["sql", "--json", "--csv", "select 1"]).exit_code == 2
