"""``fastmml convert`` and ``fastmml generate``: make a graph and write it to a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastmml as fm
from fastmml.cli import _print, _progress
from fastmml.cli._rank import read


def convert(source: str, target: Path, reading: Mapping[str, Any]) -> None:
    """Read a graph and write it in the format of the target's suffix."""
    graph, _ = read(source, reading)
    _write(graph, target)


def generate_rmat(target: Path, scale: int, edge_factor: int, seed: int) -> None:
    """Make an R-MAT graph and write it."""
    with _progress.working("generating"):
        graph = fm.rmat(scale, edge_factor=edge_factor, seed=seed)
    _write(graph, target)


def _write(graph: fm.Graph, target: Path) -> None:
    with _progress.working(f"writing {target.name}"):
        fm.write_graph(graph, target)
    _print.note(f"{target}: {graph.num_nodes:,} nodes, {graph.num_edges:,} links")
