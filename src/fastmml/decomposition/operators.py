"""Data less their mean, as what they multiply: without a centred copy, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import cached_property
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._backend import kernels
from fastmml._centred import TINY
from fastmml._chunks import is_mapped, let_go, pieces
from fastmml.decomposition.krylov import Operator
from fastmml.decomposition.products import (
    Compressed,
    as_csr,
    compressed,
    gram_times,
    sparse_gram_times,
    sparse_times,
)
from fastmml.linalg import gram, matmul
from fastmml.moments import Moments
from fastmml.orthogonal import qr
from fastmml.streaming import StreamingQR

Array = NDArray[Any]
_Data = TypeVar("_Data")

#: Numbers of a piece that is centred: 4 MB of float32, which a last-level cache holds.
PIECE = 1 << 20
#: Columns that are centred at a time for the products of rows, at least: products of many rows are
#: added up in float64 so many times.
_SLAB_COLUMNS = 512
#: So many rows have products of rows rather than of columns as an operator: a basis of vectors as
#: long as a row would take a good part of the memory of the data. So have rows so many times longer
#: than columns.
FEW_ROWS, _WIDE = 1024, 8
#: Rows of a piece whose products with few vectors are worth their sums, at least.
_LEAST_ROWS = 64
#: Rows whose sums keep their digits in float32, and whose mean is the provisional one: it is
#: within a part of the spread.
_SAMPLE = 128
#: A mean within so many spreads of 0 is taken off the products instead of the rows: rounding errors
#: grow by no more than this factor.
_NEAR = 3.0
#: Squares that the mean takes off products of sparse data, for those of the column of the most.
_MOST_REMOVED = 64.0
#: Numbers whose products with other numbers of the data, summed up, are normal ones of float32.
_LARGE = 1e12
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


class Centred(Products, Operator, Protocol):
    """Data that can be multiplied again and again; as an operator C' C, or C C'."""

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        ...

    @property
    def is_sparse(self) -> bool: ...

    def in_double(self) -> Self:
        """The same, multiplied in float64."""
        ...

    @property
    def is_mapped(self) -> bool:
        """Whether the data lie in a file, so that one pass over them is what counts."""
        ...

    @property
    def work(self) -> float:
        """Multiply-adds of a product with one vector."""
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


def finite_total(data: Any, total: float, name: str = "X") -> float:
    """The sum of squares, if it is a number."""
    if not np.isfinite(total):
        _check.finite(name, data)
        raise ValueError("X: expected numbers whose squares are finite, got larger ones")
    return total


def _doubled(data: _Data, *derived: str) -> _Data:
    """A copy that is multiplied in float64, less what was derived from the type before."""
    found = copy(data)
    for name in derived:
        found.__dict__.pop(name, None)
    found.__dict__["number"] = np.dtype(np.float64)
    return found


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
        m, n = rows.shape
        self.shape: tuple[int, int] = (m, n)
        self.size = m if m < min(n, FEW_ROWS) or n > _WIDE * m else n
        self.dtype = rows.dtype

    def in_double(self) -> Self:
        """The same, multiplied in float64."""
        return _doubled(self, "_shift", "_offset", "_is_plain")

    @property
    def work(self) -> float:
        return float(self.shape[0]) * self.shape[1]

    @property
    def unit(self) -> float:
        return float(np.finfo(self.number).eps)

    @property
    def mean(self) -> Array:
        return self._moments[0]

    @property
    def total(self) -> float:
        return self._moments[1]

    def apply(self, b: Array) -> Array:
        """C' C b', in one pass; C C' b' of few long rows, in two."""
        if self.size < self.shape[1]:
            return np.ascontiguousarray(self.times(self.transposed_times(b.T)).T, self.number)
        out, sums = np.zeros(b.shape), np.zeros(len(b))
        offset = matmul(b, self._offset)
        is_whole = self._is_plain and self._rows.flags.c_contiguous and self._rows.flags.aligned
        pieces = self._pieces(_LEAST_ROWS)
        for piece in [self._rows] if is_whole else (piece for _, piece in pieces):
            y, products = gram_times(piece, b, offset)
            out += products
            sums += y.sum(axis=0, dtype=np.float64)
        out -= np.outer(sums, self._offset)
        return out.astype(self.number)

    def times(self, b: Array) -> Array:
        """C b, of float64."""
        out, narrow = np.empty((self.shape[0], b.shape[1])), b.astype(self.number, copy=False)
        if self._is_plain:
            out[...] = matmul(self._rows, narrow)
        else:
            for part, piece in self._pieces():
                out[part] = matmul(piece, narrow)
        out -= matmul(self._offset, b)
        return out

    def triangle(self, b: Array) -> Array:
        """Some rows at a time: C b would be a good part of the data."""
        stream, narrow = StreamingQR(), b.astype(self.number, copy=False)
        offset, size, end = matmul(self._offset, b), max(PIECE // b.shape[1], 1), 0
        found = kernels().empty((min(size, self.shape[0]), b.shape[1]), np.float64)
        for _, piece in self._pieces():
            if end + len(piece) > len(found):
                stream.update(found[:end])
                end = 0
            start, end = end, end + len(piece)
            np.subtract(matmul(piece, narrow), offset, out=found[start:end])
        return stream.update(found[:end]).r

    def transposed_times(self, y: Array) -> Array:
        m, n = self.shape
        out, narrow = np.zeros((n, y.shape[1])), y.astype(self.number, copy=False)
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
        mean, products = self._row_products(self.number)
        squares = np.diagonal(products)
        if self.number == np.float32 and not TINY["f"] ** 2 < squares.max() < np.inf:
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
        known = self.__dict__.get("_moments")  # of iterations that were given up
        mean, products = np.empty(n) if known is None else known[0], np.zeros((m, m))
        size = max(4 * PIECE // m, _SLAB_COLUMNS)
        with np.errstate(all="ignore"):
            for start in range(0, n, size):
                slab = slice(start, start + size)
                columns = self._rows[:, slab]
                if known is None:
                    mean[slab] = columns.mean(axis=0, dtype=np.float64)
                centred = kernels().empty(columns.shape, dtype)
                middle = mean[slab].astype(dtype)
                np.subtract(columns.astype(dtype, copy=False), middle, out=centred)
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
                for start in range(0, len(piece), _SAMPLE):
                    some = piece[start : start + _SAMPLE]
                    sums += matmul(np.ones(len(some), some.dtype), some)
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
    def number(self) -> np.dtype[Any]:
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
        return mean.astype(self.number).astype(np.float64)

    @cached_property
    def _offset(self) -> Array:
        return np.asarray(self.mean - self._shift)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether products read the data where they lie, all at once."""
        return self.number == self.dtype and not self._shift.any() and not self.is_mapped

    def _shifted(self, part: slice, slab: slice) -> Array:
        piece = self._rows[part, slab].astype(self.number, copy=False)
        shift = self._shift[slab]
        return piece - shift.astype(self.number) if self._shift.any() else piece

    def _pieces(self, least: int = 1) -> Iterator[tuple[slice, Array]]:
        """Rows less the provisional mean, some at a time, and which they are."""
        size, start = min(max(PIECE // self.shape[1], least), _SUM_ROWS), 0
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
        self.total = finite_total(self.mean, float(np.trace(self._scatter)), "mean of X")

    def column_products(self) -> Array:
        return self._scatter


class SparseRows:
    """A sparse matrix, of which the mean is taken off the products.

    As an operator it is C' C or C C', whichever is smaller.
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
        self.shape: tuple[int, int] = rows.shape
        self.size, self.dtype = min(rows.shape), rows.dtype
        self._rows = compressed(rows)
        self.mean = self._sums(self._rows.data) / self.shape[0]
        self._squares = self._squared_deviations()
        self.total = finite_total(rows, float(self._squares.sum()))
        self.removed = self.shape[0] * float(self.mean @ self.mean)

    def in_double(self) -> Self:
        """The same, multiplied in float64; what was made for float32 leaves memory."""
        self.__dict__.pop("_tall", None)
        return _doubled(self)

    @property
    def work(self) -> float:
        return float(len(self._rows.data))

    @cached_property
    def number(self) -> np.dtype[Any]:
        """What is multiplied: float32 where the mean takes few digits, and sums are short."""
        if self.dtype != np.float32:
            return np.dtype(np.float64)
        largest = float(self._squares.max())
        spread = np.sqrt(largest / self.shape[0])
        is_fit = spread > 1 / _LARGE and np.sqrt(largest) < _LARGE
        is_near = self.removed <= _MOST_REMOVED * largest
        return np.dtype(np.float32 if is_fit and is_near and self._is_short() else np.float64)

    def apply(self, b: Array) -> Array:
        """C' C b', or C C' b', in one pass over the one of A and A' that has more rows."""
        rows, scale, along = self._tall
        return sparse_gram_times(rows, b, scale, along)

    def times(self, b: Array) -> Array:
        """C b, of float64."""
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

    @cached_property
    def _columns(self) -> Compressed:
        """The transpose."""
        return compressed(as_csr(self._rows, self.shape).T.tocsr())

    @cached_property
    def _tall(self) -> tuple[Compressed, Array | None, Array | None]:
        """The one of the matrix and its transpose that has more rows, as it is multiplied.

        The mean is that of its columns, or of its rows. Rows are sorted by their lengths, which a
        CPU then foresees.
        """
        is_whole = self.size == self.shape[1]
        rows = self._rows if is_whole else self._columns
        rows = rows._replace(data=rows.data.astype(self.number, copy=False))
        lengths, mean = np.diff(rows.indptr), self.mean
        if (lengths[1:] < lengths[:-1]).any():
            order = np.argsort(lengths, kind="stable")
            rows = compressed(as_csr(rows, (max(self.shape), self.size))[order])
            mean = mean if is_whole else mean[order]
        return (rows, None, mean) if is_whole else (rows, mean, None)

    def _is_short(self) -> bool:
        """Whether no sum over rows in `apply` has too many terms for float32."""
        rows, by_columns = self._rows, self.size == self.shape[1]
        entries = self._stored if by_columns else np.diff(rows.indptr)
        return int(entries.max(initial=0)) <= _SUM_ROWS

    @cached_property
    def _stored(self) -> Array:
        """Entries of each column."""
        return np.asarray(np.bincount(self._rows.indices, minlength=self.shape[1]))

    def _sums(self, values: Array) -> Array:
        """Of each column, of values in the places of the entries."""
        return np.asarray(np.bincount(self._rows.indices, values, self.shape[1]))

    def _squared_deviations(self) -> Array:
        """From its mean, of each column."""
        with np.errstate(all="ignore"):
            deviations = self._rows.data - self.mean[self._rows.indices]
            others = (self.shape[0] - self._stored) * self.mean**2
            return np.asarray(self._sums(deviations**2) + others)
