"""Data less their mean, as what they multiply: without a centred copy, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._backend import get_num_threads, kernels
from fastmml._centred import TINY
from fastmml._chunks import is_mapped, let_go, pieces
from fastmml.linalg import gram, matmul
from fastmml.moments import Moments
from fastmml.orthogonal import qr
from fastmml.streaming import StreamingQR

Array = NDArray[Any]

#: Numbers of a piece that is centred: 4 MB of float32, which a last-level cache holds.
PIECE = 1 << 20
#: Columns that are centred at a time for the products of rows, at least: products of many rows are
#: added up in float64 so many times.
_SLAB_COLUMNS = 512
#: Rows whose mean is the provisional one: enough that it is within a part of the spread.
_SAMPLE = 128
#: A mean within so many spreads of 0 is taken off the products instead of the rows: rounding errors
#: grow by no more than this factor.
_NEAR = 3.0
#: Rows whose products are added up in float32, at most.
_SUM_ROWS = 4096
#: Columns of the identity matrix that sparse data are multiplied by at a time.
_IDENTITY = 64


class Products(Protocol):
    """Products of C, the data less their mean."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the data."""
        ...

    @property
    def unit(self) -> float:
        """Rounding error of what is multiplied."""
        ...

    @property
    def mean(self) -> Array:
        """(n,) float64."""
        ...

    @property
    def total(self) -> float:
        """The sum of squares of C; known, or found, once products are."""
        ...

    @property
    def removed(self) -> float:
        """The sum of squares that the mean takes off products instead of rows."""
        ...

    def column_products(self) -> Array:
        """C' C, of float64."""
        ...


class Centred(Products, Protocol):
    """Data that can be multiplied again and again."""

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        ...

    @property
    def is_sparse(self) -> bool: ...

    @property
    def is_mapped(self) -> bool:
        """Whether the data lie in a file, so that one pass over them is what counts."""
        ...

    @property
    def work(self) -> float:
        """Multiply-adds of a product with one vector."""
        ...

    def times(self, b: Array) -> Array:
        """C b, of float64."""
        ...

    def transposed_times(self, y: Array) -> Array:
        """C' y, of float64."""
        ...

    def triangle(self, b: Array) -> Array:
        """R of the factorisation Q R of C b, of float64."""
        ...

    def row_products(self) -> Array:
        """C C', of float64."""
        ...


def finite_total(data: Any, total: float) -> float:
    """The sum of squares, if it is a number."""
    if not np.isfinite(total):
        _check.finite("X", data)
        raise ValueError("X: expected numbers whose squares are finite, got larger ones")
    return total


