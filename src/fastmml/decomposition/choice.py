"""Which solver is the fastest, by the multiply-adds that each takes and what one costs there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastmml.decomposition.iterative import is_large
from fastmml.decomposition.krylov import LARGEST
from fastmml.decomposition.number import Number
from fastmml.decomposition.operators import Centred
from fastmml.decomposition.solvers import are_few

#: Time of a multiply-add, in units of one of a large product of float32 with itself, of which a
#: triangle is computed: measured on AVX-512.
_FLOAT64 = 2.0  # times that of float32
_THIN = 2.5  # of each of the two products of dense data with a block of vectors
_SPARSE = 20.0  # an entry of sparse data and a vector
_EIGH = 24.0  # LAPACK's eigenvectors of some of n rows: n³ of these
_EIGH_ALL = 60.0  # of all
_VECTOR = 6.0  # orthogonalisation
#: Products for each component that iterations take where singular values fall fast.
_PASSES = 4
#: Products with vectors that Lanczos takes for each component of a spectrum without gaps.
_STEPS = 24
#: Time that another solver may take before it ends, as a part of the exact solver's: where it takes
#: one pass for a block, and two.
_TRY, _TRY_TWICE = 1.0, 0.5


class Choice(NamedTuple):
    """A solver, and how many products with vectors it may take."""

    solver: str
    products: int = 0


def choose(data: Centred, number: Number, extra: int) -> Choice:
    """The solver whose predicted time is the least, exact or as accurate.

    Iterations on sparse data have products enough for most spectra; those on dense data, whose time
    depends on the spectrum, end when the time of the exact solver is spent, or half of it.
    """
    m, n = data.shape
    exact = "gram_eigh" if n > m else "covariance_eigh"
    k = number.known
    if not k or data.is_mapped:
        return Choice(exact)
    cost = exact_cost(data, k)
    vector = _vector_cost(data, k)
    if data.is_sparse:
        return Choice("arpack" if _STEPS * k * vector < cost else exact)
    products = int((_TRY if data.size == n else _TRY_TWICE) * cost / vector)
    is_worth_it = is_large(data, k) and products >= _PASSES * (k + extra)
    return Choice("arpack", products) if is_worth_it else Choice(exact)


def exact_cost(data: Centred, k: int) -> float:
    """The predicted time of the exact solver."""
    small = min(data.shape)
    vectors = (_EIGH if k < small else _EIGH_ALL) * float(small) ** 3
    if are_few(data, small, k):
        step = _factor(data) * small * (_THIN * small + _VECTOR * LARGEST * k)
        vectors = min(vectors, _STEPS * k * step)
    each = 2 * _SPARSE if data.is_sparse else _factor(data)
    return each * data.work * small + vectors


def _vector_cost(data: Centred, k: int) -> float:
    """The predicted time that an iteration takes for each vector of its block."""
    each = _SPARSE if data.is_sparse else _factor(data) * _THIN
    return 2 * each * data.work + _factor(data) * _VECTOR * data.size * LARGEST * k


def _factor(data: Centred) -> float:
    return _FLOAT64 if data.dtype == np.float64 else 1.0
