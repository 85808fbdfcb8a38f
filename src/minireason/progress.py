"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

Advance = Callable[[int, int, str], None]
"""Called with what is done, the total and a short text."""

LINE_EVERY_S = 15.0


class Progress:
    """Shows what runs; `is_quiet` shows nothing."""

    def __init__(self, console: Console | None = None, *, is_quiet: bool = False) -> None:
        self.console = console or Console(stderr=True, quiet=is_quiet)

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, highlight=False)

    @contextlib.contextmanager
    def track(self, label: str) -> Iterator[Advance]:
        """A bar for one piece of work, gone when it is done."""
        if not self.console.is_terminal:
            yield self._lines(label)
            return
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[text]}"),
        )
        with Bars(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(label, total=None, text="")

            def advance(done: int, total: int, text: str = "") -> None:
                bars.update(task, completed=done, total=total, text=text)

            yield advance

    def _lines(self, label: str) -> Advance:
        last = time.monotonic()

        def advance(done: int, total: int, text: str = "") -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_EVERY_S:
                last = time.monotonic()
                self.say(f"  {label} {done}/{total} {text}".rstrip())

        return advance
