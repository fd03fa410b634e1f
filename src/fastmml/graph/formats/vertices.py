"""Names of nodes beside a graph: lines ``id<TAB>name`` in ascending order of ids from 0.

So Common Crawl publishes its web graphs, with further columns for domains; in one file or several.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmml._kernels import I64, U8
from fastmml.errors import GraphFormatError
from fastmml.graph.convert import import_pyarrow
from fastmml.graph.formats import streams
from fastmml.graph.labels import Labels

Path = str | os.PathLike[str]


def read(paths: Path | Sequence[Path], num_nodes: int) -> Labels:
    """Read the names of so many nodes; several files follow one another."""
    pa = import_pyarrow("reading names of nodes")
    files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    lengths, letters, count = [np.zeros(1, np.int64)], [np.empty(0, np.uint8)], 0
    for path in files:
        line = 1
        for block in streams.blocks(path, None):
            try:
                ids, sizes, text = _parse(pa, block)
                _check_ids(ids, count, num_nodes)
            except ValueError as error:
                raise GraphFormatError(
                    f"{os.fspath(path)}: from line {line} on: {error}"
                ) from error
            lengths.append(sizes)
            letters.append(text)
            count += len(ids)
            line += len(ids)
    if count != num_nodes:
        raise GraphFormatError(f"labels: expected {num_nodes} nodes, got {count}")
    offsets = np.cumsum(np.concatenate(lengths), dtype=np.int64)
    names = np.concatenate(letters)
    _check_distinct(pa, offsets, names)
    return Labels.in_utf8(offsets, names)


def _parse(pa: Any, block: memoryview) -> tuple[I64, I64, U8]:
    """Ids, lengths of the names, and the names end to end."""
    from pyarrow import csv

    try:
        table = csv.read_csv(
            pa.py_buffer(block),
            csv.ReadOptions(autogenerate_column_names=True),
            csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types={"f0": pa.int64(), "f1": pa.large_string()},
                include_columns=["f0", "f1"],
                null_values=[],
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise ValueError(f"expected an id, a tab and a name in UTF-8: {error}") from None
    names = table.column("f1").combine_chunks()
    return (table.column("f0").to_numpy(), *_text_of(names))


def _text_of(names: Any) -> tuple[I64, U8]:
    _, offsets, letters = names.buffers()
    bounds = np.frombuffer(offsets, np.int64)[names.offset : names.offset + len(names) + 1]
    text = np.frombuffer(letters or b"", np.uint8)[bounds[0] : bounds[-1]]
    return np.diff(bounds), text


def _check_ids(ids: I64, first: int, num_nodes: int) -> None:
    wrong = np.flatnonzero(ids != np.arange(first, first + len(ids)))
    if len(wrong):
        raise ValueError(f"expected id {first + wrong[0]}, got {ids[wrong[0]]}")
    if first + len(ids) > num_nodes:
        raise ValueError(f"expected {num_nodes} nodes, got more")


def _check_distinct(pa: Any, offsets: I64, letters: U8) -> None:
    """Names in ascending order, as Common Crawl's, are; to hash others takes most of the time."""
    from pyarrow import compute

    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(letters)]
    names = pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    if compute.all(compute.less(names[:-1], names[1:])).as_py() is not False:
        return
    if compute.count_distinct(names).as_py() != len(names):
        raise GraphFormatError("labels: expected distinct names, got repeated ones")
