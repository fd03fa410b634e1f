"""The command ``fastmml``: rank, generate and convert graphs from the shell.

On a terminal it needs the extra ``cli``: ``pip install "fastmml[cli]"``. Exit codes: 0 success, 1
bad input or a file that cannot be read or written, 2 wrong usage, 3 not converged, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from fastmml.cli._exit import USAGE


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command with these arguments (by default the process's own), then exit."""
    _replace_closed_streams()
    if (sys.stdout.isatty() or sys.stderr.isatty()) and not _has_rich():
        print("fastmml: a terminal needs rich: pip install 'fastmml[cli]'", file=sys.stderr)
        raise SystemExit(USAGE)
    from fastmml.cli._app import run

    run(arguments)


def _has_rich() -> bool:
    from importlib.util import find_spec

    return find_spec("rich") is not None


def _replace_closed_streams() -> None:
    """Python has None for a stream that was closed before it started (``>&-`` in a shell)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            null = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (stays open)
            setattr(sys, name, null)
