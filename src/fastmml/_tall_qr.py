"""QR of tall matrices by Cholesky factors of their Gram matrices, where that is accurate."""

from __future__ import annotations

from typing import Any, NamedTuple

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


class _Factors(NamedTuple):
    """A factorisation ``a = Q @ r``."""

    parts: list[Array]  # upper triangles: Q is a @ inv(parts[0]) @ inv(parts[1]) ...
    r: Array  # (n, n): their product
    inside: Array  # (n, p): Q* b


def tall_qr(a: Array, q: Array | None) -> Array | None:
    """R of a tall matrix, and Q into ``q``, if that is wanted; it may be the matrix itself.

    None where Cholesky factors would not be accurate; then nothing was written. Q is
    ``a @ inv(R_1) @ inv(R_2) ...``, whose Gram matrices tell the next factor; it is computed again
    in each pass over ``a``, which takes less time than to write and read it.
    """
    found = _factorise(a, None, gram(a))
    if found is not None and q is not None:
        kernels().solve_right(as_real(a), _stack(found.parts), as_real(q), get_num_threads())
    return None if found is None else found.r


def reduce_tall(a: Array, b: Array, products: Array | None = None) -> tuple[Array, Array] | None:
    """R of a tall matrix, and ``Q* b``; Q is nowhere stored. None as in `tall_qr`.

    ``products`` is the Gram matrix of ``a``, if that is known. What Q has before the last factor is
    orthonormal to some digits, so that its products with b lose none.
    """
    found = _factorise(a, b, gram(a) if products is None else products)
    return None if found is None else (found.r, found.inside)


def _factorise(a: Array, b: Array | None, products: Array) -> _Factors | None:
    """Cholesky factors of Gram matrices, the first of which is ``products``."""
    first = _first_factor(products, len(a))
    if first is None:
        return None
    r, is_shifted = first
    parts = [r]
    if is_shifted:
        again = _scaled_factor(_solved_products(a, None, parts)[0], 0.0)
        if again is None:
            return None
        parts.append(again)
        r = np.asarray(again @ r)
    products, inside = _solved_products(a, b, parts)
    if not np.linalg.norm(products - np.eye(len(r))) < _NEAR_IDENTITY:  # NaN among them
        return None
    lower = np.linalg.cholesky(products)
    last = lower.conj().T
    return _Factors([*parts, last], np.triu(last @ r), np.linalg.solve(lower, inside))


def _solved_products(a: Array, b: Array | None, parts: list[Array]) -> tuple[Array, Array]:
    """``X* X`` and ``X* b`` for ``X = a @ inv(parts[0]) @ ...``."""
    n = a.shape[1]
    left, right = as_real(a), None if b is None else as_real(b)
    size = left.shape[1] + (0 if right is None else right.shape[1])
    products = np.empty((size, size), left.dtype)
    kernels().solved_gram(left, right, _stack(parts), products, get_num_threads())
    products = as_complex(products) if a.dtype.kind == "c" else products
    return products[:n, :n], products[:n, n:]


# A complex matrix is a real one of twice as many columns, real and imaginary parts in turns; to
# divide it by a complex triangle with a real diagonal is to divide that one by a real triangle, at
# no more multiplications.


def as_real(x: Array) -> Array:
    """The real matrix that stands for this one, in its memory if rows are contiguous."""
    if x.dtype.kind != "c":
        return x
    if x.shape[-1] > 1 and x.strides[-1] != x.itemsize:
        x = np.array(x, order="C")
    return x.view(x.real.dtype)


def as_real_map(x: Array) -> Array:
    """What to multiply the real matrix that stands for one with, for the product with this one."""
    if x.dtype.kind != "c":
        return x
    *stack, n, k = x.shape
    real = np.empty((*stack, n, 2, k, 2), x.real.dtype)
    real[..., 0, :, 0] = real[..., 1, :, 1] = x.real
    real[..., 0, :, 1] = x.imag
    real[..., 1, :, 0] = -x.imag
    return real.reshape(*stack, 2 * n, 2 * k)


def as_complex(products: Array) -> Array:
    """The Gram matrix of a complex matrix, from that of the real one that stands for it."""
    real, imag = products[::2], products[1::2]
    return np.asarray(real[:, ::2] + imag[:, 1::2] + 1j * (real[:, 1::2] - imag[:, ::2]))


def _stack(parts: list[Array]) -> Array:
    """Triangles as kernels read them."""
    return np.ascontiguousarray(as_real_map(np.stack(parts)))


def _first_factor(products: Array, rows: int) -> tuple[Array, bool] | None:
    """The factor of a Gram matrix, or of a shifted one where columns are nearly dependent."""
    found = _scaled_factor(products, 0.0)
    if found is not None:
        return found, False
    n, eps = len(products), float(np.finfo(products.dtype).eps)
    found = _scaled_factor(products, 11 * (rows * n + n * (n + 1)) * eps / 2 * n)
    return None if found is None else (found, True)


def _scaled_factor(products: Array, shift: float) -> Array | None:
    """Upper triangular R with ``R* @ R = products``, up to the shift, of a scaled unit diagonal.

    None where a pivot is too small for it to be accurate, or a number is not finite.
    """
    lengths = np.sqrt(np.diagonal(products).real)
    if not ((lengths > 0) & (lengths < np.inf)).all():
        return None
    n, eps = len(products), float(np.finfo(products.dtype).eps)
    scaled = products / lengths / lengths[:, np.newaxis]
    scaled[np.diag_indices(n)] = 1 + shift
    try:
        factor = np.linalg.cholesky(scaled).conj().T
    except np.linalg.LinAlgError:
        return None
    if not np.diagonal(factor).real.min() >= (0 if shift else _PIVOT * np.sqrt(n * eps)):
        return None
    return np.asarray(factor * lengths, products.dtype)