class DenseRows:
    """An array, of which pieces are centred while the cache holds them.

    A provisional mean is taken off the rows, if it is needed for digits, and what that leaves, less
    than the spread, off the products.
    """

    is_sparse = False
    removed = 0.0

    def __init__(self, rows: Array) -> None:
        self._rows = rows
        self.is_mapped = is_mapped(rows)
        self.shape: tuple[int, int] = (rows.shape[0], rows.shape[1])
        self.dtype = rows.dtype

    @property
    def work(self) -> float:
        return float(self.shape[0]) * self.shape[1]

    @property
    def unit(self) -> float:
        return float(np.finfo(self._number).eps)

    @property
    def mean(self) -> Array:
        return self._moments[0]

    @property
    def total(self) -> float:
        return self._moments[1]

    def times(self, b: Array) -> Array:
        out, narrow = np.empty((self.shape[0], b.shape[1])), b.astype(self._number, copy=False)
        if self._is_plain:
            out[...] = matmul(self._rows, narrow)
        else:
            for part, piece in self._pieces():
                out[part] = matmul(piece, narrow)
        out -= matmul(self._offset, b)
        return out

    def triangle(self, b: Array) -> Array:
        """Some rows at a time: C b would be a good part of the data."""
        stream, narrow = StreamingQR(), b.astype(self._number, copy=False)
        offset = matmul(self._offset, b)
        for _, piece in self._pieces():
            stream.update(matmul(piece, narrow) - offset)
        return stream.r

    def transposed_times(self, y: Array) -> Array:
        m, n = self.shape
        out, narrow = np.zeros((n, y.shape[1])), y.astype(self._number, copy=False)
        for start in range(0, m, _SUM_ROWS):
            part = slice(start, start + _SUM_ROWS)
            if self._is_plain:
                out += matmul(self._rows[part].T, narrow[part])
                continue
            size = max(PIECE // min(m, _SUM_ROWS), 1)
            for first in range(0, n, size):
                slab = slice(first, first + size)
                out[slab] += matmul(self._shifted(part, slab).T, narrow[part])
                let_go(self._rows[part, slab])
        out -= np.outer(self._offset, y.sum(axis=0))
        return out

    def column_products(self) -> Array:
        """In one pass, which finds the mean, too."""
        moments = Moments().update(self._rows)
        products = moments.scatter
        self._sample = moments.mean, np.sqrt(np.diagonal(products).clip(0) / len(self._rows))
        self._moments = moments.mean, finite_total(self._rows, float(np.trace(products)))
        return products

    def row_products(self) -> Array:
        """By slabs of columns, in one pass, which finds the mean, too."""
        mean, products = self._row_products(self.dtype)
        squares = np.diagonal(products)
        if self.dtype == np.float32 and not TINY["f"] ** 2 < squares.max() < np.inf:
            mean, products = self._row_products(np.dtype(np.float64))
        self._moments = mean, finite_total(self._rows, float(np.trace(products)))
        return products

    def centred(self) -> Array:
        """A copy in float64."""
        found = self._rows - self.mean
        found -= found.mean(axis=0)
        return np.asarray(found)

    def _row_products(self, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """Mean and products, multiplied in this type.

        Deviations are from the mean as the type holds it; what they leave is taken off the
        products, which are then those of deviations from the mean itself.
        """
        m, n = self.shape
        mean, products = np.empty(n), np.zeros((m, m))
        size = max(4 * PIECE // m, _SLAB_COLUMNS)
        with np.errstate(all="ignore"):
            for start in range(0, n, size):
                columns = self._rows[:, start : start + size]
                middle = columns.mean(axis=0, dtype=np.float64)
                mean[start : start + size] = middle
                centred = columns.astype(dtype, copy=False) - middle.astype(dtype)
                products += gram(centred.T)
                let_go(self._rows)
            sides = products.mean(axis=0)
            products += sides.mean() - (sides + sides[:, np.newaxis])
        return mean, products

    @cached_property
    def _moments(self) -> tuple[Array, float]:
        """Mean, and sum of squares of the centred data, by a pass around the provisional mean."""
        sums, squares = np.zeros(self.shape[1]), 0.0
        with np.errstate(all="ignore"):
            for _, piece in self._pieces():
                sums += piece.sum(axis=0, dtype=np.float64)
                squares += float(np.einsum("ij,ij->i", piece, piece).sum(dtype=np.float64))
            offset = sums / self.shape[0]
            total = squares - self.shape[0] * float(offset @ offset)
        return self._shift + offset, max(finite_total(self._rows, total), 0.0)

    @cached_property
    def _sample(self) -> tuple[Array, Array]:
        """Mean and spread of some rows all over the data."""
        rows = self._rows[:: -(-len(self._rows) // _SAMPLE)].astype(np.float64)
        with np.errstate(all="ignore"):
            return rows.mean(axis=0), rows.std(axis=0)

    @cached_property
    def _number(self) -> np.dtype[Any]:
        """What is multiplied: float32 where squares of such numbers are numbers."""
        if self.dtype == np.float32:
            mean, spread = self._sample
            largest = float(np.max(np.abs(mean) + spread))
            is_fit = TINY["f"] < float(spread.max()) and largest < 1 / TINY["f"]
            return np.dtype(np.float32 if is_fit else np.float64)
        return self.dtype

    @cached_property
    def _shift(self) -> Array:
        """The provisional mean, as the type holds it; 0 where the mean is near enough to that."""
        mean, spread = self._sample
        mean = np.where(np.isfinite(mean), mean, 0)
        if (np.abs(mean) <= _NEAR * spread).all():
            return np.zeros_like(mean)
        return mean.astype(self._number).astype(np.float64)

    @cached_property
    def _offset(self) -> Array:
        return np.asarray(self.mean - self._shift)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether products read the data where they lie, all at once."""
        return self._number == self.dtype and not self._shift.any() and not self.is_mapped

    def _shifted(self, part: slice, slab: slice) -> Array:
        piece = self._rows[part, slab].astype(self._number, copy=False)
        shift = self._shift[slab]
        return piece - shift.astype(self._number) if self._shift.any() else piece

    def _pieces(self) -> Iterator[tuple[slice, Array]]:
        """Rows less the provisional mean, some at a time, and which they are."""
        size, start = min(max(PIECE // self.shape[1], 1), _SUM_ROWS), 0
        for rows in pieces(self._rows):
            end = start + len(rows)
            for first in range(start, end, size):
                part = slice(first, min(first + size, end))
                yield part, self._shifted(part, slice(None))
            start = end


class GatheredRows:
    """Moments of rows that are no longer there."""

    removed = 0.0

    def __init__(self, moments: Moments) -> None:
        self.dtype: np.dtype[Any] = moments.dtype
        self.unit = float(np.finfo(self.dtype).eps)
        self.mean = moments.mean
        self._scatter = moments.scatter
        self.total = finite_total(self.mean, float(np.trace(self._scatter)))

    def column_products(self) -> Array:
        return self._scatter


class SparseRows:
    """A sparse matrix, in compressed rows and in compressed columns, multiplied in float64.

    The mean is taken off the products.
    """

    is_sparse = True
    is_mapped = False
    unit = float(np.finfo(np.float64).eps)

    def __init__(self, rows: Any) -> None:
        _check.compressed("X", rows)
        rows = rows.tocsr()
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        self._rows, self._columns = compressed(rows), compressed(rows.T.tocsr())
        self.shape = rows.shape
        self.dtype = rows.dtype
        self.mean = self._mean()
        self.total = self._total()
        self.removed = self.shape[0] * float(self.mean @ self.mean)

    @property
    def work(self) -> float:
        return float(len(self._rows.data))

    def _mean(self) -> Array:
        m = self.shape[0]
        one, none = np.full((m, 1), 1 / m), np.zeros(1)
        return np.asarray(sparse_times(self._columns, one, none)[:, 0])

    def _total(self) -> float:
        with np.errstate(all="ignore"):
            stored = np.diff(self._columns.indptr)
            deviations = self._columns.data - np.repeat(self.mean, stored)
            others = (self.shape[0] - stored) * self.mean**2
            return finite_total(self._rows.data, float((deviations**2).sum() + others.sum()))

    def times(self, b: Array) -> Array:
        return sparse_times(self._rows, b, matmul(self.mean, b))

    def triangle(self, b: Array) -> Array:
        return np.asarray(qr(self.times(b), mode="r", overwrite_a=True))

    def transposed_times(self, y: Array) -> Array:
        found = sparse_times(self._columns, y, np.zeros(y.shape[1]))
        found -= np.outer(self.mean, y.sum(axis=0))
        return found

    def column_products(self) -> Array:
        """By products with the identity: those of entries lose the digits of a large mean."""
        return self._products(self.shape[1], lambda unit: self.transposed_times(self.times(unit)))

    def row_products(self) -> Array:
        return self._products(self.shape[0], lambda unit: self.times(self.transposed_times(unit)))

    def _products(self, size: int, apply: Callable[[Array], Array]) -> Array:
        found = np.empty((size, size))
        for start in range(0, size, _IDENTITY):
            width = min(_IDENTITY, size - start)
            found[:, start : start + width] = apply(np.eye(size, width, -start))
        return (found + found.T) / 2


class Compressed(NamedTuple):
    """Compressed rows as the kernel reads them."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.uint32]
    data: Array


def compressed(rows: Any) -> Compressed:
    """Compressed rows of SciPy's, whose structure was checked."""
    end = rows.indptr[-1]
    indptr = np.ascontiguousarray(rows.indptr, np.int64)
    indices = np.ascontiguousarray(rows.indices[:end], np.uint32)
    return Compressed(indptr, indices, np.ascontiguousarray(rows.data[:end]))


def sparse_times(rows: Compressed, b: Array, shift: Array) -> Array:
    """A sparse matrix times b, less a number for each column, of float64."""
    out = np.empty((len(rows.indptr) - 1, b.shape[1]))
    if out.size:
        b = np.ascontiguousarray(b, np.float64)
        kernels().sparse_times(*rows, b, shift, out, get_num_threads())
    return out
