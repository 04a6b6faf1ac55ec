"""The command that connects a shop, or changes one: init."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from sitniks_finmap.cli import init_texts as texts
from sitniks_finmap.cli.asking import Asker, has_terminal
from sitniks_finmap.cli.exits import INTERRUPTED
from sitniks_finmap.cli.init_answers import Answers, Options
from sitniks_finmap.cli.init_categories import ask_more, leave_out_missing
from sitniks_finmap.cli.init_ending import finish
from sitniks_finmap.cli.init_questions import ask_account, ask_key, ask_name, ask_start
from sitniks_finmap.cli.init_source import ask_source
from sitniks_finmap.cli.init_writing import Files, agreed, write
from sitniks_finmap.cli.terminal import CONNECTION_NAME, out
from sitniks_finmap.days import utc_now
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.probe import refuse_what_is_known
from sitniks_finmap.settings.connections import STAGES
from sitniks_finmap.settings.text_files import load_env

KEY = "`-` reads it from standard input, env:NAME from that variable."


@click.command()
@click.option("--connection", type=CONNECTION_NAME, metavar="NAME", help="Name of the shop; an existing one is edited.")
@click.option("--from", "clone", type=CONNECTION_NAME, metavar="NAME", help="Copy the settings of this connection.")
@click.option("--sitniks-key", metavar="FROM", help=f"Sitniks key: {KEY}")
@click.option("--finmap-key", metavar="FROM", help="Finmap key, given in the same way.")
@click.option("--source", type=click.Choice(["transactions", "orders"]), help="What to take from Sitniks.")
@click.option("--paid", multiple=True, metavar="STATUS", help="A status of orders paid in full. Repeatable.")
@click.option("--prepaid", multiple=True, metavar="STATUS", help="A status of orders with a prepayment. Repeatable.")
@click.option("--refunded", multiple=True, metavar="STATUS", help="A status of refunded orders. Repeatable.")
@click.option("--partly-refunded", multiple=True, metavar="STATUS", help="One of orders refunded in part. Repeatable.")
@click.option("--cancelled", multiple=True, metavar="STATUS", help="A status of cancelled orders. Repeatable.")
@click.option("--account", metavar="NAME", help="Finmap account, by name or ID.")
@click.option("--since", metavar="DAY", help="First day to import, e.g. 2025-01-15, or `today`.")
@click.option("--skip-until", metavar="DAY", help="History: read up to this day, but never post it.")
@click.option("--category", "categories", multiple=True, metavar="WHAT=NAME", help="A Finmap category. Repeatable.")
@click.option("--source-as-tag/--no-source-as-tag", default=None, help="Add the source of the sale as a tag.")
@click.option("--sitniks-url", metavar="URL", help="Another address of the Sitniks API, such as the sandbox's.")
@click.option("--finmap-url", metavar="URL", help="Another address of the Finmap API.")
@click.option("--yes", is_flag=True, help="Write without asking.")
def init(**given: Any) -> None:
    """Connect a shop: ask, check, write, preview.

    Asks six questions, checks each answer with Sitniks and Finmap, writes connections.toml and .env, and ends with
    `doctor` and a preview of the first import. Run it again to edit a shop. Each question has an option:

    \b
    sitniks-finmap init --connection shop_1 --sitniks-key env:KEY_S --finmap-key env:KEY_F
                        --source transactions --account Каса --since today --yes

    Example, to copy a shop: sitniks-finmap init --from sitniks_user_1 --connection shop_2
    """
    statuses = {stage: given.pop(stage) for stage in STAGES}
    options = Options(statuses=statuses, **given)
    asker = Asker(out, terminal_language(), interactive=has_terminal())
    files = Files()
    answers = Answers(asker, options, files.tables(), utc_now())
    try:
        with ExitStack() as kept:
            kept.enter_context(answers.environment())
            _require(answers)
            _interview(answers)
            connection = answers.connection()
            changed = files.prepare(answers)
            if changed and not agreed(answers, files):
                asker.say(asker.text(texts.DECLINED))
                return
            if changed:
                write(answers, files)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\n" + asker.text(texts.INTERRUPTED), err=True)
        sys.exit(INTERRUPTED)
    asker.note(asker.text(texts.WRITTEN, what=files.written) if changed else asker.text(texts.NOTHING_CHANGES))
    load_env(Path(files.env.path))
    sys.exit(finish(asker, connection))


def _require(answers: Answers) -> None:
    """Raises UsageError that names the missing options, if nobody can be asked."""
    if answers.asker.interactive:
        return
    given, missing = answers.options, list[str]()
    known: Any = answers.tables.get(given.connection or "") or answers.tables.get(given.clone or "") or {}
    if not given.connection:
        missing.append("--connection NAME")
        keys = {"--sitniks-key": given.sitniks_key, "--finmap-key": given.finmap_key}
        missing += [option for option, key in keys.items() if not key]
    else:
        answers.begin(given.connection, given.clone)
        missing += [f"--{side}-key" for side in ("sitniks", "finmap") if not answers.has_key(side)]
    if not (given.source or known):
        missing.append("--source")
    if (given.source or known.get("source")) == "orders" and not (given.statuses["paid"] or known.get("orders")):
        missing.append("--paid")
    if not (given.account or known.get("finmap_account")):
        missing.append("--account")
    if not (given.since or answers.table.get("start_date")):
        missing.append("--since")
    if not given.yes:
        missing.append("--yes")
    if missing:
        raise click.UsageError(answers.asker.text(texts.MISSING, options=", ".join(missing)))


def _interview(answers: Answers) -> None:
    if answers.asker.interactive:
        answers.asker.say(answers.asker.text(texts.WELCOME))
    ask_name(answers)
    ask_key(answers, "sitniks")
    ask_key(answers, "finmap")
    ask_source(answers)
    ask_account(answers)
    leave_out_missing(answers)
    ask_start(answers)
    ask_more(answers)
    answers.refuse_clashes(answers.table)
    here, there = answers.sitniks.client, answers.finmap.client
    refuse_what_is_known(answers.connection(), here, there, answers.now, new=answers.is_new)
