"""Sums and products as two numbers each: the rounded one, and what it lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum, and what it lacks (D. E. Knuth's two-sum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def column_sums(x: Array) -> tuple[Array, Array]:
    """Rounded sums, and what they lack, by halves."""
    lacking = np.zeros(x.shape[1])
    while len(x) > 1:
        half = len(x) // 2
        sums, lost = two_sum(x[:half], x[half : 2 * half])
        lacking += lost.sum(axis=0)
        x = np.concatenate([sums, x[2 * half :]])
    return x[0], lacking


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded product, and what it lacks (T. J. Dekker's)."""
    product = a * b
    (first, small), (second, little) = _halves(a), _halves(b)
    lost = ((first * second - product) + first * little + small * second) + small * little
    return product, lost


def _halves(x: Array) -> tuple[Array, Array]:
    """Numbers as sums of two of half as many bits."""
    cut = x * (2.0**27 + 1)
    leading = cut - (cut - x)
    return leading, x - leading
