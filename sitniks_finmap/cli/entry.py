"""Where the command begins: until it is imported, nothing of it can answer Ctrl-C."""

import sys


def main() -> None:
    try:
        from sitniks_finmap.cli.commands import main as command
    except KeyboardInterrupt:
        sys.exit(130)
    command()
