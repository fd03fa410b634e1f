"""Cholesky factors of positive definite matrices whose numbers may have any size."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Factor(NamedTuple):
    """A matrix is ``L L*``, where ``L = 2**exponents[:, None] * lower``."""

    lower: Array  # (n, n): rows of length 1/2 to 1
    exponents: NDArray[np.int64]  # (n,)

    def whole(self) -> Array:
        """L."""
        return self.lower * np.ldexp(1.0, self.exponents)[:, np.newaxis]


def factorise(name: str, matrix: Array, asymmetry: float = np.inf) -> Factor:
    """Factorise the symmetric (Hermitian) part of a matrix of finite float64 or complex128.

    ``asymmetry`` is how far the matrix may be from that part, where its diagonal is near 1.
    """
    sizes = np.diagonal(matrix).real
    if not (sizes > 0).all():
        raise np.linalg.LinAlgError(
            f"{name}: expected a positive definite matrix, got {sizes.min()} on its diagonal"
        )
    exponents = (np.frexp(sizes)[1].astype(np.int64) + 1) // 2
    scales = np.ldexp(1.0, -exponents)
    with np.errstate(all="ignore"):
        scaled = matrix * scales[:, np.newaxis] * scales
        apart = np.abs(scaled - scaled.conj().T).max(initial=0)
        even = scaled / 2 + scaled.conj().T / 2
    if apart > asymmetry:
        kind = "Hermitian" if matrix.dtype.kind == "c" else "symmetric"
        raise ValueError(
            f"{name}: expected a {kind} matrix, got entries that differ from their mirror image"
        )
    try:
        lower = np.linalg.cholesky(even)
    except np.linalg.LinAlgError:
        lower = np.full_like(even, np.nan)
    if not np.isfinite(lower).all():
        raise np.linalg.LinAlgError(f"{name}: expected a positive definite matrix")
    return Factor(lower, exponents)
