"""What the tests of matrix products share: operands, layouts, products of higher precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

INTEGERS = "bhilqBHILQ"
FLOATS = "efd"
COMPLEX = "FD"
DTYPES = "?" + INTEGERS + FLOATS + COMPLEX


def operand(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Random numbers: all bits of integers, about 1 of others."""
    rng = np.random.default_rng(seed)
    if dtype == "?":
        return rng.random(shape) < 0.3
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    values = rng.normal(size=shape)
    return (values + 1j * rng.normal(size=shape) if dtype in COMPLEX else values).astype(dtype)


def ill_scaled(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Numbers of very different sizes."""
    exponents = np.random.default_rng(seed).integers(-30, 30, shape)
    return (operand(shape, dtype, seed + 1) * 2.0**exponents).astype(dtype)


def unit_roundoff(dtype: Any) -> float:
    """Half the distance from 1 to the next number."""
    return float(np.finfo(dtype).eps) / 2


def gamma(terms: int, dtype: Any) -> float:
    """Relative error that a sum of products can add up to (Higham, 3.1)."""
    error = terms * unit_roundoff(dtype)
    return error / (1 - error)


def strassen_bound(a: Array, b: Array, halvings: int) -> float:
    """Error of the largest parts of a product by Winograd's form of Strassen's algorithm.

    Higham, 23.2.2, where terms of u**2 are left out: 1 % for them.
    """
    terms = -(-a.shape[-1] // 2**halvings) * (2 if a.dtype.kind == "c" else 1)
    factor = 18**halvings * (terms**2 + 6 * terms)
    return float(1.01 * factor * unit_roundoff(a.dtype) * np.abs(a).max() * np.abs(b).max())


def exact_integers(a: Array, b: Array) -> Array:
    """The product by NumPy's loops in 64 bits, cut to those of the type that both promote to."""
    dtype = np.result_type(a, b)
    product = a.astype(np.int64).view(np.uint64) @ b.astype(np.int64).view(np.uint64)
    return product.astype(f"u{dtype.itemsize}").view(dtype)


def adjoint(x: Array) -> Array:
    """The transpose, conjugated."""
    return np.conjugate(x.T) if x.dtype.kind == "c" else x.T


def assert_product(result: Array, a: Array, b: Array) -> None:
    """Result is a @ b: exactly for integers and bools, else within the bound of the theory."""
    dtype = np.result_type(a, b)
    assert result.dtype == dtype
    if dtype.kind in "iu":
        np.testing.assert_array_equal(result, exact_integers(a, b), strict=True)
        return
    if dtype.kind == "b":
        counts = a.astype(np.int64) @ b.astype(np.int64)
        np.testing.assert_array_equal(result, counts > 0, strict=True)
        return
    wide = np.clongdouble if dtype.kind == "c" else np.longdouble
    left, right = a.astype(wide), b.astype(wide)
    expected, size = left @ right, np.abs(left) @ np.abs(right)
    assert result.shape == expected.shape
    terms = a.shape[-1] * (4 if dtype.kind == "c" else 1)
    bound = gamma(terms + 1, np.float32 if dtype.char == "e" else dtype) * size
    if dtype.char == "e":  # rounded once more, and perhaps denormal
        bound = bound + unit_roundoff(dtype) * (np.abs(expected) + bound) + 2.0**-25
    difference = np.abs(result - expected)
    assert np.all(difference <= bound), f"{np.max(difference - bound)} beyond the bound"


def repeated(x: Array) -> Array:
    """Every second row of a larger array, backwards, and every third column."""
    large = np.zeros((*x.shape[:-2], 2 * x.shape[-2], 3 * x.shape[-1]), x.dtype)
    view = large[..., ::-2, 1::3]
    view[...] = x
    return view


def every_second(x: Array) -> Array:
    """Every second column of an array that ends with the last one."""
    large = np.zeros((*x.shape[:-1], max(2 * x.shape[-1] - 1, 0)), x.dtype)
    large[..., ::2] = x
    return large[..., ::2]


def misaligned(x: Array) -> Array:
    """The same numbers one byte off."""
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def field(x: Array) -> Array:
    """The same numbers in records of 3 bytes more than they have."""
    records = np.zeros(x.shape, [("pad", "u1", 3), ("x", x.dtype)])
    records["x"] = x
    view: Array = records["x"]
    return view


def read_only(x: Array) -> Array:
    """The same numbers where nobody may write."""
    copy = x.copy()
    copy.flags.writeable = False
    return copy


#: Ways to lay out a matrix, or a stack of them.
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": np.ascontiguousarray,
    "Fortran": lambda x: np.ascontiguousarray(np.swapaxes(x, -1, -2)).swapaxes(-1, -2),
    "strided": repeated,
    "every second": every_second,
    "misaligned": misaligned,
    "field": field,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "read-only": read_only,
}
