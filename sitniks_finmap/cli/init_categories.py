"""The questions of `init` about categories and tags, and what a cloned shop names but its Finmap lacks."""

from typing import Any

from sitniks_finmap.cli import init_texts as texts
from sitniks_finmap.cli.init_answers import Answers
from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.names import nearest
from sitniks_finmap.pipeline.directory import named
from sitniks_finmap.settings.connections import ORDER_CLASSIFICATIONS, Rule, built_in_rules


def leave_out_missing(answers: Answers) -> None:
    """Only for a new shop with the settings of another."""
    if not answers.options.clone:
        return
    accounts, table = answers.finmap.accounts, answers.table
    gone: list[str] = []
    for setting in ("accounts", "channels"):
        for name, wanted in [*table.get(setting, {}).items()]:
            if len(named(wanted, accounts)) != 1:
                del table[setting][name]
                gone.append(f"{setting}.{name}")
    stock = table.get("orders", {}).get("stock_account")
    if stock and len(named(stock, accounts)) != 1:
        del table["orders"]["stock_account"]
        gone.append("orders.stock_account")
    for classification, wanted in [*table.get("categories", {}).items()]:
        if not any(len(named(wanted, labels)) == 1 for labels in answers.finmap.categories.values()):
            del table["categories"][classification]
            gone.append(f"categories.{classification}")
    for setting in ("accounts", "channels", "categories"):
        if table.get(setting) == {}:
            del table[setting]
    if gone:
        answers.asker.note(answers.asker.text(texts.LEFT_OUT, names=", ".join(gone)), "warning")


def ask_more(answers: Answers) -> None:
    asker, options = answers.asker, answers.options
    if options.source_as_tag is not None:
        answers.table["source_as_tag"] = options.source_as_tag
    for part in options.categories:
        _take_category(answers, part)
    if options.categories or options.source_as_tag is not None or not asker.interactive:
        return
    asker.say("")
    if not asker.ask_yes(asker.text(texts.MORE), default=False):
        return
    _ask_categories(answers)
    present = answers.table.get("source_as_tag", answers.of_orders)
    if (tag := asker.ask_yes(asker.text(texts.TAG), default=present)) != present:
        answers.table["source_as_tag"] = tag


def classifications(table: dict[str, Any]) -> list[str]:
    """The classifications that operations of this table may have."""
    if table.get("source") == "orders":
        return [*ORDER_CLASSIFICATIONS]
    own = [Rule.model_validate(rule) for rule in table.get("rules", [])]
    return [*dict.fromkeys(rule.classification for rule in [*own, *built_in_rules()])]


def _category_names(answers: Answers) -> list[str]:
    return [*dict.fromkeys(one.label for labels in answers.finmap.categories.values() for one in labels)]


def _ask_categories(answers: Answers) -> None:
    asker, chosen = answers.asker, answers.table.setdefault("categories", {})
    try:
        names = _category_names(answers)
    except ApiError as error:
        names = []
        asker.note(asker.language.say(str(error)), "warning")
    if not names:
        asker.note(asker.text(texts.NO_CATEGORIES), "warning")
    else:
        listed = ", ".join(f"{number}) {name}" for number, name in enumerate(names, 1))
        asker.say("   " + asker.text(texts.CATEGORIES_THERE, names=listed))
    for classification in classifications(answers.table) if names else ():
        default = chosen.get(classification) or asker.text(texts.NO_CATEGORY)
        prompt = asker.text(texts.CATEGORY_PROMPT, classification=classification, default=default)
        asker.until_right(None, lambda p=prompt: asker.ask(p), lambda a, c=classification: _choose(answers, c, a))
    if not chosen:
        del answers.table["categories"]


def _take_category(answers: Answers, part: str) -> None:
    classification, equals, wanted = (one.strip() for one in part.partition("="))
    if not equals or not wanted:
        raise answers.asker.wrong(texts.CATEGORY_FORM, part=part)
    known = classifications(answers.table)
    if classification not in known:
        meant = nearest(classification, known)
        raise answers.asker.wrong(
            texts.CLASSIFICATION_UNKNOWN, classification=classification, meant=meant, all=", ".join(known)
        )
    answers.table.setdefault("categories", {})
    _choose(answers, classification, wanted)


def _choose(answers: Answers, classification: str, answer: str) -> None:
    """Raises WrongAnswer."""
    asker, names = answers.asker, _category_names(answers)
    if not answer:
        return
    if answer.isdecimal() and 0 < int(answer) <= len(names):
        answer = names[int(answer) - 1]
    found = [named(answer, labels) for labels in answers.finmap.categories.values()]
    if any(len(one) > 1 for one in found):
        raise asker.wrong(texts.CATEGORY_SEVERAL, category=answer)
    if not any(found):
        raise asker.wrong(texts.CATEGORY_UNKNOWN, category=answer, meant=nearest(answer, names))
    answers.table["categories"][classification] = answer
