"""Progress bars on a terminal: what `_progress` shows there."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

_SMALLEST = sys.float_info.min


def _bar(*columns: ProgressColumn) -> Progress:
    return Progress(*columns, console=Console(stderr=True), transient=True)


class Bytes:
    """Called with how many bytes of how many were read."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def __call__(self, done: int, total: int | None) -> None:
        """Show it; without a total the bar only says that something happens."""
        self._bar.update(self._task, completed=done, total=total)


class Descent:
    """Called with the error bound after every pass.

    The bar is linear in the logarithm of the bound. Power iteration lowers that at a steady pace,
    so the time left that rich computes from the pace is an estimate at the geometric rate.
    """

    def __init__(self, bar: Progress, task: TaskID, tol: float) -> None:
        self._bar, self._task = bar, task
        self._tol = max(tol, _SMALLEST)
        self._first: float | None = None
        self._lowest = math.inf

    def __call__(self, iteration: int, bound: float) -> None:
        """Show the bound, and the lowest one as the way covered (extrapolation may raise it)."""
        if self._first is None:
            self._first = max(bound, self._tol)
        self._lowest = min(self._lowest, max(bound, self._tol), self._first)
        self._bar.update(
            self._task,
            completed=math.log(self._first / self._lowest),
            total=math.log(self._first / self._tol),
            iteration=iteration,
            bound=f"{bound:.1e}",
        )


@contextmanager
def reading(name: str) -> Iterator[Bytes]:
    """Show a bar of bytes read while the block runs; yields its callback."""
    title = TextColumn("reading {task.description}", markup=False)
    size, speed = DownloadColumn(), TransferSpeedColumn()
    with _bar(title, BarColumn(), size, speed, TimeRemainingColumn()) as bar:
        yield Bytes(bar, bar.add_task(name, total=None))


@contextmanager
def ranking(tol: float) -> Iterator[Descent]:
    """Show a bar of the error bound falling towards tol while the block runs."""
    title = TextColumn("ranking, pass {task.fields[iteration]}", markup=False)
    bound = TextColumn("error ≤ {task.fields[bound]} → {task.description}", markup=False)
    with _bar(title, BarColumn(), bound, TimeRemainingColumn()) as bar:
        task = bar.add_task(f"{tol:.0e}", total=None, iteration=0, bound="?")
        yield Descent(bar, task, tol)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show that something goes on while the block runs."""
    with _bar(TextColumn("{task.description}", markup=False), BarColumn()) as bar:
        bar.add_task(text, total=None)
        yield
