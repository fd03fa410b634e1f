"""Options that several commands share, and how values are checked before any work is done."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Collection
from typing import Any

from fastmml._backend import BACKENDS
from fastmml.graph.suffixes import FORMATS, WRITTEN, suffix_of

_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([kMGT]?)(i)?B?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DELIMITERS = {"\\t": "\t", "tab": "\t", "space": " "}
#: Options that are arguments of `fastmml.read_graph` by the same name.
_READING = ("format", "delimiter", "header", "weighted", "ids", "num_nodes", "max_memory", "labels")


def at_least(least: int, most: float = float("inf")) -> Callable[[str], int]:
    """Make the type of an integer within limits."""
    limits = f"of at least {least}" if most == float("inf") else f"from {least} to {most}"

    def integer(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ArgumentTypeError(f"expected an integer {limits}, got {text!r}")
        return value

    return integer


def size(text: str) -> int:
    """Bytes in a size such as 4GiB (2**32), 4GB (4 * 10**9) or a plain number of bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ArgumentTypeError(f"expected bytes such as 4GiB, 500MB or 1000000, got {text!r}")
    number, prefix, binary = match.groups()
    bytes_ = int(float(number) * (1024 if binary else 1000) ** _POWERS[prefix.lower()])
    if bytes_ < 1:
        raise ArgumentTypeError(f"expected at least one byte, got {text!r}")
    return bytes_


def ranks_path(text: str) -> str:
    """Refuse a file of ranks with an unknown suffix."""
    from fastmml.cli._output import WRITERS

    return _in_format(text, os.path.splitext(text)[1], WRITERS)


def graph_path(text: str) -> str:
    """Refuse a file of a graph whose suffix names no format that is written."""
    return _in_format(text, suffix_of(text), WRITTEN)


def _in_format(path: str, suffix: str, known: Collection[str]) -> str:
    if suffix.lower() not in known:
        raise ArgumentTypeError(
            f"expected a name in {' '.join(known)}, got {os.path.basename(path)!r}"
        )
    return path


def _delimiter(text: str) -> str:
    return _DELIMITERS.get(text, text)


def add_running(parser: ArgumentParser) -> None:
    """Add the options of every command that computes."""
    parser.add_argument(
        "--threads", type=at_least(1), metavar="N", help="By default, all that OpenMP uses."
    )
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="Which kernels run. By default native, if installed.",
    )
    parser.add_argument(
        "--max-memory",
        type=size,
        metavar="SIZE",
        help="Memory for links while the graph is built, such as 4GiB; beyond, temporary files are "
        "used. By default half of what is free.",
    )


def add_reading(parser: ArgumentParser) -> None:
    """Add the options that say how to read a graph."""
    group = parser.add_argument_group("input (all but --format and --labels apply to edge lists)")
    group.add_argument("--format", choices=FORMATS, help="By default, by the file's suffix.")
    group.add_argument(
        "--delimiter",
        type=_delimiter,
        help="One character, or tab or space. By default found from the text.",
    )
    _add_flag(
        group,
        ("--header", "--no-header"),
        "Does the first line name columns? By default found from the text.",
    )
    _add_flag(
        group,
        ("--weighted", "--unweighted"),
        "Is the third column a weight? By default yes, if there are exactly three.",
    )
    group.add_argument(
        "--ids",
        choices=("auto", "int", "str"),
        default="auto",
        help="Are node ids integers or text? (default: %(default)s)",
    )
    group.add_argument(
        "--num-nodes",
        type=at_least(0),
        metavar="N",
        help="Ids are 0 to N - 1. By default the nodes are the ids that occur.",
    )
    group.add_argument(
        "--labels",
        action="append",
        metavar="FILE",
        help="Names of the nodes of any graph: lines of id, tab, name, from id 0 on. May be "
        "repeated, for names in several files.",
    )


def _add_flag(group: Any, names: tuple[str, str], question: str) -> None:
    """Add options for yes and no; None stands for neither."""
    yes, no = names
    name = yes.removeprefix("--")
    group.add_argument(yes, dest=name, action="store_true", default=None, help=question)
    group.add_argument(no, dest=name, action="store_false", default=None, help="Or not?")


def reading(options: Namespace) -> dict[str, Any]:
    """Arguments of `fastmml.read_graph`."""
    return {name: getattr(options, name) for name in _READING}
