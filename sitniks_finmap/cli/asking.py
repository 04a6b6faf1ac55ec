"""Asks a person at a terminal, in Ukrainian or English, until the answer is right."""

import sys
from collections.abc import Callable
from typing import TypeVar

import click
from rich.console import Console
from rich.markup import escape

from sitniks_finmap.cli import init_texts as texts
from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.language import Language
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.settings.connections import ConfigurationError

T = TypeVar("T")
YES = {"y", "yes", "т", "так"}
NO = {"n", "no", "н", "ні"}


class WrongAnswer(ConfigurationError):
    """An answer cannot be used; the message says why, in the language of the person."""


def has_terminal() -> bool:
    """Whether somebody can answer."""
    return bool(sys.stdin and sys.stdin.isatty())


class Asker:
    """Says and asks in one language."""

    def __init__(self, out: Console, language: Language, *, interactive: bool) -> None:
        self.out = out
        self.language = language
        self.interactive = interactive

    def text(self, text: str, **values: object) -> str:
        return self.language.text(text, **values)

    def step(self, number: int, what: str) -> None:
        """The heading of a question, if it is asked."""
        if self.interactive:
            self.out.print(f"\n[bold]{escape(self.text(texts.STEP, number=number, what=self.text(what)))}[/]")

    def say(self, said: str) -> None:
        self.out.print(escape(said))

    def note(self, said: str, verdict: str = "ok") -> None:
        self.out.print(f"   {MARKS[verdict]} {escape(said)}")

    def wrong(self, text: str, **values: object) -> WrongAnswer:
        """The error to raise."""
        return WrongAnswer(self.text(text, **values))

    def ask(self, prompt: str, default: str = "") -> str:
        """An answer, which may be empty; Enter is the default."""
        shown = f"{prompt} [{default}]" if default else prompt
        return click.prompt(f"   {shown}", default=default, show_default=False).strip()

    def ask_hidden(self, prompt: str) -> str:
        return click.prompt(f"   {prompt}", default="", show_default=False, hide_input=True)

    def ask_yes(self, question: str, *, default: bool) -> bool:
        words = f"{self.text(texts.YES)}/{self.text(texts.NO)}"
        while True:
            answer = self.ask(f"{question} ({words})", self.text(texts.YES if default else texts.NO)).casefold()
            if answer in YES | NO:
                return answer in YES
            self.note(self.text(texts.YES_OR_NO), "error")

    def until_right(self, given: str | None, ask: Callable[[], str], check: Callable[[str], T]) -> T:
        """What `check` makes of the answer. Asks again after a wrong one; one `given` as an option is checked once.

        Raises what `check` raises about it: WrongAnswer, ConfigurationError, ApiError.
        """
        if given is not None:
            return check(given)
        while True:
            answer = ask()
            try:
                return check(answer)
            except ApiError as error:
                why = self.language.say(str(error).rstrip("."))
                self.note(self.text(texts.NO_ANSWER, why=why), "error")
            except ConfigurationError as error:
                self.note(self.language.say(str(error)), "error")
