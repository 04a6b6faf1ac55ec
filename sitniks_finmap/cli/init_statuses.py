"""The question of `init` about what the order statuses mean."""

import re
from typing import Any

from sitniks_finmap.cli import init_texts as texts
from sitniks_finmap.cli.init_answers import Answers
from sitniks_finmap.names import nearest, normal_name
from sitniks_finmap.settings.connections import STAGES, ConfigurationError

Status = tuple[str, str]  # ID, title
STAGE_WORDS: dict[str, str] = dict(
    zip(STAGES, (texts.PAID, texts.PREPAID, texts.REFUNDED, texts.PARTLY_REFUNDED, texts.CANCELLED), strict=True)
)
# What a title proposes; a person confirms it.
PROPOSED = (
    ("", r"^(не|очіку|част\w* (оплач|сплач))|unpaid|^not |pending"),
    ("partly_refunded", r"част\w* (поверн|відшкод)|part\w* (refund|return)"),
    ("refunded", r"поверн|відшкод|refund|return"),
    ("cancelled", r"відмін|скас|анульов|cancel"),
    ("prepaid", r"передплат|передоплат|аванс|prepa"),
    ("paid", r"викона|оплачен|сплачен|завершен|paid|complete|done"),
)


def ask_statuses(answers: Answers) -> None:
    """Fills the lists of [….orders]."""
    asker, given = answers.asker, answers.options.statuses
    statuses = [(id, title) for id, title, *_ in answers.sitniks.statuses]
    if not statuses:
        raise asker.wrong(texts.NO_STATUSES)
    lists: dict[str, Any] = answers.table.setdefault("orders", {})
    meanings = _present(answers, statuses, lists)
    if any(given.values()):
        for stage, names in given.items():
            if names:
                meanings = {one: of for one, of in meanings.items() if of != stage}
                meanings |= dict.fromkeys((_status(answers, name, statuses) for name in names), stage)
    elif asker.interactive:
        if not meanings:
            meanings = {n: stage for n, (_, title) in enumerate(statuses) if (stage := proposed_stage(title))}
        meanings = _corrected(answers, statuses, meanings)
    if "paid" not in meanings.values():
        raise asker.wrong(texts.STATUS_PAID_MISSING)
    _save(lists, statuses, meanings)


def proposed_stage(title: str) -> str:
    """What a title suggests that a status means, or nothing."""
    return next((stage for stage, words in PROPOSED if re.search(words, normal_name(title))), "")


def _present(answers: Answers, statuses: list[Status], lists: dict[str, Any]) -> dict[int, str]:
    """Position of a status → its stage in the lists as they are. A cloned shop leaves out what its Sitniks lacks."""
    found: dict[int, str] = {}
    missing: list[str] = []
    for stage in STAGES:
        for name in list(lists.get(stage, [])):
            position = _position(name, statuses)
            if position is not None:
                found[position] = stage
            elif answers.options.clone:
                missing.append(name)
                lists[stage] = [one for one in lists[stage] if one != name]
    if missing:
        answers.asker.note(answers.asker.text(texts.STATUSES_LEFT_OUT, names=", ".join(missing)), "warning")
    return found


def _position(name: str, statuses: list[Status]) -> int | None:
    by_id = [n for n, (id, _) in enumerate(statuses) if id == name.strip()]
    by_title = [n for n, (_, title) in enumerate(statuses) if normal_name(title) == normal_name(name)]
    return next(iter(by_id or by_title), None)


def _status(answers: Answers, name: str, statuses: list[Status]) -> int:
    position = _position(name, statuses)
    if position is None:
        titles = [title for _, title in statuses]
        known = ", ".join(f"{title} ({id})" for id, title in statuses)
        raise answers.asker.wrong(texts.STATUS_UNKNOWN, status=name, meant=nearest(name, titles), all=known)
    return position


def _corrected(answers: Answers, statuses: list[Status], meanings: dict[int, str]) -> dict[int, str]:
    """Shows what each status means, until a person agrees."""
    asker, latest = answers.asker, len(answers.sitniks.latest_orders.rows)
    asker.say("   " + asker.text(texts.STATUSES))
    example = f"{len(statuses)}={asker.text(texts.CANCELLED)}, 1={asker.text(texts.NO_MONEY)}"
    prompt = asker.text(texts.STATUSES_PROMPT, example=example)
    width = max(len(title) for _, title in statuses)
    while True:
        for number, (_, title, orders, _) in enumerate(answers.sitniks.statuses, 1):
            of = asker.text(texts.STATUS_ROW, orders=orders, all=latest)
            word = asker.text(STAGE_WORDS.get(meanings.get(number - 1, ""), texts.NO_MONEY))
            asker.say(f"   {number:>3}) {title:<{width}}  {of:<22}  {word}")
        answer = asker.ask(prompt)
        try:
            if not answer and "paid" not in meanings.values():
                raise asker.wrong(texts.STATUS_PAID_MISSING)
            if not answer:
                return meanings
            meanings = _with_corrections(answers, answer, statuses, meanings)
        except ConfigurationError as error:
            asker.note(asker.language.say(str(error)), "error")


def _with_corrections(
    answers: Answers, answer: str, statuses: list[Status], meanings: dict[int, str]
) -> dict[int, str]:
    """Raises WrongAnswer."""
    asker, changed = answers.asker, dict(meanings)
    words = {asker.text(word).casefold(): stage for stage, word in STAGE_WORDS.items()}
    words |= {stage: stage for stage in STAGES} | {asker.text(texts.NO_MONEY).casefold(): "", "nothing": "", "-": ""}
    for part in filter(None, (one.strip() for one in re.split("[,;]", answer))):
        which, _, word = (one.strip() for one in part.partition("="))
        stage = words.get(" ".join(word.casefold().split()))
        if stage is None:
            known = ", ".join(asker.text(one) for one in (*STAGE_WORDS.values(), texts.NO_MONEY))
            raise asker.wrong(texts.STATUS_FORM, part=part, words=known)
        by_number = which.isdecimal() and 0 < int(which) <= len(statuses)
        changed[int(which) - 1 if by_number else _status(answers, which, statuses)] = stage
    return {position: stage for position, stage in changed.items() if stage}


def _save(lists: dict[str, Any], statuses: list[Status], meanings: dict[int, str]) -> None:
    """Lists whose meaning is unchanged stay as they are written, and so do statuses that Sitniks does not list."""
    for stage in STAGES:
        wanted = [position for position, of in sorted(meanings.items()) if of == stage]
        written = lists.get(stage, [])
        if {_position(name, statuses) for name in written} - {None} == set(wanted) and (written or not wanted):
            continue
        unlisted = [name for name in written if _position(name, statuses) is None]
        lists[stage] = [_name(position, statuses) for position in wanted] + unlisted
    for stage in [stage for stage in STAGES if lists.get(stage) == []]:
        del lists[stage]


def _name(position: int, statuses: list[Status]) -> str:
    """The title, or the ID if the title is not the only one."""
    id, title = statuses[position]
    same = [one for _, one in statuses if normal_name(one) == normal_name(title)]
    return title.strip() if title.strip() and len(same) == 1 else id
