"""Graphs in files: which module reads and writes which format."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import IO, Any

from fastmml import _check
from fastmml.graph import spill
from fastmml.graph.build import Rows
from fastmml.graph.graph import Graph
from fastmml.graph.suffixes import format_of, suffix_of

#: Called as progress(bytes done, bytes in all or None).
Progress = Callable[[int, int | None], object]

#: Functions that take a path, by format. Their modules are imported when one is asked for: each
#: needs others of its own.
_READERS = {
    "npz": "numpy_files.read_npz",
    "npy": "numpy_files.read_npy",
    "mtx": "matrix_market.read",
    "gap": "gap.read",
    "bvgraph": "bvgraph.read",
}
_WRITERS = {
    "edges": "edge_list.write",
    "fastmml": "saved.write",
    "npz": "numpy_files.write_npz",
    "mtx": "matrix_market.write",
    "gap": "gap.write",
}


def read_graph(
    path: str | os.PathLike[str] | IO[Any],
    *,
    format: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    weighted: bool | None = None,
    ids: str = "auto",
    comments: str = "#%",
    num_nodes: int | None = None,
    verify: bool = True,
    max_memory: int | None = None,
    progress: Progress | None = None,
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
) -> Graph:
    """Read a graph from a file.

    Parameters
    ----------
    path : path, "-" or file object
        ``"-"`` is standard input. A file object, of bytes or of text, is read from where it is to
        its end, and stays open.
    format : {"edges", "fastmml", "npz", "npy", "mtx", "gap", "bvgraph"}, optional
        By default by the suffix of the path: edge lists (``.txt .tsv .csv .el .wel .edges``, plain
        or with ``.gz`` or ``.zst``), fastmml's own form (``.fastmml``), SciPy sparse matrices or
        row starts and indices (``.npz``), arrays of shape (edges, 2) (``.npy``), Matrix Market
        (``.mtx``), serialized graphs of the GAP benchmark suite (``.sg``, weighted ``.wsg``),
        graphs of the WebGraph framework (``.graph``, with its ``.properties`` and, if there is one,
        its ``.offsets`` beside it). File objects and standard input are edge lists.
    delimiter : str, optional
        Of edge lists: one character, or ``" "`` for any run of spaces and tabs. By default found
        from the first line. With another delimiter than a space, fields may be in double quotes.
    header : bool, optional
        Whether the first line of an edge list names columns. By default: if its ids are no
        integers while those of the second line are.
    weighted : bool, optional
        Whether the third column holds weights. By default: if there are exactly three columns.
    ids : {"auto", "int", "str"}
        Whether ids are read as integers or as text. By default integers, if those at the start of
        the file are.
    comments : str
        A line whose first visible character is one of these (at most 7) is skipped.
    num_nodes : int, optional
        Ids are 0 to num_nodes - 1, whether they occur or not. By default the nodes are the ids
        that occur: integers in ascending order, text in the order of first appearance. They become
        labels, unless they are just 0, 1, ..., n - 1.
    verify : bool
        Whether checksums of fastmml's own form are checked.
    max_memory : int, optional
        Bytes that the links of an edge list may take in memory while the graph is built, by default
        half of what is free. Beyond, they go to temporary files (without a name, in
        `tempfile.gettempdir()`: ``TMPDIR`` chooses the folder), up to 14 bytes a link (30 with
        weights), and the arrays of the same graph are files mapped into memory. Nodes come on top:
        up to 5 bytes for each integer up to the largest id, 8 for each id where they are sparse,
        or all of the labels where they are text.
    progress : callable, optional
        Called as ``progress(done, total)`` with bytes of the file; total is None for a stream. Then
        again, from 0, with bytes of temporary files.
    labels : path or sequence of paths, optional
        Names of the nodes of a graph that has ids alone: lines ``id<TAB>name`` in ascending order
        of ids from 0, plain or with ``.gz`` or ``.zst``, in one file or several; further columns
        are passed over (the vertices of Common Crawl's graphs). Needs pyarrow. Names stay as bytes
        end to end, in memory or in the file mapped by fastmml's own form.

    Returns
    -------
    Graph

    Raises
    ------
    GraphFormatError
        The file does not hold what it should; text is named by file, line and content.
    ImportError
        A compressed file needs an extra that is not installed; the message names it.
    OSError
        The file cannot be read.
    TypeError
        ``path`` is neither a path nor a file object.

    Notes
    -----
    Every line of an edge list has as many columns as the first one. Parallel edges are kept.
    Memory peaks at about twice the finished graph, unless ``max_memory`` is less.
    """
    if not isinstance(path, (str, os.PathLike)) and not hasattr(path, "read"):
        raise TypeError(f"path: expected a path, '-' or a file object, got {type(path).__name__}")
    graph = _read(
        path, format_of(path, format), delimiter, header, weighted, ids, comments, num_nodes,
        verify, max_memory, progress,
    )  # fmt: skip
    if labels is None:
        return graph
    if graph._labels.kind != "none":
        raise ValueError("labels: the file has names of nodes itself")
    rows = Rows(graph.indptr, graph.indices, graph.weights)
    from fastmml.graph.formats import vertices

    return Graph.from_rows(rows, vertices.read(labels, graph.num_nodes))


def _read(
    path: str | os.PathLike[str] | IO[Any],
    kind: str,
    delimiter: str | None,
    header: bool | None,
    weighted: bool | None,
    ids: str,
    comments: str,
    num_nodes: int | None,
    verify: bool,
    max_memory: int | None,
    progress: Progress | None,
) -> Graph:
    """Read the links, and the labels that the file itself has."""
    if kind == "edges":
        from fastmml.graph.formats import edge_list

        options = edge_list.Options(
            delimiter,
            header,
            weighted,
            ids,
            comments,
            None if num_nodes is None else _check.node_count("num_nodes", num_nodes),
            spill.budget(max_memory),
        )
        return edge_list.read(path, options, progress)
    if num_nodes is not None:
        raise ValueError("num_nodes: only edge lists take it; other formats know it themselves")
    if not isinstance(path, (str, os.PathLike)) or path == "-":
        found = path if isinstance(path, str) else type(path).__name__
        raise ValueError(f"path: expected a path for format {kind!r}, got {found!r}")
    if kind == "fastmml":
        from fastmml.graph.formats import saved

        return saved.read(path, verify=verify)
    graph: Graph = _function(_READERS[kind])(path)
    return graph


def _function(place: str) -> Callable[..., Any]:
    module, name = place.split(".")
    function: Callable[..., Any] = getattr(import_module(f"{__name__}.{module}"), name)
    return function


def write_graph(graph: Graph, path: str | os.PathLike[str] | IO[Any]) -> None:
    """Write a graph to a file, in the format that its suffix names.

    ``.fastmml`` (as `Graph.save`), ``.npz`` (SciPy sparse), ``.mtx`` (Matrix Market), ``.sg`` or
    ``.wsg`` (GAP) or an edge list (``.txt .tsv .csv .el .wel .edges``, plain or with ``.gz`` or
    ``.zst``; needs pyarrow).
    Only ``.fastmml`` and edge lists keep labels; the others refuse a graph that has some. The
    file appears under its name only when it is complete.

    Parameters
    ----------
    graph : Graph
    path : path or file object
        A file object, of bytes or of text, gets an edge list with tabs, and stays open.

    Raises
    ------
    GraphFormatError
        No format is known by the suffix.
    ValueError
        A format that is not written, or that keeps no labels.
    TypeError
        ``graph`` is no `Graph`; ``path`` is neither a path nor a file object.
    OSError
        The file cannot be written.
    """
    if not isinstance(graph, Graph):
        raise TypeError(f"graph: expected a fastmml.Graph, got {type(graph).__name__}")
    if not isinstance(path, (str, os.PathLike)) and not hasattr(path, "write"):
        raise TypeError(f"path: expected a path or a file object, got {type(path).__name__}")
    if path == "-":
        raise ValueError("path: expected a path or a file object, as sys.stdout, got '-'")
    kind = format_of(path, None)
    suffix = suffix_of(path) if isinstance(path, (str, os.PathLike)) else ""
    if kind not in _WRITERS:
        raise ValueError(f"path: a graph is not written to {suffix}; use .npz")
    if kind in ("npz", "mtx", "gap") and graph._labels.kind != "none":
        raise ValueError(f"path: {suffix} keeps no labels; use .fastmml or .tsv")
    _function(_WRITERS[kind])(graph, path)
