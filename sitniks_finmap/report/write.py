"""Writes the pages, by default into <data>/reports, readable only by their owner."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sitniks_finmap.alerts.recipients import operator_language
from sitniks_finmap.alerts.wording import DEFAULT_ZONE
from sitniks_finmap.language import Language
from sitniks_finmap.report.answer import Answer
from sitniks_finmap.report.fleet import index_of, line_of, line_of_wrong
from sitniks_finmap.report.shop import ShopReport, page_of, report_of
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import WrongConnection
from sitniks_finmap.settings.private_files import INDEX, data_folder, private_files, private_folder, report_path
from sitniks_finmap.warehouse.store import Warehouse, explain_os_errors


@dataclass(frozen=True)
class Written:
    """The page of one shop: what it is about, where it is, and its answer in the language of the shop."""

    report: ShopReport
    path: Path
    answer: Answer


def index_path() -> Path:
    return data_folder() / "reports" / f"{INDEX}.html"


def write_report(
    connection: Connection, warehouse: Warehouse, now: datetime, month: date | None = None, path: Path | None = None
) -> Written:
    """Writes the report of one shop, which also says so if its data cannot be read.

    Raises WarehouseError if the page cannot be written.
    """
    report = report_of(connection, warehouse, now, month)
    path = path or report_path(connection.name)
    write_page(path, page_of(report, now), connection.name)
    answer, _ = report.told(Language(connection.language))
    return Written(report, path, answer)


def write_index(
    written: Sequence[Written], wrong: Sequence[WrongConnection], now: datetime, month: date | None = None
) -> Path:
    """Writes the index over all shops, in the operator's language. Raises WarehouseError."""
    language = operator_language()
    lines = [line_of_wrong(one, language) for one in wrong]
    lines += [line_of(one.report, one.path.name, language) for one in written]
    month = month or now.astimezone(DEFAULT_ZONE).date().replace(day=1)
    write_page(index_path(), index_of(lines, month, now, language))
    return index_path()


def write_page(path: Path, html: str, connection: str | None = None) -> None:
    """Replaces a page at once: whoever has it open sees the old one or the new one. Raises WarehouseError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with explain_os_errors(path, connection):
        private_folder(path.parent)
        try:
            with private_files():
                fresh.write_text(html, "utf-8")
            os.replace(fresh, path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            raise
