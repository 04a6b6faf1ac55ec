"""The entry point, which handles Ctrl-C while the command is being imported."""

import sys


def main() -> None:
    try:
        from sitniks_finmap.cli.commands import main as command
    except KeyboardInterrupt:
        sys.exit(130)
    command()
