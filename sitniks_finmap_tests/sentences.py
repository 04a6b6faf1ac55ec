"""The English sentences that the code makes: errors, findings, reasons, texts; read from its source."""

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

from sitniks_finmap.figures import counted

PACKAGE = Path(__file__).parents[1] / "sitniks_finmap"
ANYTHING = "7"  # stands for each value in a sentence
MOST = 60  # variants of one sentence

ERRORS = re.compile(
    r"\w*(Error|Refused|Failed|Unavailable|Unreachable|Unreadable|Limited|Paused|Busy|Damaged|Company)$"
)
# Which argument of these is a sentence.
SENTENCE_AT = {
    "Finding": 1, "WrongConnection": 1, "OtherInstallation": 0, "PostedElsewhere": 0, "IncompleteRead": 0,
    "RunsUnavailable": 0, "MissingKey": 0, "KeyRefused": 0, "StepFailed": 0, "CheckFailed": 0, "UsageError": 0,
    "fail": 0, "print_error": 0, "entry_to_retry": 1, "_deletion_pending": 1, "Unread": 2, "confirmed": 0,
}  # fmt: skip
# Functions that return a sentence, or a part of one.
RETURNED = {
    "cli/errors.py": ("describe",),
    "clients/reasons.py": ("refusal_of", "why_no_answer"),
    "clients/sitniks.py": ("ignored_filter",),
    "pipeline/identity.py": ("suspicion", "doubt_finmap", "doubt_sitniks"),
    "pipeline/installation.py": ("_said",),
    "pipeline/run.py": ("_unexpected",),
    "settings/text_files.py": ("_remedy",),
    "settings/wrong.py": ("_explain", "_remedy"),
    "warehouse/store.py": ("_set_aside", "_restore"),
}
# What values are that are sentences, or parts of them, made elsewhere: by their expression.
VALUES: dict[str, list[str]] = {
    "decision": ["approve", "dismiss"],
    "_why_nothing(transaction, order, known)": [
        ": none of its changes waits for a person; `sitniks-finmap explain 7` shows why",
    ],
    "_why_nothing(None, order, known)": [": no order with this number or ID was read from Sitniks"],
    "paused": ["requests may start again in 7 s"],
    "self._quoted(text, sent)": ["", ': "7"'],
    "place": [".env", "7 in .env"],
    "_nearest_day(text)": ["", "; the last one of that month is 7"],
    "counted(others.total, 'operation')": ["7 operations"],
    "'is' if others.total == 1 else 'are'": ["are"],
    "people/doctor_orders.py: seen": ["the latest 7 orders", "the last 30 days"],
    "pipeline/checks.py: what": [
        "unaccounted (7 wrong): Every live transaction is either an operation or rejected with a reason."
    ],
    "pipeline/directory.py: there": ["income: 7; expense: 7"],
    "pipeline/installation.py: what": ["7 transactions", "7 orders"],
    "source": ["transactions", "orders"],
    "at": ["7"],
}
# Keywords that are a sentence.
KEYWORDS = ("last_error",)
# For programmers, or English by design.
LEFT_ENGLISH = {
    "failpoint.py": "set by tests only",
    "language/catalogue.py": "a mistake in the catalogue",
    "alerts/state.py": "SQLite's own words",
    "settings/last_good.py: no setting is a 7": "a mistake in the code",
    "clients/finmap.py: no number": "caught where it is raised",
    "days.py: {": "",
    "defs/housekeeping.py": "shown by Dagster only",
    "defs/launch.py: 7: 7": "Dagster's own words about dagster.yaml",
    "cli/init": "said by language.text already",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module's path in the package, and its syntax."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "sandbox" not in path.relative_to(PACKAGE).parts:
            yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text("utf-8"))


def sentences() -> Iterator[tuple[str, str]]:
    """Where, and each error, finding or reason, its values replaced with ANYTHING."""
    for name, tree in modules():
        if any(name.startswith(one) for one in LEFT_ENGLISH):
            continue
        for function, node in _nodes(tree):
            for expression in _told(name, function, node):
                for said in Variants(name, function).of(expression):
                    if f"{name}: {said}" not in LEFT_ENGLISH and re.search(r"[a-z]{2} [a-z]", said):
                        yield f"{name}:{node.lineno}", said


def _nodes(tree: ast.Module) -> Iterator[tuple[Any, Any]]:
    """Each node with the function around it."""

    def walk(node: ast.AST, function: Any) -> Iterator[tuple[Any, Any]]:
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, ast.FunctionDef) else function
            yield inner, child
            yield from walk(child, inner)

    yield from walk(tree, tree)


def _told(name: str, function: Any, node: Any) -> Iterator[ast.expr]:
    if isinstance(node, ast.Return) and getattr(function, "name", "") in RETURNED.get(name, ()) and node.value:
        yield node.value
    if not isinstance(node, ast.Call):
        return
    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    at = SENTENCE_AT.get(called, 0 if ERRORS.fullmatch(called) else None)
    if at is not None and len(node.args) > at:
        yield node.args[at]
    yield from (keyword.value for keyword in node.keywords if keyword.arg in KEYWORDS)


