"""Vectors scaled by powers of two, which rounds nothing, so that no square over- or underflows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: The exponent of vectors of zeros: less than that of any number.
_ZERO = -(1 << 20)
#: The least and the first too large number whose square loses nothing.
_NEAR = {"d": (2.0**-129, 2.0**128), "f": (2.0**-17, 2.0**16)}


def are_near(sizes: Array) -> bool:
    """Whether numbers are 0, or so near 1 that their squares lose nothing."""
    least, limit = _NEAR[sizes.dtype.char]
    if not sizes.size:
        return True
    is_above = sizes.min() >= least or ((sizes >= least) | (sizes == 0)).all()
    return bool(sizes.max() < limit and is_above)


def near_one(x: Array, own: Any = 0) -> tuple[Array, Array]:
    """``x * 2**(own - e)``, whose largest number along the last axis is near 1; and e."""
    sizes = np.maximum(np.abs(x.real), np.abs(x.imag))
    bits = np.where(np.isfinite(sizes) & (sizes > 0), np.frexp(sizes)[1] + own, _ZERO)
    exponents = bits.max(axis=-1, initial=_ZERO)
    return ldexp(x, own - exponents[..., np.newaxis]), exponents


def ldexp(x: Array, exponents: Any) -> Array:
    """``x * 2**exponents``, of complex numbers, too; x itself where these are 0."""
    if (type(exponents) is int and not exponents) or not np.any(exponents):
        return x
    scaled: Array = np.ldexp(x.real, exponents).astype(x.dtype)
    if x.dtype.kind == "c":
        scaled.imag = np.ldexp(x.imag, exponents)
    return scaled


def lengths(x: Array) -> Array:
    """Lengths of vectors of any size along the last axis."""
    found = np.sqrt(sums_of_squares(x))
    if found.all() and are_near(found):
        return np.asarray(found)
    near, exponents = near_one(x)
    return np.asarray(np.ldexp(np.sqrt(sums_of_squares(near)), exponents))


def sums_of_squares(x: Array) -> Array:
    """Sums of squares along the last axis."""
    if x.dtype.kind != "c":
        return np.asarray(np.einsum("...i,...i->...", x, x))
    return np.asarray(sums_of_squares(x.real) + sums_of_squares(x.imag))
