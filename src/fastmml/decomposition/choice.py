"""Which solver is the fastest, by the multiply-adds that each takes and what one costs there."""

from __future__ import annotations

from typing import NamedTuple

from fastmml.decomposition.iterative import lanczos_block
from fastmml.decomposition.number import Number
from fastmml.decomposition.operators import Centred

#: Time of a multiply-add, in units of one of a large product of float32 with itself, of which a
#: triangle is computed: measured on AVX-512.
_FLOAT64 = 2.0  # times that of float32
_THIN = 2.5  # products of dense data with a block of vectors
_SPARSE = 60.0  # an entry of sparse data, a vector: read from memory at random
_SPARSE_PRODUCT = 600.0  # a term of the products of sparse columns, by SciPy
_EIGH = 24.0  # LAPACK's eigenvectors of some of n rows: n³ of these
_EIGH_ALL = 60.0  # of all
_VECTOR = 8.0  # orthogonalisation in float64
#: Products for each component that iterations take where singular values fall fast.
_PASSES = 4
#: Products with vectors that Lanczos takes for each component of a spectrum without gaps.
_STEPS = 24
#: Part of the time of the exact solver that may be lost to a try of another one.
_TRY = 0.5


class Choice(NamedTuple):
    """A solver, and how many products with vectors it may take."""

    solver: str
    products: int = 0


def choose(data: Centred, number: Number, extra: int) -> Choice:
    """The solver whose predicted time is the least, exact or as accurate.

    Iterations on sparse data go on until they are; those on dense data, whose time depends on the
    spectrum, until half the time of the exact solver is spent.
    """
    m, n = data.shape
    exact = "gram_eigh" if n > m else "covariance_eigh"
    k = number.known
    if not k:
        return Choice(exact)
    cost = exact_cost(data, number)
    small = min(m, n)
    if data.is_sparse:
        vector = 2 * _SPARSE * data.work / lanczos_block(data, k) + _VECTOR * small * 4 * k
        return Choice("arpack") if _STEPS * k * vector < cost else Choice(exact)
    factor = _FLOAT64 if data.unit < 1e-10 else 1.0
    vector = 2 * factor * _THIN * data.work + _VECTOR * small * _PASSES * (k + extra)
    block = k + extra
    products = int(_TRY * cost / vector)
    return Choice("arpack", products) if products >= _PASSES * block else Choice(exact)


def exact_cost(data: Centred, number: Number) -> float:
    """The predicted time of the exact solver."""
    m, n = data.shape
    small, k = min(m, n), number.known
    if data.is_sparse:
        products = _SPARSE_PRODUCT * data.work**2 / max(m, n) + small**2
    else:
        products = (_FLOAT64 if data.unit < 1e-10 else 1.0) * data.work * small
    if k is not None and 24 * k <= small:
        return products + _FLOAT64 * _THIN * small**2 * 8 * k + _VECTOR * small * (8 * k) ** 2
    return products + (_EIGH if k is not None and k < small else _EIGH_ALL) * float(small) ** 3
