"""Rows as users have them, some at a time: arrays, mapped files, frames, Arrow, iterators of these.

No library of frames is imported: an object that is one's brings it along.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Numbers of some rows of a file or a frame: 32 MB of float64. With 1 << 20 what each column of a
#: frame takes to convert was a third of the covariance of 784 of them.
_PIECE = 1 << 22
#: Batches and files of a dataset that are read ahead: by default 16 and 4, some gigabytes.
_READAHEAD = 1


class Chunks:
    """The rows of an object, some at a time: arrays whose dimensions and types are not checked.

    Attributes
    ----------
    columns : list of str, or None
        Names of the columns, once the first rows came, where these have names.

    Raises
    ------
    TypeError, ValueError
        A column of a frame that does not hold numbers, or nulls; frames whose columns have other
        names than before; no chunk at all.
    """

    def __init__(self, name: str, source: Any) -> None:
        self.name, self._source = name, source
        self.columns: list[str] | None = None

    def __iter__(self) -> Iterator[Array]:
        is_empty = True
        for part in self._source if _is_iterable(self._source) else (self._source,):
            is_empty = False
            yield from self._arrays(part)
        if is_empty:
            raise ValueError(f"{self.name}: expected rows, got none")

    def _arrays(self, part: Any) -> Iterator[Array]:
        library = _library(part)
        if library == "pyarrow" and hasattr(part, "schema"):
            yield from map(self._of_record_batch, _record_batches(part))
        elif library == "pandas" and hasattr(part, "iloc") and hasattr(part, "columns"):
            for rows in _pieces_of(len(part), part.shape[-1]):
                yield self._of_pandas(part.iloc[rows])
        elif library == "polars" and hasattr(part, "iter_slices"):
            for rows in _pieces_of(*part.shape):
                yield self._of_polars(part[rows])
        else:
            yield from pieces(np.asarray(part))

    def _of_record_batch(self, batch: Any) -> Array:
        schema = batch.schema
        is_number = {kind: str(kind) in _ARROW_NUMBERS for kind in set(schema.types)}
        self._check_columns(schema.names, schema.types, [is_number[kind] for kind in schema.types])
        self._check_nulls(schema.names, [column.null_count for column in batch.columns])
        arrays = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
        return _side_by_side(arrays, batch.num_rows)

    def _of_pandas(self, frame: Any) -> Array:
        names, kinds = list(map(str, frame.columns)), list(frame.dtypes)
        self._check_columns(names, kinds, [kind.kind in "biufc" for kind in kinds])
        if len(set(kinds)) == 1 and isinstance(kinds[0], np.dtype):
            return np.asarray(frame)
        columns = [frame.iloc[:, i] for i in range(len(names))]
        is_nullable = [not isinstance(kind, np.dtype) for kind in kinds]
        nulls = [
            int(x.isna().sum()) if may else 0 for x, may in zip(columns, is_nullable, strict=True)
        ]
        self._check_nulls(names, nulls)
        arrays = [
            x.to_numpy(np.float64) if may else x.to_numpy()
            for x, may in zip(columns, is_nullable, strict=True)
        ]
        return _side_by_side(arrays, len(frame))

    def _of_polars(self, frame: Any) -> Array:
        kinds = frame.dtypes
        is_number = [
            kind.is_integer() or kind.is_float() or str(kind) == "Boolean" for kind in kinds
        ]
        self._check_columns(frame.columns, kinds, is_number)
        self._check_nulls(frame.columns, frame.null_count().row(0) if frame.columns else ())
        return np.asarray(frame.to_numpy())

    def _check_columns(
        self, names: Sequence[str], kinds: Sequence[Any], is_number: Sequence[bool]
    ) -> None:
        if not all(is_number):
            wrong = list(is_number).index(False)
            raise TypeError(
                f"{self.name}: expected columns of numbers, got {kinds[wrong]} "
                f"in column {names[wrong]!r}"
            )
        if self.columns not in (None, list(names)) and len(names) == len(self.columns or ()):
            wrong = [a == b for a, b in zip(names, self.columns or (), strict=True)].index(False)
            raise ValueError(
                f"{self.name}: expected the columns of the rows before, got {names[wrong]!r} "
                f"instead of {(self.columns or ())[wrong]!r}"
            )
        self.columns = list(names)

    def _check_nulls(self, names: Sequence[str], counts: Sequence[int]) -> None:
        if any(counts):
            wrong = [count > 0 for count in counts].index(True)
            raise ValueError(
                f"{self.name}: expected no nulls, got {counts[wrong]} in column {names[wrong]!r}"
            )


#: Arrow's names of the types that NumPy computes with.
_ARROW_NUMBERS = frozenset(
    ["bool", "halffloat", "float", "double"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)


def are_streamed(source: Any) -> bool:
    """Whether an object's rows can only be had some at a time: Arrow's, or an iterator's."""
    return _is_iterable(source) or (_library(source) == "pyarrow" and hasattr(source, "schema"))


def is_mapped(rows: Array) -> bool:
    """Whether an array lies in a file, whose pages `pieces` lets go."""
    return _mapped_file(rows) is not None


def is_converted(rows: Any) -> bool:
    """Whether rows lie in a file, in a type that kernels do not read."""
    is_matrix = isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind in "biuf"
    is_read = is_matrix and rows.dtype.char in "fd" and rows.dtype.isnative
    return is_matrix and not is_read and is_mapped(rows)


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


def _library(x: Any) -> str:
    """Whose the object is, of the libraries of frames."""
    names = {str(base.__module__).partition(".")[0] for base in type(x).__mro__}
    return next(iter(names & {"pyarrow", "pandas", "polars"}), "")


def _is_iterable(x: Any) -> bool:
    """Whether these are chunks, one after the other; a list or tuple is an array_like."""
    is_array = isinstance(x, (Sequence, set, frozenset, dict)) or hasattr(x, "shape")
    is_array = is_array or hasattr(x, "__array__") or hasattr(x, "schema")
    return isinstance(x, Iterable) and not is_array


def _record_batches(x: Any) -> Iterator[Any]:
    """Batches of some rows of Arrow's tables, batches, readers, datasets and files."""
    size = max(_PIECE // max(len(x.schema), 1), 1)
    if hasattr(x, "iter_batches"):  # ParquetFile
        whole: Iterable[Any] = x.iter_batches(batch_size=size)
    elif hasattr(x, "get_fragments"):  # Dataset
        whole = x.to_batches(
            batch_size=size, batch_readahead=_READAHEAD, fragment_readahead=_READAHEAD
        )
    elif hasattr(x, "to_batches"):  # Table
        whole = x.to_batches()
    else:  # RecordBatchReader, or RecordBatch
        whole = (x,) if hasattr(x, "num_rows") else x
    for batch in whole:
        for part in _pieces_of(batch.num_rows, batch.num_columns):
            yield batch.slice(part.start, size)


def _side_by_side(columns: list[Array], rows: int) -> Array:
    """Columns of numbers as one array, each of them contiguous."""
    dtype = np.result_type(*columns) if columns else np.float64
    found = np.empty((rows, len(columns)), dtype, order="F")
    for i, column in enumerate(columns):
        found[:, i] = column
    return found


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
