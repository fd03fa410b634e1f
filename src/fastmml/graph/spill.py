"""Edges beyond what memory holds: kept in files, sorted into rows some targets at a time.

An external distribution sort (Knuth, The Art of Computer Programming 3, section 5.4.9). Each chunk
of edges is scattered into buckets of neighbouring targets, as in memory (build.py), and appended to
files as a run. Then as many buckets as memory holds are read back from every run, sorted into rows
and appended to the arrays of the graph, which are files mapped into memory. The order within a row
is the same as in memory, bit for bit.

The files have no name in the folder of temporary files, or lose it at once: nothing is left of
them, however the program ends. Cost: runs write and read 6 bytes an edge (14 with weights), the
rows take 4 (12); edges whose nodes are numbered at the end wait in files of 8 bytes (16).
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check, _memory
from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import I64, U32
from fastmml.graph import build
from fastmml.graph.build import EdgeChunk, Rows

#: Called as progress(bytes done, bytes in all).
Progress = Callable[[int, int], object]


def budget(max_memory: int | None) -> int:
    """Bytes that edges may take in memory; by default half of what is free."""
    if max_memory is None:
        return _memory.available() // 2
    return _check.positive_int("max_memory", max_memory)


class _Column:
    """Values of one type in a file without a name: appended, read back, mapped into memory."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        import tempfile  # brings a dozen modules, which a graph in memory does not need

        self.dtype = dtype
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
        weakref.finalize(self, self._file.close)
        self._folder = tempfile.gettempdir()

    def append(self, values: NDArray[Any]) -> None:
        """Write values at the end; what the disk refuses is said with the folder's name."""
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(values.view(np.uint8).data)
            self._file.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._folder) from error

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Read values first, ..., last - 1."""
        values = _memory.empty(last - first, self.dtype)
        self._file.seek(first * self.dtype.itemsize)
        self._file.readinto(values.view(np.uint8).data)
        return values

    def map(self) -> NDArray[Any]:
        """Map all values into memory; they last as long as the array."""
        if self._file.seek(0, os.SEEK_END) == 0:
            return np.empty(0, self.dtype)
        region = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(region, self.dtype)


def _append(columns: list[_Column], arrays: Iterable[NDArray[Any] | None]) -> None:
    """Append parallel arrays to their columns, which are made for the first ones."""
    present = [array for array in arrays if array is not None]
    if not columns:
        columns.extend(_Column(array.dtype) for array in present)
    for column, array in zip(columns, present, strict=True):
        column.append(array)


class Chunks:
    """Chunks of edges in the order of arrival: in memory, beyond max_memory bytes in files."""

    def __init__(self, max_memory: int) -> None:
        self._max_memory = max_memory
        self._bytes = 0
        self._kept: list[EdgeChunk] = []
        self._columns: list[_Column] = []
        self._cuts = [0]  #: where each chunk in files starts, and the last one ends
        self._table: U32 | None = None

    @property
    def edges(self) -> int:
        """How many edges there are."""
        return self._cuts[-1] + sum(len(chunk.src) for chunk in self._kept)

    def add(self, chunk: EdgeChunk) -> None:
        """Take a chunk; from the first one that does not fit on, all go to files."""
        self._bytes += chunk.edge_bytes * len(chunk.src)
        self._kept.append(chunk)
        if self._bytes > self._max_memory:
            self._kept.reverse()
            while self._kept:
                kept = self._kept.pop()
                _append(self._columns, kept)
                self._cuts.append(self._cuts[-1] + len(kept.src))

    def __iter__(self) -> Iterator[EdgeChunk]:
        yield from self._kept
        for first, last in pairwise(self._cuts):
            chunk = EdgeChunk(*(column.read(first, last) for column in self._columns))
            if self._table is not None:
                _relabel(chunk, self._table)
            yield chunk

    def drain(self) -> Iterator[EdgeChunk]:
        """Yield the chunks, and give up the memory of each."""
        self._kept.reverse()
        while self._kept:
            yield self._kept.pop()
        yield from self

    def relabel(self, table: U32) -> None:
        """Give nodes their final numbers (once); edges in files get them when they are read."""
        for chunk in self._kept:
            _relabel(chunk, table)
        self._table = table if self._columns else None

    def rows(self, num_nodes: int, progress: Progress | None = None) -> Rows:
        """Sort the edges into rows, and give up their memory."""
        if not self._columns:
            return build.build_rows(num_nodes, self._kept, get_num_threads())
        return build_rows(num_nodes, self, self.edges, self._max_memory, progress)


def _relabel(chunk: EdgeChunk, table: U32) -> None:
    kernels().relabel(table, chunk.src, get_num_threads())
    kernels().relabel(table, chunk.dst, get_num_threads())


def build_rows(
    num_nodes: int,
    chunks: Iterable[EdgeChunk],
    edges: int,
    max_memory: int,
    progress: Progress | None = None,
) -> Rows:
    """Sort edges (at least one) into rows in files; sorting takes about max_memory bytes."""
    runs = _Runs(num_nodes, build.bucket_shift(num_nodes, edges))
    report = progress or _ignore
    for chunk in chunks:
        runs.add(chunk)
        report(runs.nbytes, 2 * runs.edge_bytes * edges)
    indptr, links = _Column(np.dtype(np.int64)), list[_Column]()
    indptr.append(np.zeros(1, np.int64))
    starts = runs.starts()
    for first, last in _ranges(starts, max_memory // (runs.edge_bytes + chunk.edge_bytes)):
        rows = runs.sort(first, last)
        indptr.append(rows.indptr[1:] + starts[first])
        if len(rows.indices):
            _append(links, (rows.indices, rows.weights))
        report(runs.nbytes + runs.edge_bytes * int(starts[last]), 2 * runs.nbytes)
    return Rows(indptr.map(), links[0].map(), links[1].map() if len(links) > 1 else None)


def _ignore(done: int, total: int) -> None:
    pass


def _ranges(starts: I64, most: int) -> Iterator[tuple[int, int]]:
    """Cut buckets into ranges of at most so many edges, or of one bucket."""
    first = 0
    while first < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[first] + most, side="right")) - 1
        last = max(last, first + 1)
        yield first, last
        first = last


class _Runs:
    """Chunks of edges in files, each in the order of its buckets."""

    def __init__(self, num_nodes: int, shift: int) -> None:
        self._num_nodes, self._shift = num_nodes, shift
        self._columns: list[_Column] = []  #: source, target within its bucket, perhaps weight
        self._bounds: list[I64] = []  #: of each run: where its buckets start in the columns
        self._edges = 0

    @property
    def edge_bytes(self) -> int:
        """Bytes that an edge takes in the files."""
        return sum(column.dtype.itemsize for column in self._columns)

    @property
    def nbytes(self) -> int:
        """Bytes that all edges take in the files."""
        return self._edges * self.edge_bytes

    def starts(self) -> I64:
        """Say how many edges are in the buckets before each one, and in all."""
        counted = np.sum([np.diff(bounds) for bounds in self._bounds], axis=0)
        return np.concatenate([[0], np.cumsum(counted)])

    def add(self, chunk: EdgeChunk) -> None:
        """Scatter a chunk into its buckets and append them."""
        count, threads = len(chunk.src), get_num_threads()
        positions, bounds = build.place_tiles(self._num_nodes, [chunk], self._shift, threads)
        src = _memory.empty(count, np.uint32)
        local = _memory.empty(count, np.uint16)
        weights = None if chunk.weights is None else _memory.empty(count, np.float64)
        kernels().bucket_scatter(*chunk, self._shift, positions, src, local, weights, threads)
        _append(self._columns, (src, local, weights))
        self._bounds.append(bounds + self._edges)
        self._edges += count

    def sort(self, first: int, last: int) -> Rows:
        """Sort the edges of buckets first, ..., last - 1 into rows."""
        nodes = min(last << self._shift, self._num_nodes) - (first << self._shift)
        chunks = [self._read(bounds[first : last + 1]) for bounds in self._bounds]
        return build.build_rows(nodes, chunks, get_num_threads(), self._num_nodes)

    def _read(self, bounds: I64) -> EdgeChunk:
        """Read some buckets of a run; targets count from the first one's."""
        src, dst, *weights = (column.read(bounds[0], bounds[-1]) for column in self._columns)
        buckets = np.arange(len(bounds) - 1, dtype=np.uint32) << np.uint32(self._shift)
        targets = np.repeat(buckets, np.diff(bounds))
        targets |= dst
        return EdgeChunk(src, targets, *weights)
