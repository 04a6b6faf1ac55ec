"""Files and folders that only their owner may read."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Makes a folder that only its owner may enter; one that exists is left as it is."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)  # with parents=True the parents would be open to everybody


_PRIVATE = threading.Lock()
_private: list[int] = []  # the umask before, once for each thread that is inside


@contextmanager
def private_files() -> Iterator[None]:
    """Whatever is made meanwhile only its owner may read: DuckDB makes a file, its WAL and what it spills by itself,
    and the folder may be open to others. The umask is the process's: the last thread that leaves restores it.
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
