"""``fastmml convert`` and ``fastmml generate``: make a graph and write it to a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastmml as fm
from fastmml.cli import _print, _progress
from fastmml.cli._rank import read


def convert(source: str, target: str, reading: Mapping[str, Any]) -> None:
    """Read a graph and write it in the format of the target's suffix."""
    path = Path(target)
    with _temporary_files_beside(path):
        graph, _ = read(source, reading)
    _write(graph, path)


def generate_rmat(
    target: str, scale: int, edge_factor: int, seed: int, max_memory: int | None
) -> None:
    """Make an R-MAT graph and write it."""
    path = Path(target)
    with _progress.working("generating"), _temporary_files_beside(path):
        graph = fm.rmat(scale, edge_factor=edge_factor, seed=seed, max_memory=max_memory)
    _write(graph, path)


@contextmanager
def _temporary_files_beside(target: Path) -> Iterator[None]:
    """Put temporary files where there must be room for the result, unless TMPDIR says where."""
    before = tempfile.tempdir
    if "TMPDIR" not in os.environ and target.parent.is_dir():
        tempfile.tempdir = os.fspath(target.parent.absolute())
    try:
        yield
    finally:
        tempfile.tempdir = before


def _write(graph: fm.Graph, target: Path) -> None:
    with _progress.working(f"writing {target.name}"):
        fm.write_graph(graph, target)
    _print.note(f"{target}: {graph.num_nodes:,} nodes, {graph.num_edges:,} links")
