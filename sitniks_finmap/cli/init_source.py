"""The question of `init` about the source."""

from sitniks_finmap.cli import init_texts as texts
from sitniks_finmap.cli.init_answers import Answers
from sitniks_finmap.cli.init_statuses import ask_statuses
from sitniks_finmap.people.probe import SOURCES
from sitniks_finmap.pipeline.identity import refuse_another_source
from sitniks_finmap.warehouse.store import open_warehouse

UNFIT = {
    "orders": ("accounts", "rules", "unmapped_accounts", "categories"),
    "transactions": ("orders", "channels", "categories"),
}


def ask_source(answers: Answers) -> None:
    asker, sides = answers.asker, answers.sitniks
    asker.step(4, texts.SOURCE)
    present = (
        answers.table.get("source", "transactions")
        if answers.table.get("start_date") or answers.options.clone
        else None
    )
    if asker.interactive and answers.options.source is None:
        for number, (source, line) in enumerate(zip(SOURCES, (texts.TRANSACTIONS, texts.ORDERS), strict=True), 1):
            asker.say(f"   {number}) {asker.text(line)} ({_seen(answers, source)})")
    proposed = present if present in sides.pages else sides.proposed
    given = answers.options.source
    source = asker.until_right(
        present if given is None and not asker.interactive else given,
        lambda: asker.ask(asker.text(texts.SOURCE_PROMPT), str(SOURCES.index(proposed) + 1)),
        lambda answer: _source(answers, answer),
    )
    if source != answers.table.get("source", "transactions"):
        gone = [key for key in UNFIT[source] if answers.table.pop(key, None)]
        if gone:
            asker.note(asker.text(texts.SETTINGS_GO, names=", ".join(gone)), "warning")
        answers.table.pop("source", None)
        if source == "orders":
            answers.table = {"source": "orders", **answers.table}
    if source == "orders":
        ask_statuses(answers)


def _seen(answers: Answers, source: str) -> str:
    page = answers.sitniks.pages.get(source)
    if page is None:
        return answers.asker.text(texts.UNREADABLE)
    count = page.count if page.count is not None else len(page.rows)
    return answers.asker.text(texts.SEEN, count=answers.asker.language.number(count))


def _source(answers: Answers, answer: str) -> str:
    asker = answers.asker
    if answer.casefold() not in ("1", "2", *SOURCES):
        raise asker.wrong(texts.SOURCE_FORM)
    source = SOURCES[int(answer) - 1] if answer.isdecimal() else answer.casefold()
    if source not in answers.sitniks.pages:
        [other] = [one for one in SOURCES if one != source]
        raise asker.wrong(texts.SOURCE_UNREADABLE, source=source, other=other)
    connection = answers.asking().model_copy(update={"source": source})
    warehouse = open_warehouse(connection)
    if warehouse.exists():
        with warehouse.transaction() as con:
            refuse_another_source(con, connection)
    return source
