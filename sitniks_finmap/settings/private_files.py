"""The data folder; files and folders readable only by their owner."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sitniks_finmap.settings.connections import ConfigurationError

INDEX = "index"  # the page over all reports
UNFINISHED_RESTORE = "restoring.json"  # in the data folder, while a restore moves files into it


def data_folder() -> Path:
    """The folder of the DuckDB files. Raises ConfigurationError for a path that DuckDB does not accept, and while half
    of a backup is restored into it.
    """
    folder = Path(os.environ.get("SITNIKS_FINMAP_DATA") or "data").absolute()
    if "?" in str(folder):
        raise ConfigurationError(f'DuckDB cannot keep files in {folder}: set SITNIKS_FINMAP_DATA to a path without "?"')
    if os.path.exists(folder / UNFINISHED_RESTORE):  # False without permission: what needs the folder says so
        raise ConfigurationError(
            f"a restore into {folder} was interrupted or is in progress: nothing runs on half of the data. Run "
            "`sitniks-finmap restore` again to finish it"
        )
    return folder


def report_path(name: str) -> Path:
    """Where the report of a connection is by default; the index is beside it. Raises ConfigurationError."""
    return data_folder() / "reports" / f"{name}{'-shop' if name == INDEX else ''}.html"


def private_folder(folder: Path) -> None:
    """Create a folder that only its owner may enter; an existing one is left as is."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)  # parents=True would make the parents world-readable


_PRIVATE = threading.Lock()
_private: list[int] = []  # the previous umask, once per thread inside


@contextmanager
def private_files() -> Iterator[None]:
    """Make files created inside readable only by their owner: DuckDB creates its file, WAL and spill files itself,
    possibly in a shared folder. The umask is process-wide; the last thread to leave restores it.
    """
    with _PRIVATE:
        _private.append(_private[0] if _private else os.umask(0o077))
    try:
        yield
    finally:
        with _PRIVATE:
            before = _private.pop()
            if not _private:
                os.umask(before)
