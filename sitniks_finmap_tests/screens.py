"""What people see: the output of commands and screens."""

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

from click.testing import CliRunner
from rich.console import Console

from sitniks_finmap.cli.commands import cli
from sitniks_finmap.people.explain import explain
from sitniks_finmap_tests.books import Books

ANY_MARK = ("✓", "!", "✗")
Doctor = Callable[[], tuple[int, str]]  # exit code and output of `doctor`


def printed(screen: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """What a screen returns and prints."""
    out = Console(file=StringIO(), soft_wrap=True, highlight=False)
    result = screen(out, *arguments)
    assert isinstance(out.file, StringIO)
    return result, out.file.getvalue()


def told(books: Books, wanted: str) -> dict[str, str]:
    """What `explain` prints, by section."""
    found, said = printed(explain, books.run, wanted)
    assert found
    sections = re.split(r"\n\n(.+)\n", "\n\nhead\n" + said)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


def command(*arguments: str, answer: str | None = None) -> tuple[int, str]:
    """Exit code and output of a command, which never ends in a traceback."""
    result = CliRunner().invoke(cli, arguments, input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output