class Variants:
    """What expressions of a function may say; nothing if they are not made of texts."""

    def __init__(self, module: str, function: Any) -> None:
        self.module, self.function = module, function

    def of(self, node: ast.AST | None) -> list[str]:
        source = ast.unparse(node) if node else ""
        if known := VALUES.get(source) or VALUES.get(f"{self.module}: {source}"):
            return known
        match node:
            case ast.Constant(value=str() as text):
                return [text]
            case ast.JoinedStr(values=parts):
                return _joined([self._part(part) for part in parts])
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                sides = [self.of(left), self.of(right)]
                return _joined([side or [ANYTHING] for side in sides]) if any(sides) else []
            case ast.IfExp(body=body, orelse=other):
                return [*self.of(body), *self.of(other)]
            case ast.BoolOp(values=values):
                return [said for value in values for said in self.of(value)]
            case ast.Name(id=name):
                return self._assigned(name)
            case ast.Call(func=ast.Name(id="counted"), args=[_, noun]):
                return [counted(count, one) for one in self.of(noun) for count in (1, 7)]
        return []

    def _part(self, node: ast.AST) -> list[str]:
        value = node.value if isinstance(node, ast.FormattedValue) else node
        return self.of(value) or [ANYTHING]

    def _assigned(self, name: str) -> list[str]:
        return [
            said
            for node in ast.walk(self.function)
            if isinstance(node, ast.Assign) and isinstance(self.function, ast.FunctionDef)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id == name and not _names(node.value, name)
            for said in self.of(node.value)
        ]


def _names(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


def _joined(parts: list[list[str]]) -> list[str]:
    total = 1
    for part in parts:
        total *= len(part)
    if total > MOST:
        parts = [part[:2] for part in parts]
    return ["".join(one) for one in product(*parts)][:MOST]


# -- Texts that are said directly --


def texts() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Where, and each text given to `.text` or `.counted`: literals, and constants of the module."""
    for name, tree in modules():
        if name.startswith(("language/",)):
            continue
        module = (
            import_module("sitniks_finmap." + name.removesuffix(".py").replace("/", ".")) if _speaks(tree) else None
        )
        for function, node in _nodes(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                for said in _given(node.func.attr, node.args, module, Variants(name, function)):
                    yield f"{name}:{node.lineno}", said


def _speaks(tree: ast.Module) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr in ("text", "counted") for one in ast.walk(tree))


def _given(called: str, arguments: list[ast.expr], module: Any, speaker: Variants) -> Iterator[str | tuple[str, ...]]:
    if called == "text" and len(arguments) == 1:
        yield from (said for said in _literals(arguments[0], module, speaker) if re.search("[A-Za-z]", said))
    elif called == "counted" and arguments:
        if isinstance(first := arguments[0], ast.Starred):
            value = getattr(module, first.value.id, None) if isinstance(first.value, ast.Name) else None
            if isinstance(value, tuple):
                yield value
        elif len(arguments) > 1:
            ones, manys = (speaker.of(argument) for argument in arguments[:2])
            yield from zip(ones, manys, strict=True)


def _literals(node: ast.expr, module: Any, speaker: Variants) -> Iterable[str]:
    if isinstance(node, ast.Name) and isinstance(value := getattr(module, node.id, None), str):
        return [value]
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        value = getattr(module, node.value.id, None)
        return [one for one in value.values() if isinstance(one, str)] if isinstance(value, dict) else []
    return speaker.of(node)


# -- SQL --

LITERAL = r"'(?:[^']|'')*'"
CHAIN = re.compile(rf"(?:{LITERAL}|[\w.]+)(?:\s*\|\|\s*(?:{LITERAL}|[\w.]+))*")
CALL = re.compile(r"\b(?:strftime|timezone|named|array_to_string)\((?:[^()]|\([^()]*\))*\)(?:::\w+)?")
CHOICE = re.compile(rf"\|\| if\([^,]+, ({LITERAL}), ({LITERAL})\)")
REASONS_IN = (
    "plan", "derived_transactions", "derived_orders", "order_fields", "order_stages", "begin", "rollback", "left_out",
    "status", "differences", "macros", "order_tries", "adopt", "sweep", "hidden",
)  # fmt: skip
NO_REASONS = {
    "the sign of the amount", "settlement account", "unbooked parts", "unread orders", "unreadable orders",
    "missing orders", " operations with this externalId", "the payment of its order is not in Finmap: it 7",
}  # fmt: skip
PAYMENT = "the payment of its order is not in Finmap: it "


def reasons() -> Iterator[tuple[str, str]]:
    """Where, and each reason that SQL gives: a literal of several words, with what is joined to it."""
    for name in REASONS_IN:
        text = re.sub(r"--.*", "", (PACKAGE / "sql" / f"{name}.sql").read_text("utf-8"))
        for chosen in (1, 2):
            plain = CALL.sub("x", CHOICE.sub(lambda found, n=chosen: f"|| {found[n]}", text))
            for chain in CHAIN.findall(plain):
                said = "".join(map(_piece, re.findall(rf"{LITERAL}|[\w.]+", chain)))
                if re.search(r"[a-z]{2},? [a-z]{2}", said) and "$" not in said and said not in NO_REASONS:
                    yield f"{name}.sql", PAYMENT + said if said.startswith("was ") else said


def _piece(part: str) -> str:
    return part[1:-1].replace("''", "'") if part.startswith("'") else ANYTHING
