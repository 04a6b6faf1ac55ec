"""What a Ukrainian reads at the terminal: nothing is untranslated, nothing is changed but the words."""

import re

from sitniks_finmap.language import Language
from sitniks_finmap.people.findings import OF_ORDERS, ON_ITS_WAY, RECORDS
from sitniks_finmap.pipeline.checks import CHECKS
from sitniks_finmap_tests import sentences
from sitniks_finmap_tests.english_left import english_in

UKRAINIAN = Language("uk")


def untranslated(said: list[tuple[str, str]]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    for where, sentence in said:
        words = UKRAINIAN.say(sentence)
        if english_in(words) or words == sentence:
            wrong[sentence] = f"{where}: {words}"
    return wrong


def test_every_error_and_finding_has_ukrainian_words() -> None:
    found = list(sentences.sentences())
    assert len(found) > 250
    assert untranslated(found) == {}


def test_every_kind_of_problem_has_ukrainian_words() -> None:
    texts = [*RECORDS.values(), *OF_ORDERS.values(), *ON_ITS_WAY.values()]
    said = [re.sub(r"\{\w+\}", "7", text.replace("{unmapped}", how)) for text in texts for how in UNMAPPED]
    said = [one.replace("(7)", "(2025-01-01 to 2025-01-02)") if "re-read: " in one else one for one in said]
    assert untranslated([("findings.py", one) for one in said]) == {}


UNMAPPED = ("go to `finmap_account`", "are rejected")


def test_every_check_has_ukrainian_words() -> None:
    said = [one for check in CHECKS for one in (check.description, f"{check.problem} {check.remedy}")]
    assert untranslated([("checks.py", re.sub(r"\{\w+\}", "7", one)) for one in said]) == {}


def test_every_reason_of_the_sql_has_ukrainian_words() -> None:
    found = list(sentences.reasons())
    assert len({said for _, said in found}) > 80
    assert untranslated(found) == {}


def test_every_text_that_is_said_has_ukrainian_words() -> None:
    found = list(sentences.texts())
    assert len(found) > 150
    missing = {where: text for where, text in found if not UKRAINIAN.knows(text if isinstance(text, str) else text[0])}
    assert {where: text for where, text in missing.items() if text not in SAME_IN_BOTH} == {}


SAME_IN_BOTH = ("Dagster UI", "{shop}: {what}")
