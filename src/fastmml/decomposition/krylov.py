"""The largest eigenvalues of a symmetric operator, from products with blocks of vectors alone.

Block Lanczos with full reorthogonalisation and thick restarts [1]_, [2]_. From one random block it
spans the Krylov space of Musco and Musco [3]_, which holds all that subspace iteration with as many
products finds; small blocks reach further with the same number of products, large ones multiply
faster.

References
----------
.. [1] K. Wu, H. Simon, "Thick-restart Lanczos method for large symmetric eigenvalue problems",
   SIAM Journal on Matrix Analysis and Applications 22 (2000).
.. [2] J. Baglama, L. Reichel, "Restarted block Lanczos bidiagonalization methods", Numerical
   Algorithms 43 (2006).
.. [3] C. Musco, C. Musco, "Randomized block Krylov methods for stronger and faster approximate
   singular value decomposition", NIPS 2015.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from fastmml._blas import on_one_thread
from fastmml.decomposition.products import gram_times
from fastmml.linalg import gram, matmul
from fastmml.orthogonal import qr

Array = NDArray[Any]

#: A block that keeps less than this part of its length is orthogonalised again.
_TWICE = 0.5
#: A block with a vector of which so little is left, as a part of the largest eigenvalue, is
#: orthogonalised once more, and one that is rounding, so many times that of the type, is replaced.
_DEPENDENT, _EMPTY = 1e-3, 32
#: Vectors of a basis, and those that a restart keeps, for each eigenvalue that is wanted; blocks of
#: a basis beside these eigenvalues, at least.
LARGEST, _KEPT, BLOCKS = 4, 2.0, 16
#: Matrices of so many rows are no work for LAPACK.
LEAST_SIZE = 512
#: A fall of residuals' logarithms that is none, and what their logarithm takes for 0.
_LEAST_FALL, _ZERO = 1e-3, 1e-300
#: Vectors that are added to a first basis between looks at its eigenvalues, at most: so many, or
#: this part of it; others are looked at when they are full, and where the end is expected.
_LOOK, _LOOKS = 32, 4


class Found(NamedTuple):
    """The largest eigenvalues, and what is known of their errors."""

    values: Array  # (k + 1 at most,), falling: one more than wanted, if there is one
    vectors: Array  # (k, size): orthonormal rows
    residuals: Array  # (k,): norms
    is_converged: bool


class Limits(NamedTuple):
    """When to stop."""

    tolerance: float  # of residuals, as a part of the largest eigenvalue
    products: int  # with single vectors, at most
    is_patient: bool = False  # whether all of these are made, if need be, however little they bring


class Operator(Protocol):
    """A symmetric matrix, as what it multiplies."""

    @property
    def size(self) -> int:
        """Rows of the matrix."""
        ...

    @property
    def number(self) -> np.dtype[Any]:
        """What is multiplied: float32 or float64."""
        ...

    def apply(self, b: Array) -> Array:
        """Products with the rows of b (p, size), as rows of an array of its own, of `number`."""
        ...


class Symmetric:
    """A symmetric matrix of float32 or float64."""

    def __init__(self, matrix: Array) -> None:
        self.size, self.number, self._matrix = len(matrix), matrix.dtype, matrix

    def apply(self, b: Array) -> Array:
        # Rows of the matrix times a few columns: the other way round all of it would be packed.
        return np.ascontiguousarray(matmul(self._matrix, b.T).T)


def is_large(size: int, k: int, block: int) -> bool:
    """Whether a matrix of so many rows is worth it: a basis and two blocks must be fewer."""
    return size > max(LEAST_SIZE, _most(k, block) + 2 * block)


def _most(k: int, block: int) -> int:
    """Vectors of a basis, at most."""
    return max(LARGEST * k, k + BLOCKS * block)


def largest(
    operator: Operator, k: int, block: int, limits: Limits, rng: np.random.RandomState
) -> Found:
    """The k largest eigenvalues, by products with blocks of so many vectors.

    The matrix `is_large`. Of an eigenvalue that is there more often than a block has vectors only
    so many are found: where as many are equal, another random block has to find nothing new.
    """
    most = _most(k, block)
    basis, progress = _Basis(operator, block, most, rng), _Progress(limits)
    before, wait = np.empty(0), k + block
    while True:
        basis.extend()
        if basis.products < limits.products and not basis.is_full and basis.count < wait:
            continue
        values, vectors = basis.ritz()
        residuals, tolerance = basis.residuals(vectors[:, :k]), limits.tolerance * values[0]
        progress.note(basis.products, float(residuals.max() / (values[0] or 1)))
        is_converged = bool((residuals <= tolerance).all())
        is_sure = not _is_repeated(values[: k + 1], block, tolerance) or (
            len(before) > 0 and bool(np.allclose(before, values[:k], 0, 2 * tolerance))
        )
        is_found = is_converged and is_sure
        if is_found or progress.is_hopeless():
            found, drift = basis.vectors(vectors[:, :k])
            residuals = np.hypot(residuals, basis.dropped(vectors[:, :k])) + drift * values[0]
            values, residuals = basis.unscaled(values[: k + 1]), basis.unscaled(residuals)
            return Found(values, found, residuals, is_found)
        if is_converged:
            before = values[:k]
            basis.restart(vectors[:, : k + block], values, is_fresh=True)
            wait = most + block
            continue
        step = progress.missing()
        if basis.is_full:
            basis.restart(vectors[:, : max(int(_KEPT * k), k + 2 * block)], values)
        elif basis.products == basis.count:
            step = min(step, max(_LOOK, basis.count // _LOOKS))
        wait = basis.count + step


class _Progress:
    """Whether the products that are left can do, at the rate so far, and when to look again."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._looks = [_Look(0, 1.0)]

    def note(self, products: int, residual: float) -> None:
        """Keep what a look found: the largest residual, in units of the largest eigenvalue."""
        self._looks.append(_Look(products, residual))

    def missing(self) -> int:
        """How many more products are expected, at the rate between the last two looks."""
        before, last = self._looks[-2:]
        rate = max(before.fall_to(last), _LEAST_FALL) / (last.products - before.products)
        return int(min(max(1.0, self._left_to_fall() / rate), self._limits.products))

    def is_hopeless(self) -> bool:
        """After the last look.

        Convergence grows faster: twice the number that is left may be predicted.
        """
        first, last = self._looks[1], self._looks[-1]
        left = self._limits.products - last.products
        if left <= 0:
            return True
        if self._limits.is_patient:
            return False
        done, fallen = last.products - first.products, max(first.fall_to(last), 0.0)
        return self._left_to_fall() * done > 2 * left * fallen

    def _left_to_fall(self) -> float:
        return self._looks[-1].fall_to(_Look(0, self._limits.tolerance))


