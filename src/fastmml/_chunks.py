"""Rows some at a time: of arrays, mapped files, frames, Arrow's data, and iterators of these."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._frames import (
    Columns,
    is_arrow,
    is_frame,
    is_table,
    library,
    record_batches,
)

Array = NDArray[Any]

#: Numbers of some rows of a file or a frame: 32 MB of float64. With 1 << 20 what each column of a
#: frame takes to convert was a third of the covariance of 784 of them.
_PIECE = 1 << 22


class Chunks:
    """The rows of an object, some at a time: arrays whose dimensions and types are not checked.

    Raises
    ------
    TypeError, ValueError
        A column of a frame that does not hold numbers, or nulls; frames whose columns have other
        names than before; no chunk at all.
    """

    def __init__(self, name: str, source: Any) -> None:
        self.name, self._source = name, source
        self._columns = Columns(name)

    @property
    def columns(self) -> list[Hashable] | None:
        """Names of the columns, once the first rows came, where these have names."""
        return self._columns.names

    def __iter__(self) -> Iterator[Array]:
        is_empty = True
        for part in self._source if _are_chunks(self._source) else (self._source,):
            is_empty = False
            yield from self._arrays(part)
        if is_empty:
            raise ValueError(f"{self.name}: expected rows, got none")

    def _arrays(self, part: Any) -> Iterator[Array]:
        if is_arrow(part):
            for batch in record_batches(self.name, part, _PIECE):
                for rows in _pieces_of(batch.num_rows, batch.num_columns):
                    yield self._columns.of_arrow(batch[rows])
        elif not is_frame(part):
            yield from pieces(_check.numbers(self.name, part, "an array, frame or Arrow data"))
        elif library(part) == "pandas":
            for rows in _pieces_of(len(part), part.shape[-1]):
                yield self._columns.of_pandas(part.iloc[rows])
        else:
            for rows in _pieces_of(*part.shape):
                yield self._columns.of_polars(part[rows])


def are_streamed(source: Any) -> bool:
    """Whether rows come some at a time only: those of chunks, or those that Arrow reads."""
    return _are_chunks(source) or (is_arrow(source) and not is_table(source))


def is_mapped(rows: Array) -> bool:
    """Whether an array lies in a file, whose pages `pieces` lets go."""
    return _mapped_file(rows) is not None


def is_converted(rows: Any) -> bool:
    """Whether rows lie in a file, in a type that kernels do not read."""
    is_matrix = isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.size > 0
    if not is_matrix or rows.dtype.kind not in "biuf" or rows.dtype.char == "g":
        return False
    return is_mapped(rows) and not (rows.dtype.char in "fd" and rows.dtype.isnative)


def pieces(rows: Array) -> Iterator[Array]:
    """The array itself, or some rows at a time of a mapped file, which leave memory again."""
    mapped = _mapped_file(rows)
    if mapped is None or rows.ndim != 2 or not rows.size:
        yield rows
        return
    for part in _pieces_of(*rows.shape):
        yield rows[part]
        _release(mapped, rows[part])


def let_go(rows: Array) -> None:
    """Take what was read of a mapped file out of memory."""
    mapped = _mapped_file(rows)
    if mapped is not None and rows.size:
        _release(mapped, rows)


def _pieces_of(rows: int, columns: int) -> Iterator[slice]:
    """Which rows are taken at a time."""
    size = max(_PIECE // max(columns, 1), 1)
    for start in range(0, rows, size):
        yield slice(start, start + size)


def _are_chunks(x: Any) -> bool:
    """Whether these are chunks, one after the other; a list or tuple of others is an array_like."""
    if isinstance(x, (list, tuple)):
        return len(x) > 0 and is_frame(x[0])
    is_array = isinstance(x, (Sequence, set, frozenset, dict)) or hasattr(x, "shape")
    is_array = is_array or hasattr(x, "__array__") or is_arrow(x)
    return isinstance(x, Iterable) and not is_array


def _mapped_file(rows: Array) -> mmap.mmap | None:
    """The file that an array lies in, unless changes to it stay in memory."""
    base: Any = rows
    is_shared = False
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            is_shared = base.mode in (
                "r",
                "r+",
                "w+",
            )  # the innermost one's: of views it may be None
        base = base.base
    return base if is_shared and isinstance(base, mmap.mmap) else None


def _release(mapped: mmap.mmap, part: Array) -> None:
    """Take pages out of this process's memory; the file, and what was written to it, keeps them."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = int(np.frombuffer(mapped, np.uint8).__array_interface__["data"][0])
    low, high = (bound - start for bound in np.lib.array_utils.byte_bounds(part))
    low -= low % mmap.PAGESIZE
    with contextlib.suppress(OSError):  # pages that were locked stay
        mapped.madvise(mmap.MADV_DONTNEED, low, high - low)
