"""QR of tall matrices by Cholesky factors of their Gram matrices, where that is accurate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml._backend import get_num_threads, kernels
from fastmml.linalg import gram

Array = NDArray[Any]

#: A pivot of the Gram matrix, scaled to unit diagonal, below this times sqrt(n eps) says that the
#: columns are nearly dependent: then the first factor is that of a shifted matrix.
_PIVOT = 2.0
#: The columns are taken for orthogonal enough for the last step if their Gram matrix is so near the
#: identity: that step then ends at rounding errors.
_NEAR_IDENTITY = 0.3


def tall_qr(a: Array, q: Array | None) -> Array | None:
    """R of a tall matrix, and Q into ``q``, if that is wanted; it may be the matrix itself.

    None where Cholesky factors would not be accurate; then nothing was written. Q is
    ``a @ inv(R_1) @ inv(R_2) ...``, whose Gram matrices tell the next factor; it is computed again
    in each pass over ``a``, which takes less time than to write and read it.
    """
    first = _first_factor(gram(a), len(a))
    if first is None:
        return None
    r, is_shifted = first
    factors = [r]
    if is_shifted:
        again = _scaled_factor(_solved_gram(a, factors), 0.0)
        if again is None:
            return None
        factors.append(again)
        r = np.asarray(again @ r)
    products = _solved_gram(a, factors)
    if not np.linalg.norm(products - np.eye(len(r))) < _NEAR_IDENTITY:  # NaN among them
        return None
    last = np.linalg.cholesky(products).T
    if q is not None:
        kernels().solve_right(a, _stack([*factors, last]), q, get_num_threads())
    return np.triu(last @ r)


def _solved_gram(a: Array, factors: list[Array]) -> Array:
    """The Gram matrix of ``a @ inv(factors[0]) @ ...``."""
    products = np.empty(factors[0].shape, a.dtype)
    kernels().solved_gram(a, _stack(factors), products, get_num_threads())
    return products


def _stack(factors: list[Array]) -> Array:
    """Triangles as kernels read them."""
    return np.ascontiguousarray(np.stack(factors))


def _first_factor(products: Array, rows: int) -> tuple[Array, bool] | None:
    """The factor of a Gram matrix, or of a shifted one where columns are nearly dependent."""
    found = _scaled_factor(products, 0.0)
    if found is not None:
        return found, False
    n, eps = len(products), float(np.finfo(products.dtype).eps)
    found = _scaled_factor(products, 11 * (rows * n + n * (n + 1)) * eps / 2 * n)
    return None if found is None else (found, True)


def _scaled_factor(products: Array, shift: float) -> Array | None:
    """Upper triangular R with ``R.T @ R = products``, up to the shift, of a scaled unit diagonal.

    None where a pivot is too small for it to be accurate, or a number is not finite.
    """
    lengths = np.sqrt(np.diagonal(products))
    if not ((lengths > 0) & (lengths < np.inf)).all():
        return None
    n, eps = len(products), float(np.finfo(products.dtype).eps)
    scaled = products / lengths / lengths[:, np.newaxis]
    scaled[np.diag_indices(n)] = 1 + shift
    try:
        factor = np.linalg.cholesky(scaled).T
    except np.linalg.LinAlgError:
        return None
    if not np.diagonal(factor).min() >= (0 if shift else _PIVOT * np.sqrt(n * eps)):
        return None
    return np.asarray(factor * lengths, products.dtype)
