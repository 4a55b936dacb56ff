"""How long work looks while it runs: bars on a terminal, lines elsewhere. Verbs hand `report` to whoever works."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column

from engines.progress import Progress, Report

PAUSE: Final = 10.0
"""Seconds between two lines about the same kind of step of one task."""


@contextmanager
def showing(console: Console) -> Iterator[Report]:
    """A `Report` that draws on `console` until the block ends."""
    if console.is_terminal:
        display = OnTerminal(console)
        try:
            yield display.report
        finally:
            display.close()
    else:
        yield InLines(plainly(console)).report


def plainly(console: Console) -> Callable[[str], None]:
    """Writes a line on `console` as it is: what tools say may hold brackets, and scripts read whole lines."""
    return lambda line: console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


def now_of_day() -> str:
    """The time on the wall, to the second."""
    return datetime.now().astimezone().strftime("%H:%M:%S")


class InLines:
    """Writes a line when a task begins, turns to another kind of step, or ends; between these, one each `PAUSE`."""

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        stamp: Callable[[], str] = now_of_day,
    ) -> None:
        self._write: Final = write
        self._clock: Final = clock
        self._stamp: Final = stamp
        self._last: Final[dict[str, tuple[str, float]]] = {}

    def report(self, progress: Progress) -> None:
        """Take one report."""
        kind, since = self._last.get(progress.task, ("", -math.inf))
        now, current = self._clock(), _kind(progress)
        if current == kind and now - since < PAUSE:
            return
        self._last[progress.task] = (current, now)
        self._write(f"{self._stamp()} {progress.task}: {sentence(progress)}")


def _kind(progress: Progress) -> str:
    """What tells one kind of step from another: its verb. `installing torch` and `installing numpy` are one kind."""
    return "done" if progress.fraction == 1.0 else progress.step.partition(" ")[0]


def sentence(progress: Progress) -> str:
    """One report in words: the step, how far it is, and how long it will take."""
    if progress.fraction is None or progress.fraction == 1.0:
        return progress.step
    left = f", {duration(progress.eta)} left" if progress.eta is not None else ""
    return f"{progress.step} ({progress.fraction:.0%}{left})"


def duration(seconds: float) -> str:
    """`seconds` for people: 45s, 3m10s, 2h05m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def size(octets: int) -> str:
    """`octets` for people, in powers of ten as disks are sold: 93 MB, 2.5 GB."""
    if octets >= 1e9:
        return f"{octets / 1e9:.1f} GB"
    return f"{octets / 1e6:.0f} MB" if octets >= 1e6 else f"{math.ceil(octets / 1e3)} kB"


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[far]:>4}", markup=False),
        TextColumn("{task.fields[left]:>10}", markup=False),
        TextColumn("{task.fields[step]}", markup=False, style="dim", table_column=Column(no_wrap=True, ratio=1)),
        console=console,
        expand=True,
    )


class OnTerminal:
    """One bar for each task under way; a finished one becomes a line above. Bars run only while there are tasks."""

    def __init__(self, console: Console) -> None:
        self._bars: Final = _bars(console)
        self._write: Final = plainly(console)
        self._tasks: Final[dict[str, TaskID]] = {}

    def report(self, progress: Progress) -> None:
        """Take one report."""
        if progress.fraction == 1.0:
            self._end(progress)
            return
        if not self._tasks:
            self._bars.start()
        if progress.task not in self._tasks:
            self._tasks[progress.task] = self._bars.add_task(progress.task, total=None, far="", left="", step="")
        self._bars.update(
            self._tasks[progress.task],
            total=None if progress.fraction is None else 1.0,
            completed=progress.fraction or 0.0,
            far="" if progress.fraction is None else f"{progress.fraction:.0%}",
            left="" if progress.eta is None else f"{duration(progress.eta)} left",
            step=progress.step,
        )

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bars.stop()

    def _end(self, progress: Progress) -> None:
        task = self._tasks.pop(progress.task, None)
        if task is not None:
            self._bars.remove_task(task)
        if not self._tasks:
            self._bars.stop()
        self._write(f"✓ {progress.task}: {progress.step}")
