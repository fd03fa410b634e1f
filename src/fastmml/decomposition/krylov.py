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

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from fastmml.linalg import matmul
from fastmml.orthogonal import qr

Array = NDArray[Any]

#: A block that keeps less than this part of its length is orthogonalised again.
_TWICE = 0.5
#: A block with a vector of which so little is left, as a part of the largest eigenvalue, is
#: orthogonalised once more, and one that is rounding is replaced.
_DEPENDENT, _EMPTY = 1e-3, 1e-14
#: Vectors of a basis, and those that a restart keeps, for each eigenvalue that is wanted.
LARGEST, _KEPT = 4, 2.0
#: Operators of so many rows are factorised: as many products are needed in any case.
WHOLE = 512
#: Vectors that are added to a basis between looks at its eigenvalues, at least.
_LOOK = 32


class Found(NamedTuple):
    """The largest eigenvalues, and what is known of their errors."""

    values: Array  # (k + 1 at most,), falling: one more than wanted, if there is one
    vectors: Array  # (size, k)
    residuals: Array  # (k,): norms
    is_converged: bool


class Limits(NamedTuple):
    """When to stop."""

    tolerance: float  # of residuals, as a part of the largest eigenvalue
    products: int  # with single vectors, at most
    is_patient: bool = False  # whether all of these are made, if need be, however little they bring


def largest(
    apply: Callable[[Array], Array],
    size: int,
    k: int,
    block: int,
    limits: Limits,
    rng: np.random.RandomState,
) -> Found:
    """The k largest eigenvalues of ``apply``, which multiplies (size, p) float64, p <= ``block``.

    Where a basis would be as large as the space, all of the operator is factorised.

    Of an eigenvalue that is there more often than a block has vectors only so many are found: where
    as many are equal, another random block has to find nothing new.
    """
    most = max(LARGEST * k, k + 8 * block)
    if size <= max(WHOLE, most + block):
        return _whole(apply, size, k, block)
    basis, progress = _Basis(apply, size, block, most, rng), _Progress(limits)
    before, wait = np.empty(0), k + block
    while True:
        basis.extend()
        if basis.products < limits.products and not basis.is_full and basis.count < wait:
            continue
        values, vectors = basis.ritz()
        residuals, tolerance = basis.residuals(vectors[:, :k]), limits.tolerance * values[0]
        is_converged = bool((residuals <= tolerance).all())
        is_sure = not _is_repeated(values[: k + 1], block, tolerance) or (
            len(before) > 0 and bool(np.allclose(before, values[:k], 0, 2 * tolerance))
        )
        is_found = is_converged and is_sure
        if is_found or progress.is_hopeless(basis.products, residuals.max() / (values[0] or 1)):
            found = matmul(basis.rows.T, vectors[:, :k])
            values, residuals = (
                np.ldexp(values, basis.exponent),
                np.ldexp(residuals, basis.exponent),
            )
            return Found(values[: k + 1], found, residuals, is_found)
        if is_converged:
            before = values[:k]
            basis.restart(vectors[:, : k + block], values, is_fresh=True)
            wait = most + block
        elif basis.is_full:
            basis.restart(vectors[:, : max(int(_KEPT * k), k + 2 * block)], values)
        else:
            wait = basis.count + max(_LOOK, block)


