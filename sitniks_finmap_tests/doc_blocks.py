"""The pages of the documentation, cut into what tests can run: blocks of code, commands, headings, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sitniks_finmap.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
PROGRAM = "sitniks-finmap"
# What a person puts there; in commands that are parsed, something that may stand there.
PLACEHOLDERS = {"DAY": "2026-11-01", "RUN": "1a2b3c4d", "DURATION": "5m"}
# A line for a shell, cut into its commands.
PARTS = re.compile(r"&&|;|\|(?!\|)")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
ASSIGNED = re.compile(r"\w+=")


@dataclass(frozen=True)
class Block:
    """One block of code of one page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        body = re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE)
        yield Block(page, text[: found.start()].count("\n") + 1, found[2], body)


def blocks_in(language: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language == language]


def prose(page: Path) -> str:
    """Without blocks of code."""
    return FENCE.sub("", page.read_text("utf-8"))


def lines_of(block: Block) -> list[str]:
    """The commands of a block for a shell, without comments."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    return [one for line in joined.splitlines() if (one := re.sub(r"(^|\s)#\s.*$", "", line).strip())]


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of each call of our program in a line for a shell."""
    for part in PARTS.split(re.sub(r"\$\([^)]*\)", "x", text)):
        said = re.split(r"\s[<>]", part)[0].strip().strip("()")
        try:
            words = shlex.split(said)
        except ValueError:
            continue
        if PROGRAM in words and not {"install", "restart", "enable"} & {*words[: words.index(PROGRAM)]}:
            yield [PLACEHOLDERS.get(one, one) for one in words[words.index(PROGRAM) + 1 :]]


def spans(page: Path) -> list[str]:
    return [" ".join(found.split()) for found in SPAN.findall(prose(page))]


def called_in(page: Path) -> list[list[str]]:
    """Every call of our program on a page, in blocks and in prose."""
    lines = [line for block in blocks(page) if block.language == "sh" for line in lines_of(block)]
    lines += [span for span in spans(page) if span.startswith(f"{PROGRAM} ")]
    return [one for line in lines for one in commands(line)]


def mentioned_in(page: Path) -> list[list[str]]:
    """Our commands in prose without the name of the program, with an option: `init --from NAME`."""
    return [span.split() for span in spans(page) if span.partition(" ")[0] in COMMANDS and " --" in span]


def programs(line: str) -> set[str]:
    """The programs that a line for a shell starts."""
    inner = re.findall(r"\$\(([^)]*)\)", line)
    outer = re.sub(r"\$\([^)]*\)", "x", line)
    parts = [part.strip(" ()") for one in [outer, *inner] for part in PARTS.split(re.sub(QUOTED, "x", one))]
    words = [[word for word in part.split() if not ASSIGNED.match(word)] for part in parts]
    return {one[0].rpartition("/")[2] or one[0] for one in words if one and not one[0].startswith(">")}


def headings(page: Path) -> list[tuple[int, str]]:
    return [(len(marks), text) for marks, text in re.findall(r"^(#+) (.+)$", prose(page), re.MULTILINE)]


def anchors(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", text.lower()) for _, text in headings(page))
    return {text.strip().replace(" ", "-") for text in plain}


def pairs() -> list[tuple[Path, Path]]:
    """The English and the Ukrainian page of those that have both."""
    return [
        (page.with_name(page.name.replace(".uk.md", ".md")), page) for page in PAGES if page.name.endswith(".uk.md")
    ]
