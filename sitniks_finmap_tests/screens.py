"""What people see: the output of a command, taken apart."""

import re
from io import StringIO

from rich.console import Console

from sitniks_finmap.people.explain import explain
from sitniks_finmap_tests.books import Books


def told(books: Books, wanted: str) -> dict[str, str]:
    """What `explain` prints, by section."""
    out = Console(file=StringIO(), soft_wrap=True, highlight=False)
    assert explain(out, books.run, wanted)
    assert isinstance(out.file, StringIO)
    sections = re.split(r"\n\n(.+)\n", "\n\nhead\n" + out.file.getvalue())
    return dict(zip(sections[1::2], sections[2::2], strict=True))
