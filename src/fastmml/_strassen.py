"""Which products Strassen and Winograd's algorithm makes faster, and how kernels take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml._backend import kernels

Array = NDArray[Any]

#: The shortest side of a product that is not cut further.
CUTOFF = 512


def halvings(m: int, k: int, n: int) -> int:
    """How often a product of (m, k) by (k, n) is cut into quarters."""
    return max(0, (min(m, k, n) // CUTOFF).bit_length() - 1)


def multiply(a: Array, b: Array, out: Array, threads: int) -> None:
    """``out = a @ b`` for the arguments of `fastmml._kernels.Kernels.matmul`."""
    times = halvings(a.shape[-2], a.shape[-1], b.shape[-1])
    if times == 0:
        kernels().matmul(a, b, out, threads)
        return
    for i in np.ndindex(out.shape[:-2]):
        left, right, result = a[i], b[i], out[i]
        if result.strides[1] != result.itemsize:  # then its columns are contiguous
            left, right, result = right.T, left.T, result.T
        kernels().matmul_strassen(_by_lines(left), _by_lines(right), result, times, threads)


def _by_lines(x: Array) -> Array:
    """x, or a copy of it where neither its rows nor its columns are contiguous."""
    return x if x.itemsize in x.strides else x.copy()
