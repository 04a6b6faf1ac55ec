"""How a command ends: what it prints if it fails, and the exit code."""

import codecs
import errno
import os
import sys
from collections.abc import Callable
from io import StringIO
from typing import Any, NoReturn, TextIO

import click

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
PLAIN = {"✓": "+", "✗": "x", "→": "->", "…": "...", "–": "-", "⚠": "!"}  # for terminals without these characters


def run_command(command: Callable[[], Any]) -> NoReturn:
    """Runs a command and exits: 0 done, 1 something failed, 2 usage or configuration error, 130 interrupted."""
    replace_unprintable(sys.stdout)
    replace_unprintable(sys.stderr)
    try:
        command()
        sys.stdout.flush()  # not at exit, where a full disk would cause a traceback
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except (click.Abort, KeyboardInterrupt):
        from sitniks_finmap.cli.errors import said_interruption

        click.echo(said_interruption(), err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as wrong:
        show_misuse(wrong)
        sys.exit(MISUSED)
    except BrokenPipeError:
        leave_quietly()
    except Exception as error:
        from sitniks_finmap.cli.errors import EXPECTED, describe, is_misconfigured, said_error

        if not isinstance(error, EXPECTED):
            raise
        click.echo(said_error(describe(error)), err=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO):
            leave_quietly()
        sys.exit(MISUSED if is_misconfigured(error) else FAILED)
    sys.exit(0)


def show_misuse(wrong: click.ClickException) -> None:
    """Prints what click prints, its last sentence in the language of the person."""
    from sitniks_finmap.cli.errors import said_error

    shown = StringIO()
    wrong.show(shown)
    said = wrong.format_message()
    usage = shown.getvalue().removesuffix(f"Error: {said}\n")
    click.echo(usage + said_error(said), err=True)


def leave_quietly() -> NoReturn:
    """Exits although stdout accepts no more; drops what is still buffered."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(FAILED)


def replace_unprintable(stream: TextIO) -> None:
    """Replaces characters that a non-UTF-8 terminal cannot print, instead of raising an exception."""
    codecs.register_error("plain", _plain)
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure and (stream.encoding or "").replace("-", "").lower() not in ("utf8", "utf8sig"):
        reconfigure(errors="plain")
    elif reconfigure:
        reconfigure(errors="backslashreplace")  # a file name need not be UTF-8


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
