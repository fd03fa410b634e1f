"""Vectors scaled by powers of two, which rounds nothing, so that no square over- or underflows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: The exponent of vectors of zeros: less than that of any number.
_ZERO = -(1 << 20)


def near_one(x: Array, own: Any = 0) -> tuple[Array, Array]:
    """``x * 2**(own - e)``, whose largest number along the last axis is not far from 1; and e.

    e is 0 for vectors that lie there already, as most do.
    """
    sizes = np.abs(x.real)
    if x.dtype.kind == "c":
        sizes = np.maximum(sizes, np.abs(x.imag))
    bits = np.frexp(sizes.max(axis=-1, initial=0))[1]
    if np.abs(bits).max(initial=0) + np.abs(own).max(initial=0) <= _near(x):
        scaled = x * np.ldexp(sizes.dtype.type(1), own) if np.any(own) else x
        return scaled, np.zeros(bits.shape, np.int64)
    bits = np.where(np.isfinite(sizes) & (sizes > 0), np.frexp(sizes)[1] + own, _ZERO)
    exponents = bits.max(axis=-1, initial=_ZERO)
    return ldexp(x, own - exponents[..., np.newaxis]), exponents


def _near(x: Array) -> int:
    """Exponents whose double is far from what the type holds."""
    return int(np.finfo(x.dtype).maxexp) // 8


def ldexp(x: Array, exponents: Any) -> Array:
    """``x * 2**exponents``, of complex numbers, too."""
    scaled: Array = np.ldexp(x.real, exponents).astype(x.dtype)
    if x.dtype.kind == "c":
        scaled.imag = np.ldexp(x.imag, exponents)
    return scaled


def lengths(x: Array) -> Array:
    """Lengths of vectors of any size along the last axis."""
    near, exponents = near_one(x)
    return np.asarray(np.ldexp(np.sqrt(sums_of_squares(near)), exponents))


def sums_of_squares(x: Array) -> Array:
    """Sums of squares along the last axis."""
    if x.dtype.kind != "c":
        return np.asarray(np.einsum("...i,...i->...", x, x))
    return np.asarray(sums_of_squares(x.real) + sums_of_squares(x.imag))
