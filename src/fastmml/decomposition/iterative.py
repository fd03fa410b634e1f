"""Principal components from products of the data with blocks of vectors: randomised, and Lanczos.

Both are block Lanczos on C'C of the centred data C, or on CC' where rows are few or sparse and
fewer than columns: from a random block of all components and some more [1]_, or from small ones.

References
----------
.. [1] N. Halko, P. G. Martinsson, J. A. Tropp, "Finding structure with randomness: probabilistic
   algorithms for constructing approximate matrix decompositions", SIAM Review 53 (2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml.decomposition import krylov
from fastmml.decomposition.krylov import Found, Limits
from fastmml.decomposition.operators import Centred
from fastmml.decomposition.solvers import Spectrum, angles, refined, rounding, through_rows
from fastmml.orthogonal import qr

Array = NDArray[Any]

#: Vectors of a block: kernels multiply eight at a time. Of dense data, which memory is slow to
#: give, two times as many cost half as much more, and four times as many by two products.
_SPARSE_BLOCK, _DENSE_BLOCK, _WIDE_BLOCK = 8, 16, 32
#: Residuals of float32 and of float64 data, in units of the largest eigenvalue, at which iterations
#: end: rounding errors of the exact solvers are as large.
TOLERANCE = {"f": 5e-7, "d": 2e-14}
#: The part that the smallest eigenvalue has of the largest below which float32 does not do.
_STEEP = 1 / 16


def block_size(data: Centred, k: int, extra: int | None = None) -> int:
    """How many vectors are multiplied at a time: k and ``extra``, or as many as are fast."""
    if extra is not None:
        return k + extra
    if data.is_sparse:
        return _SPARSE_BLOCK
    return _DENSE_BLOCK if data.size == data.shape[1] else _WIDE_BLOCK


def is_large(data: Centred, k: int, extra: int | None = None) -> bool:
    """Whether iterations are worth it; small data have exact solutions only."""
    return krylov.is_large(min(data.shape), k, block_size(data, k, extra))


def eigenpairs(
    data: Centred, k: int, extra: int | None, limits: Limits, rng: np.random.RandomState
) -> tuple[Centred, Found]:
    """The largest eigenvalues of the data as an operator, by blocks of `block_size`, and which.

    A tolerance below `TOLERANCE` is taken for that. Where that of float32 is a good part of an
    eigenvalue, a smaller one is met in float64.
    """
    tolerance, block = TOLERANCE[data.dtype.char], block_size(data, k, extra)
    limits = limits._replace(tolerance=max(limits.tolerance, tolerance))
    found = krylov.largest(data, k, block, limits, rng)
    part = float(found.values[k - 1] / (found.values[0] or 1))
    is_steep = data.dtype == np.float32 and limits.tolerance == tolerance and part < _STEEP
    if not found.is_converged or not is_steep:
        return data, found
    limits = limits._replace(tolerance=max(tolerance * part, TOLERANCE["d"]))
    double = data.in_double()
    return double, krylov.largest(double, k, block, limits, rng)


def spectrum(data: Centred, found: Found) -> Spectrum:
    """Components of the eigenvectors, and squares that lost no digits."""
    n = data.shape[1]
    k = len(found.vectors)
    unit = float(np.finfo(data.number).eps)
    residuals = found.residuals + rounding(data, found.values, unit)
    errors = angles(found.values.clip(0), residuals, n)
    if data.size == n:
        return refined(data, found.vectors.T, errors)
    errors = through_rows(found.values[:k].clip(0), errors)
    return refined(data, qr(data.transposed_times(found.vectors.T), overwrite_a=True).Q, errors)
