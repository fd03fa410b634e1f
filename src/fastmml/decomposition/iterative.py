"""Principal components from products of the data with blocks of vectors: randomised, and Lanczos.

Both are block Lanczos on C'C or CC', whichever is smaller, of the centred data C: from a random
block of all components and some more [1]_, or from small ones.

References
----------
.. [1] N. Halko, P. G. Martinsson, J. A. Tropp, "Finding structure with randomness: probabilistic
   algorithms for constructing approximate matrix decompositions", SIAM Review 53 (2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml.decomposition.krylov import Found, Limits, largest
from fastmml.decomposition.operators import Centred
from fastmml.decomposition.solvers import Spectrum, angles, refined, rounding, through_rows
from fastmml.orthogonal import qr

Array = NDArray[Any]

#: Vectors of a block of `lanczos`: dense data are multiplied twice as fast by 32 as by 8, sparse
#: ones as fast by 8 as by any number.
_DENSE_BLOCK, _SPARSE_BLOCK = 32, 8
#: Residuals of float32 and of float64 data, in units of the largest eigenvalue, at which iterations
#: end: rounding errors of the exact solvers are as large.
TOLERANCE = {"f": 5e-7, "d": 2e-14}


def lanczos_block(data: Centred, k: int) -> int:
    """How many vectors `lanczos` multiplies at a time."""
    return _SPARSE_BLOCK if data.is_sparse else min(_DENSE_BLOCK, max(k, 8))


def lanczos(data: Centred, k: int, limits: Limits, rng: np.random.RandomState) -> Found:
    """The largest eigenvalues of the smaller product, by small blocks.

    A tolerance below `TOLERANCE` is taken for that.
    """
    return _eigenpairs(data, k, lanczos_block(data, k), limits, rng)


def randomized(
    data: Centred, k: int, extra: int, limits: Limits, rng: np.random.RandomState
) -> Found:
    """The same by blocks of k and ``extra`` vectors."""
    return _eigenpairs(data, k, k + extra, limits, rng)


def _eigenpairs(
    data: Centred, k: int, block: int, limits: Limits, rng: np.random.RandomState
) -> Found:
    m, n = data.shape
    tolerance = max(limits.tolerance, TOLERANCE[data.dtype.char])

    def by_columns(block: Array) -> Array:
        return data.transposed_times(data.times(block))

    def by_rows(block: Array) -> Array:
        return data.times(data.transposed_times(block))

    apply = by_rows if m < n else by_columns
    return largest(apply, min(m, n), k, block, limits._replace(tolerance=tolerance), rng)


def spectrum(data: Centred, found: Found) -> Spectrum:
    """Components of the eigenvectors of the smaller product, and squares that lost no digits."""
    m, n = data.shape
    k = found.vectors.shape[1]
    residuals = found.residuals + rounding(data, found.values)
    errors = angles(found.values.clip(0), residuals, n)
    if m >= n:
        return refined(data, found.vectors, errors)
    errors = through_rows(found.values[:k].clip(0), errors)
    return refined(data, qr(data.transposed_times(found.vectors), overwrite_a=True).Q, errors)
