"""Progress on stderr, when that is a terminal: only then is rich loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext


def reading(name: str) -> AbstractContextManager[Callable[[int, int | None], object] | None]:
    """Show a bar of bytes read while the block runs; gives the callback for it."""
    if not sys.stderr.isatty():
        return nullcontext()
    from fastmml.cli import _bars

    return _bars.reading(name)


def ranking(tol: float) -> AbstractContextManager[Callable[[int, float], object] | None]:
    """Show a bar of the error bound falling towards tol; gives the callback for it."""
    if not sys.stderr.isatty():
        return nullcontext()
    from fastmml.cli import _bars

    return _bars.ranking(tol)


def working(text: str) -> AbstractContextManager[None]:
    """Show that something goes on while the block runs."""
    if not sys.stderr.isatty():
        return nullcontext()
    from fastmml.cli import _bars

    return _bars.working(text)
