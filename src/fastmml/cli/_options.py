"""Options and arguments that several commands share, and how their values are checked."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fastmml.cli._output import WRITERS
from fastmml.graph.formats import COMPRESSIONS, SUFFIXES


class Ids(StrEnum):
    """How node ids are read."""

    auto = "auto"
    int = "int"
    str = "str"


class Backend(StrEnum):
    """Which kernels run."""

    native = "native"
    numba = "numba"


class Format(StrEnum):
    """The formats of `fastmml.read_graph`."""

    edges = "edges"
    fastmml = "fastmml"
    npz = "npz"
    npy = "npy"
    mtx = "mtx"
    gap = "gap"
    bvgraph = "bvgraph"


_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([kMGT]?)(i?)B?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DELIMITERS = {"\\t": "\t", "tab": "\t", "space": " "}


def _delimiter(text: str | None) -> str | None:
    return text if text is None else _DELIMITERS.get(text, text)


def size(text: str) -> int:
    """Bytes in a size such as 4GiB (2**32), 4GB (4 * 10**9) or a plain number of bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"expected bytes such as 4GiB, 500MB or 1000000, got {text!r}")
    number, prefix, binary = match.groups()
    bytes_ = int(float(number) * (1024 if binary else 1000) ** _POWERS[prefix.lower()])
    if bytes_ < 1:
        raise typer.BadParameter(f"expected at least one byte, got {text!r}")
    return bytes_


def ranks_path(path: Path | None) -> Path | None:
    """Refuse a file of ranks with an unknown suffix, before any work is done."""
    if path is not None and path.suffix.lower() not in WRITERS:
        raise typer.BadParameter(f"expected a name in {' '.join(WRITERS)}, got {path.name!r}")
    return path


def graph_path(path: Path) -> Path:
    """Refuse a file of a graph with an unknown suffix, before any work is done."""
    plain = path.with_suffix("") if path.suffix in COMPRESSIONS else path
    if plain.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"expected a name in {' '.join(SUFFIXES)}, got {path.name!r}")
    return path


_INPUT = "Input (all but --format apply to edge lists)"

# Options that several commands have.
GraphFile = Annotated[str, typer.Argument(metavar="GRAPH", help="A file; - is standard input.")]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="By default, by the file's suffix.", rich_help_panel=_INPUT),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        callback=_delimiter,
        help="One character, or tab or space. By default found from the text.",
        rich_help_panel=_INPUT,
    ),
]
HeaderOption = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Does the first line name columns? By default found from the text.",
        rich_help_panel=_INPUT,
    ),
]
WeightedOption = Annotated[
    bool | None,
    typer.Option(
        "--weighted/--unweighted",
        help="Is the third column a weight? By default yes, if there are exactly three.",
        rich_help_panel=_INPUT,
    ),
]
IdsOption = Annotated[
    Ids, typer.Option(help="Are node ids integers or text?", rich_help_panel=_INPUT)
]
NumNodesOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Ids are 0 to N - 1. By default the nodes are the ids that occur.",
        rich_help_panel=_INPUT,
    ),
]
MaxMemoryOption = Annotated[
    int | None,
    typer.Option(
        parser=size,
        metavar="SIZE",
        help="Memory for links while the graph is built, such as 4GiB; beyond, temporary files are "
        "used. By default half of what is free.",
    ),
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="By default, all that OpenMP uses.")]
BackendOption = Annotated[
    Backend | None, typer.Option(help="Which kernels run. By default native, if installed.")
]