class _Look(NamedTuple):
    """What a look found, after so many products."""

    products: int
    residual: float

    def fall_to(self, other: _Look) -> float:
        """The logarithm of how many times smaller the other residual is."""
        return float(np.log(max(self.residual, _ZERO) / max(other.residual, _ZERO)))


def _is_repeated(values: Array, block: int, tolerance: float) -> bool:
    """Whether as many values as a block has vectors are equal."""
    steps = values[:-block] - values[block - 1 : -1]  # none where a block has as many vectors
    return bool((steps <= 2 * tolerance).any())


class _Basis:
    """Orthonormal vectors, the operator on them, and the block that it takes out of their span."""

    def __init__(
        self, operator: Operator, block: int, most: int, rng: np.random.RandomState
    ) -> None:
        self._operator, self._block, self._most, self._rng = operator, block, most, rng
        self._rows = np.zeros((most + 2 * block, operator.size), operator.number)
        self._inside = np.zeros((most + block, most + block))
        self._next = np.zeros((block, block))  # what the next block is multiplied by
        self._lost = np.zeros((0, 0))  # the same of blocks that fresh restarts dropped
        self._empty = _EMPTY * float(np.finfo(operator.number).eps)
        self._scale = 0.0
        self._exponent = 0  # the operator is divided by this power of two, so that squares hold
        self._unit = 1.0  # what that multiplies by
        self.count = self.products = 0
        self._rows[:block] = self._fresh()

    @property
    def is_full(self) -> bool:
        return self.count >= self._most

    def unscaled(self, values: Array) -> Array:
        return np.asarray(np.ldexp(values, self._exponent))

    def vectors(self, inside: Array) -> tuple[Array, float]:
        """Vectors in the basis as orthonormal rows in float64, and how far from that they were."""
        found = matmul(inside.T.astype(self._rows.dtype), self._filled).astype(np.float64)
        products = gram(found.T)
        drift = float(np.linalg.norm(products - np.eye(len(products))))
        return np.ascontiguousarray(qr(found.T, overwrite_a=True).Q.T), drift

    def extend(self) -> None:
        """Multiply the next block, and find the one after it."""
        b, start, end = self._block, self.count, self.count + self._block
        image = self._operator.apply(self._rows[start:end])
        if not self.products:
            most = -int(np.finfo(image.dtype).minexp)
            self._exponent = int(np.clip(np.frexp(np.abs(image).max())[1], -most, most))
            self._unit = float(np.ldexp(1.0, -self._exponent))
        image *= self._unit
        self.products += b
        rest, inside = self._less(image, self._rows[:end])
        self._inside[:end, start:end] = inside
        self._inside[start:end, :end] = inside.T
        self._inside[start:end, start:end] = (inside[start:] + inside[start:].T) / 2
        self._scale = max(self._scale, float(np.linalg.norm(inside, axis=0).max()))
        self.count = end
        self._rows[end : end + b], self._next = self._orthonormal(rest)

    def ritz(self) -> tuple[Array, Array]:
        """Eigenvalues of the operator on the basis, falling, and their vectors in it."""
        inside = self._inside[: self.count, : self.count]
        with on_one_thread():
            values, vectors = scipy.linalg.eigh(inside, driver="evd", check_finite=False)
        return values[::-1], np.ascontiguousarray(vectors[:, ::-1])

    def residuals(self, vectors: Array) -> Array:
        """What the operator takes out of the span, of vectors in the basis."""
        return np.asarray(np.linalg.norm(self._next @ vectors[-self._block :], axis=0))

    def dropped(self, vectors: Array) -> Array:
        """What the operator took out of the span, along blocks that were dropped since."""
        return np.asarray(np.linalg.norm(self._lost @ vectors[: self._lost.shape[1]], axis=0))

    def restart(self, vectors: Array, values: Array, is_fresh: bool = False) -> None:
        """Keep these vectors alone, and go on with the next block, or with a random one."""
        kept, b = vectors.shape[1], self._block
        self._lost = self._lost @ vectors[: self._lost.shape[1]]
        if is_fresh:
            self._lost = np.vstack([self._lost, self._next @ vectors[-b:]])
        following = self._rows[self.count : self.count + b].copy()
        self._rows[:kept] = matmul(vectors.T.astype(self._rows.dtype), self._filled)
        self._inside[:] = 0
        self._inside[range(kept), range(kept)] = values[:kept]
        self.count = kept
        self._rows[kept : kept + b] = self._fresh() if is_fresh else following

    @property
    def _filled(self) -> Array:
        return self._rows[: self.count]

    def _fresh(self) -> Array:
        """Random orthonormal rows that are orthogonal to the basis."""
        found = self._rng.standard_normal((self._block, self._rows.shape[1]))
        return self._orthogonal(found.astype(self._rows.dtype))

    def _orthogonal(self, rows: Array) -> Array:
        """Orthonormal rows of the same span, as far as it is not that of the basis."""
        for _ in range(2):
            rows = qr((rows - _along(self._filled, rows)[1]).T).Q.T
        return rows

    def _less(self, image: Array, rows: Array) -> tuple[Array, Array]:
        """What is orthogonal to the rows, and the coordinates along them.

        Nearly all of an image is along the last two blocks: less these, one pass over all does.
        """
        near, taken = _along(rows[-2 * self._block :], image)
        rest = image - taken
        before = np.linalg.norm(rest, axis=1)
        inside, taken = _along(rows, rest)
        rest -= taken
        if (np.linalg.norm(rest, axis=1) < _TWICE * before).any():
            again, taken = _along(rows, rest)
            rest -= taken
            inside += again
        inside[-2 * self._block :] += near
        return rest, inside

    def _orthonormal(self, rest: Array) -> tuple[Array, Array]:
        """The next block, and the factor that gives the rest of it."""
        q, r = qr(rest.T)
        rows, pivots = q.T, np.abs(np.diagonal(r))
        if not pivots.min() > _DEPENDENT * self._scale:
            is_empty = pivots <= self._empty * self._scale
            rows = self._orthogonal(np.where(is_empty[:, np.newaxis], self._fresh(), rows))
            r = matmul(rows, rest.T)
        return rows, r.astype(np.float64)


def _along(rows: Array, b: Array) -> tuple[Array, Array]:
    """Coordinates along orthonormal rows (k, n) of those of b (p, n), and what they stand for."""
    inside, taken = gram_times(rows, b, np.zeros(len(b)))
    return inside.astype(np.float64), taken
