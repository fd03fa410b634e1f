"""Collecting edges as they arrive, and numbering their nodes at the end.

Integer ids keep their order: the nodes are the ids that occur, ascending. Text ids are numbered in
the order of first appearance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check, _memory
from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import F64, I64, U8
from fastmml.errors import GraphFormatError
from fastmml.graph.build import EdgeChunk, Rows
from fastmml.graph.labels import Labels
from fastmml.graph.spill import Chunks, Progress

#: A map of one byte per possible id is used up to this many possible ids per edge.
_MAP_BYTES_PER_EDGE = 4
_ID_BYTES = 8


class IntegerIds:
    """Edges between nodes named by 64-bit integers.

    Ids below 2**32 are kept in 32 bits; once there are others, all are interned, as text is.
    """

    def __init__(self, num_nodes: int | None, max_memory: int) -> None:
        self._num_nodes, self._max_memory = num_nodes, max_memory
        self._chunks = Chunks(max_memory)
        self._names: TextIds | None = None
        self._high = -1

    @property
    def has_edges(self) -> bool:
        """Whether any edge was added."""
        return self._high >= 0 or self._names is not None

    def add(self, src: I64, dst: I64, weights: F64 | None) -> None:
        """Take a copy of some edges."""
        if len(src) == 0:
            return
        low = min(int(src.min()), int(dst.min()))
        high = max(int(src.max()), int(dst.max()))
        self.add_within(src, dst, weights, low, high)

    def add_within(self, src: I64, dst: I64, weights: F64 | None, low: int, high: int) -> None:
        """Take a copy of some edges whose smallest and largest id are known."""
        if self._num_nodes is not None and not 0 <= low <= high < self._num_nodes:
            wrong = low if low < 0 else high
            raise GraphFormatError(
                f"ids: expected ids from 0 to below num_nodes = {self._num_nodes}, got {wrong}"
            )
        if self._names is None and not 0 <= low <= high < _check.MAX_NODES:
            self._names = self._intern()
        if self._names is not None:
            self._names.add(*_as_strings(src, dst), weights)
            return
        self._high = max(high, self._high)
        kept = None if weights is None else _copy(weights, np.float64)
        self._chunks.add(EdgeChunk(_copy(src, np.uint32), _copy(dst, np.uint32), kept))

    def finish(self, progress: Progress | None = None) -> tuple[Rows, NDArray[Any] | None]:
        """Rows, and the ids that occur (None when they are 0 .. n - 1)."""
        if self._num_nodes is not None:
            return self._chunks.rows(self._num_nodes, progress), None
        if self._names is not None:
            return _finish_sparse(self._names, progress)
        if self._high >= _MAP_BYTES_PER_EDGE * self._chunks.edges + (1 << 20):
            return _finish_sparse(self._intern(), progress)
        return self._finish_dense(progress)

    def _intern(self) -> TextIds:
        """Take ids for strings of 8 bytes."""
        names = TextIds(self._max_memory)
        for src, dst, weights in self._chunks.drain():
            names.add(*_as_strings(src.astype(np.int64), dst.astype(np.int64)), weights)
        self._chunks = Chunks(self._max_memory)
        return names

    def _finish_dense(self, progress: Progress | None) -> tuple[Rows, NDArray[Any] | None]:
        """Mark the ids that occur in a map of all possible ones."""
        threads = get_num_threads()
        present = np.zeros(self._high + 1, np.uint8)
        for chunk in self._chunks:
            kernels().mark_ids(chunk.src, present, threads)
            kernels().mark_ids(chunk.dst, present, threads)
        if present.all():
            return self._chunks.rows(len(present), progress), None
        labels = np.flatnonzero(present)
        table = np.cumsum(present, dtype=np.uint32)
        table -= np.uint32(1)  # of no meaning for absent ids, which nothing looks up
        self._chunks.relabel(table)
        del present, table
        return self._chunks.rows(len(labels), progress), labels


def _finish_sparse(names: TextIds, progress: Progress | None) -> tuple[Rows, NDArray[Any]]:
    """Order interned ids by value."""
    labels = names.labels()[1].view(np.int64)
    order = np.argsort(labels)
    table = np.empty(len(labels), np.uint32)
    table[order] = np.arange(len(labels), dtype=np.uint32)
    names.chunks.relabel(table)
    return names.chunks.rows(len(labels), progress), labels[order]


class TextIds:
    """Edges between nodes named by byte strings."""

    def __init__(self, max_memory: int) -> None:
        self.chunks = Chunks(max_memory)
        self._interner = kernels().interner()

    def add(self, text: U8, src: I64, dst: I64, weights: F64 | None) -> None:
        """Take a copy of some edges; ``src`` and ``dst`` are spans of ``text``."""
        ids = EdgeChunk(
            _memory.empty(len(src), np.uint32),
            _memory.empty(len(dst), np.uint32),
            None if weights is None else _copy(weights, np.float64),
        )
        self._interner.add(text, src, dst, ids.src, ids.dst)
        self.chunks.add(ids)

    def labels(self) -> tuple[I64, U8]:
        """Offsets and bytes of the distinct strings."""
        return self._interner.labels()

    def finish(
        self, num_nodes: int | None, progress: Progress | None = None
    ) -> tuple[Rows, Labels]:
        """Rows, and the strings in the order of first appearance."""
        labels = Labels.in_utf8(*self.labels())
        count = labels.num_nodes
        if num_nodes is not None and num_nodes != count:
            raise GraphFormatError(
                f"num_nodes: expected {count}, the number of distinct labels, got {num_nodes}"
            )
        return self.chunks.rows(count, progress), labels


def _copy(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    copy = _memory.empty(len(values), dtype)
    np.copyto(copy, values, casting="unsafe")
    return copy


def _as_strings(src: I64, dst: I64) -> tuple[U8, I64, I64]:
    """Text of 8 bytes an id, and the spans of src's and dst's ids in it."""
    text = np.concatenate([src, dst]).view(np.uint8)
    spans = np.arange(len(src) + len(dst), dtype=np.int64) * _ID_BYTES << 32 | _ID_BYTES
    return text, spans[: len(src)], spans[len(src) :]
