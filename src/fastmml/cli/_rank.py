"""``fastmml pagerank``: read a graph, rank it, write and print the ranks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import fastmml as fm
from fastmml.cli import _print, _progress

_ROWS_ON_A_TERMINAL = 10


def read(path: str, options: Mapping[str, Any]) -> tuple[fm.Graph, float]:
    """Read a graph under a progress bar; also returns the seconds it took."""
    read_graph = fm.read_graph  # loads NumPy, before the clock starts
    with _progress.reading("standard input" if path == "-" else os.path.basename(path)) as progress:
        start = perf_counter()
        graph = read_graph(path, progress=progress, **options)
        return graph, perf_counter() - start


def rank(graph: fm.Graph, options: Mapping[str, Any]) -> tuple[fm.PageRankResult, float]:
    """Rank a graph under a progress bar; also returns the seconds it took."""
    pagerank = fm.pagerank
    with _progress.ranking(options["tol"]) as callback:
        start = perf_counter()
        result = pagerank(graph, callback=callback, **options)
        return result, perf_counter() - start


def run(
    path: str,
    *,
    reading: Mapping[str, Any],
    ranking: Mapping[str, Any],
    personalize: Sequence[str],
    top: int | None,
    output: str | None,
) -> None:
    """Do the command; ``reading`` and ``ranking`` are arguments of the public functions."""
    if output is not None:
        from fastmml.cli import _output

        _output.check(output)
    graph, reading_seconds = read(path, reading)
    personalization = _personalization(graph, personalize)
    result, seconds = rank(graph, {**ranking, "personalization": personalization})
    if output is not None:
        _output.write(output, graph, result.scores)
    _print_ranks(graph, result, _rows(graph, top, output))
    _print.note(_print.aligned(_summary(graph, result, reading_seconds, seconds)))


def _personalization(graph: fm.Graph, names: Sequence[str]) -> dict[Any, float] | None:
    """Equal weights for the named nodes; None without names."""
    if not names:
        return None
    integers = graph.labels is None or graph.labels.dtype.kind == "i"
    labels = [_integer(name) for name in names] if integers else list(names)
    try:
        graph.ids(labels)
    except KeyError as error:
        raise KeyError(f"--personalize: the graph has no node {error.args[0]!r}") from None
    return dict.fromkeys(labels, 1.0)


def _integer(name: str) -> int:
    try:
        return int(name)
    except ValueError:
        raise ValueError(
            f"--personalize: expected an integer, as the nodes of this graph are, got {name!r}"
        ) from None


def _rows(graph: fm.Graph, top: int | None, output: str | None) -> int:
    """How many ranks to print: a screenful for a person, all for a program."""
    if top is not None:
        return min(top, graph.num_nodes)
    if sys.stdout.isatty():
        return min(_ROWS_ON_A_TERMINAL, graph.num_nodes)
    return graph.num_nodes if output is None else 0


def _print_ranks(graph: fm.Graph, result: fm.PageRankResult, rows: int) -> None:
    if rows == 0:
        return
    if sys.stdout.isatty():
        _print.table(result.top(rows))
    else:
        _print.lines(result.top(rows))


def _summary(
    graph: fm.Graph, result: fm.PageRankResult, reading_seconds: float, seconds: float
) -> list[tuple[str, str]]:
    edges = graph.num_edges * result.iterations
    speed = edges / max(seconds, sys.float_info.min) / 1e6
    return [
        ("nodes", f"{graph.num_nodes:,}"),
        ("links", f"{graph.num_edges:,}"),
        ("iterations", f"{result.iterations}"),
        ("error bound", f"{result.error_bound:.2e} (proved, L1 norm of all scores)"),
        ("reading", f"{reading_seconds:.3f} s"),
        ("ranking", f"{seconds:.3f} s"),
        ("speed", f"{speed:.1f} million edges/s"),
    ]
