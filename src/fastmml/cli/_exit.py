"""From exceptions to exit codes and one-line messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from fastmml.errors import ConvergenceError

BAD_INPUT = 1
USAGE = 2
NOT_CONVERGED = 3
INTERRUPTED = 130
#: What a shell reports for a program that SIGPIPE ended.
READER_GONE = 141


@contextmanager
def exit_codes() -> Iterator[None]:
    """Run the block, write out what it printed, and turn an exception into an exit code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
        raise SystemExit(READER_GONE) from None
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except ConvergenceError as error:
        _fail(f"error: {_one_line(error)}", NOT_CONVERGED)
    except (OSError, ValueError, KeyError, MemoryError, ImportError) as error:
        _fail(f"error: {_one_line(error)}", BAD_INPUT)


def _fail(message: str, code: int) -> NoReturn:
    _abandon_stdout()
    print(f"fastmml: {message}", file=sys.stderr)
    raise SystemExit(code)


def _abandon_stdout() -> None:
    """Write out what was printed or, where that fails, keep Python from trying again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}{error.strerror}"
    # The text of a KeyError is the repr of its argument.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, MemoryError):
        text = text or "not enough memory"
    return " ".join(text.split()) or type(error).__name__