class _Progress:
    """Whether the products that are left can do, at the rate so far."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._first: tuple[int, float] | None = None

    def is_hopeless(self, products: int, residual: float) -> bool:
        """After so many products, at this largest residual, in units of the largest eigenvalue.

        Convergence grows faster: twice the number that is left may be predicted.
        """
        left = self._limits.products - products
        if left <= 0:
            return True
        if self._first is None or self._limits.is_patient:
            self._first = products, residual
            return False
        done, fallen = products - self._first[0], np.log(self._first[1] / max(residual, 1e-300))
        missing = np.log(max(residual, 1e-300) / max(self._limits.tolerance, 1e-300))
        return bool(missing * done > 2 * left * max(fallen, 0.0))


def _is_repeated(values: Array, block: int, tolerance: float) -> bool:
    """Whether as many values as a block has vectors are equal."""
    steps = values[:-block] - values[block - 1 : -1]  # none where a block has as many vectors
    return bool((steps <= 2 * tolerance).any())


def _whole(apply: Callable[[Array], Array], size: int, k: int, block: int) -> Found:
    """By LAPACK, on the product with the identity matrix."""
    products, unit = np.empty((size, size)), np.eye(size)
    for start in range(0, size, block):
        part = slice(start, start + block)
        products[:, part] = apply(np.ascontiguousarray(unit[:, part]))
    values, vectors = scipy.linalg.eigh((products + products.T) / 2, check_finite=False)
    vectors = np.ascontiguousarray(vectors[:, ::-1][:, :k])
    return Found(values[::-1][: k + 1], vectors, np.zeros(k), True)


class _Basis:
    """Orthonormal vectors, the operator on them, and the block that it takes out of their span."""

    def __init__(
        self,
        apply: Callable[[Array], Array],
        size: int,
        block: int,
        most: int,
        rng: np.random.RandomState,
    ) -> None:
        self._apply, self._block, self._most, self._rng = apply, block, most, rng
        self._rows = np.zeros((most + 2 * block, size))
        self._inside = np.zeros((most + block, most + block))
        self._next = np.zeros((block, block))  # what the next block is multiplied by
        self._scale = 0.0
        self.exponent = 0  # the operator is divided by this power of two, so that squares hold
        self.count = self.products = 0
        self._rows[:block] = self._fresh().T

    @property
    def rows(self) -> Array:
        return self._rows[: self.count]

    @property
    def is_full(self) -> bool:
        return self.count >= self._most

    def extend(self) -> None:
        """Multiply the next block, and find the one after it."""
        b, start, end = self._block, self.count, self.count + self._block
        image = self._apply(np.ascontiguousarray(self._rows[start:end].T))
        if not self.products:
            self.exponent = int(np.frexp(np.abs(image).max())[1])
        image = np.ldexp(image, -self.exponent)
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
        values, vectors = scipy.linalg.eigh(inside, check_finite=False)
        return values[::-1], np.ascontiguousarray(vectors[:, ::-1])

    def residuals(self, vectors: Array) -> Array:
        """What the operator takes out of the span, of vectors in the basis."""
        return np.asarray(np.linalg.norm(self._next @ vectors[-self._block :], axis=0))

    def restart(self, vectors: Array, values: Array, is_fresh: bool = False) -> None:
        """Keep these vectors alone, and go on with the next block, or with a random one."""
        kept, b = vectors.shape[1], self._block
        following = self._rows[self.count : self.count + b].copy()
        self._rows[:kept] = matmul(vectors.T, self.rows)
        self._inside[:] = 0
        self._inside[range(kept), range(kept)] = values[:kept]
        self.count = kept
        if is_fresh:
            following = self._fresh().T
        self._rows[kept : kept + b] = following

    def _fresh(self) -> Array:
        """Random orthonormal vectors (size, block) that are orthogonal to the basis."""
        found = self._rng.standard_normal((self._rows.shape[1], self._block))
        for _ in range(2):
            found = qr(found - matmul(self.rows.T, matmul(self.rows, found))).Q
        return np.asarray(found)

    def _less(self, image: Array, rows: Array) -> tuple[Array, Array]:
        """What is orthogonal to the rows, and the coordinates along them.

        Nearly all of an image is along the last two blocks: less these, one pass over all does.
        """
        near = rows[-2 * self._block :]
        along = matmul(near, image)
        rest = image - matmul(near.T, along)
        before = np.linalg.norm(rest, axis=0)
        inside = matmul(rows, rest)
        rest -= matmul(rows.T, inside)
        if (np.linalg.norm(rest, axis=0) < _TWICE * before).any():
            again = matmul(rows, rest)
            rest -= matmul(rows.T, again)
            inside += again
        inside[-2 * self._block :] += along
        return rest, inside

    def _orthonormal(self, rest: Array) -> tuple[Array, Array]:
        """The rows of the next block, and the factor that gives the rest of them."""
        q, r = qr(rest)
        pivots = np.abs(np.diagonal(r))
        if not pivots.min() > _DEPENDENT * self._scale:
            q = np.where(pivots <= _EMPTY * self._scale, self._fresh(), q)
            for _ in range(2):
                q = qr(q - matmul(self.rows.T, matmul(self.rows, q))).Q
            r = matmul(q.T, rest)
        return q.T, r
