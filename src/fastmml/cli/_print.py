"""What the command prints: tables for people, tab-separated lines for programs."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any

#: A label may hold any character; in a line these would make another field or line.
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def aligned(pairs: Iterable[tuple[str, str]]) -> str:
    """Lines of name and value, the values one below the other."""
    rows = list(pairs)
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}".rstrip() for name, value in rows)


def lines(ranks: Iterable[tuple[Any, float]]) -> None:
    """Print ``label<TAB>score`` lines in UTF-8; a score reads back as the same float."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.writelines(f"{_one_field(str(label))}\t{score!r}\n" for label, score in ranks)


def _one_field(text: str) -> str:
    # Nearly all labels are printable, which takes a tenth of the time to find out.
    return text if text.isprintable() else text.translate(_ESCAPES)


def table(ranks: Iterable[tuple[Any, float]]) -> None:
    """Print a table of rank, label and score."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = Table("rank", "label", "score")
    rows.columns[0].justify = rows.columns[2].justify = "right"
    rows.columns[1].overflow = "fold"
    for place, (label, score) in enumerate(ranks, start=1):
        rows.add_row(str(place), Text(_visible(str(label))), f"{score:.6e}")
    Console(file=sys.stdout).print(rows)


def _visible(text: str) -> str:
    """Escape what is not printable, so that a label cannot steer the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def note(text: str) -> None:
    """Say what was done: on a terminal below the table, else beside what goes into a pipe."""
    print(text, file=sys.stdout if sys.stdout.isatty() else sys.stderr)
