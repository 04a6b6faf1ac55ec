"""Progress bars in a terminal."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Live

from sitniks_finmap.language import terminal_language
from sitniks_finmap.progress import Progress

AFTER = 1.0  # seconds; what is done by then needs no bar


class Bars:
    """A bar for each progress that has not ended, below what is printed meanwhile; nothing of it stays."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live: Live | None = None
        self.bars: dict[Progress, TaskID] = {}

    def __call__(self, progress: Progress, ended: bool) -> None:
        if ended:
            self._end(progress)
            return
        if time.monotonic() - progress.started < AFTER:
            return
        if self.live is None:
            self.live = Live(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(), console=self.console, transient=True,
            )  # fmt: skip
            self.live.start()
        words = terminal_language()
        rate = words.text("{number}/s", number=words.number(round(progress.rate, 1)))
        if progress not in self.bars:
            said = f"{progress.whose}: {words.text(progress.done_what)}"
            self.bars[progress] = self.live.add_task(said, completed=progress.done, total=progress.total, rate=rate)
        self.live.update(self.bars[progress], completed=progress.done, total=progress.total, rate=rate)

    def _end(self, progress: Progress) -> None:
        bar = self.bars.pop(progress, None)
        if self.live is None or bar is None:
            return
        self.live.remove_task(bar)
        if not self.bars:
            self.live.stop()
            self.live = None
