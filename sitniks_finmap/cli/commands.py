"""The `sitniks-finmap` command line: which commands there are; each is imported when it is used."""

import os
from importlib import import_module

import click

from sitniks_finmap import __version__
from sitniks_finmap.cli.exits import run_command
from sitniks_finmap.names import nearest
from sitniks_finmap.settings.text_files import Unreadable, load_env

PROGRAM = "sitniks-finmap"
COMPLETING = "_SITNIKS_FINMAP_COMPLETE"  # set by the shell's completion, with what it asks for

# Name → the module of the command, and the first line of its help: `--help` imports none of them.
COMMANDS = {
    "accept-key": ("identity_commands", "Accept a key that looks like another company's."),
    "alert-test": ("alert_commands", "Send a test message to everybody who is notified."),
    "approve": ("decision_commands", "Approve pending changes; the next sync applies them."),
    "backup": ("backup_commands", "Write everything into one archive while runs continue."),
    "catch-up": ("decision_commands", "Skip history: never post anything dated on or before a day."),
    "demo": ("sandbox_commands", "Run the main job against a simulated shop."),
    "dismiss": ("decision_commands", "Dismiss pending changes; Finmap stays as it is."),
    "doctor": ("sync_commands", "Check keys, account, permissions and API format."),
    "explain": ("sync_commands", "Show what happened to one transaction or order, and why."),
    "hosts": ("host_commands", "List the hosts that share one Dagster, with their shops."),
    "init": ("init_commands", "Connect a shop: ask, check, write, preview."),
    "preview": ("sync_commands", "Show what a sync would write; write nothing."),
    "rebuild-ledger": ("sync_commands", "Rebuild the ledger from Finmap after its file was lost."),
    "rename": ("identity_commands", "Rename a connection; its operations in Finmap stay."),
    "report": ("report_commands", "Write the owner's report, an HTML page for each shop."),
    "restore": ("backup_commands", "Restore an archive that backup wrote."),
    "rollback": ("decision_commands", "Delete from Finmap what a run created; ask first."),
    "sandbox": ("sandbox_commands", "Serve both APIs on this machine until Ctrl-C."),
    "sql": ("reading_commands", "Query the staged data with SQL."),
    "status": ("reading_commands", "Show one line for each connection."),
    "sync": ("sync_commands", "Sync now and deliver everything."),
    "watch": ("alert_commands", "Check everything from outside Dagster, and notify people."),
}


class Commands(click.Group):
    """A group that imports a command when it is used: importing all of them takes half a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__package__}.{COMMANDS[cmd_name][0]}")
        return getattr(module, cmd_name.replace("-", "_"))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UsageError that names the command which was meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Move financial transactions from Sitniks into Finmap.

    Settings are in connections.toml, keys in the environment or .env. Exit codes: 0 done, 1 something failed,
    2 usage or configuration error. doctor and status are reports: they exit with 1 if they report any error, invalid
    configuration included, and with 2 only if there is nothing to report on.
    """


def main() -> None:
    run_command(start)


def start() -> None:
    try:
        load_env()
    except Unreadable:
        if COMPLETING not in os.environ:  # a shell that completes a word has nowhere to show it
            raise
    cli.main(prog_name=PROGRAM, complete_var=COMPLETING, standalone_mode=False)
