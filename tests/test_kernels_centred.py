"""The kernel of deviations from a shift: sums, weights and products in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import THREADS

from fastmml._kernels import Kernels

Array = Any


def assert_centred(found: Array, x: Array, y: Array, shift: Array, scale: Array | None) -> None:
    """Errors: of the deviations and their scales, and of sums over 256 rows and over these."""
    unit = float(np.finfo(x.dtype).eps)
    z = np.column_stack([x, y]) - shift  # as it is computed
    wide = np.column_stack([z, np.ones(len(x))]).astype(np.longdouble)
    if scale is not None:
        wide *= scale.astype(np.longdouble)[:, None]
    expected = (wide.T @ wide).astype(np.float64)
    size = (np.abs(wide).T @ np.abs(wide)).astype(np.float64)
    wanted = 258 * unit + 2 * (len(x) / 256 + 1) * np.finfo(float).eps
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= wanted * size).all()
    np.testing.assert_array_equal(found, found.T)


def arrays(k: int, n: int, p: int, dtype: Any, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(1e3, 1, size=(k, c)).astype(dtype) for c in (n, p))
    shift = rng.normal(1e3, 1, size=n + p).astype(dtype)
    return x, y, shift, rng.uniform(0, 2, size=k).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@settings(max_examples=25, deadline=None)
@given(k=st.integers(0, 900), n=st.integers(0, 40), p=st.integers(0, 20), seed=st.integers(0, 99))
def test_any_size(
    variant: Kernels, dtype: Any, weighted: bool, k: int, n: int, p: int, seed: int
) -> None:
    x, y, shift, scale = arrays(k, n, p, dtype, seed)
    factors = scale if weighted else None
    assert_centred(variant.centred_gram(x, y, shift, factors, 2), x, y, shift, factors)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(70_000, 10, 1), (9000, 50, 0), (5000, 3, 70), (600, 300, 1)])
def test_large(variant: Kernels, shape: tuple[int, int, int], dtype: Any) -> None:
    x, y, shift, scale = arrays(*shape, dtype)
    found = [variant.centred_gram(x, y, shift, scale, threads) for threads in THREADS]
    assert_centred(found[0], x, y, shift, scale)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 4, 8, 9, 15, 16, 17, 31, 52, 65, 100])
def test_rows_of_one_array(variant: Kernels, n: int, dtype: Any) -> None:
    """Which may be read where they lie, whatever the distance between them."""
    x, y, shift, _ = arrays(4200 if n < 20 else 1100, n, 0, dtype)
    apart = np.full((len(x) * 2, n + 3), np.nan, dtype)
    apart[::2, :n] = x
    found = [variant.centred_gram(x, y, shift, None, threads) for threads in THREADS]
    assert_centred(found[0], x, y, shift, None)
    found.append(variant.centred_gram(apart[::2, :n], y, shift, None, 2))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    upside = variant.centred_gram(x[::-1], y, shift, None, 2)
    assert_centred(upside, x[::-1], y, shift, None)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_any_layout(variant: Kernels, dtype: Any) -> None:
    x, y, shift, _ = arrays(3000, 19, 2, dtype)
    wide = np.zeros((6000, 38), dtype)
    wide[::2, ::2] = x
    tall = np.asfortranarray(y)
    for left, right in ((np.asfortranarray(x), tall), (wide[::2, ::2], tall[:, ::-1])):
        read_only = left.view()
        read_only.flags.writeable = False
        assert_centred(
            variant.centred_gram(read_only, right, shift, None, 2), x, right, shift, None
        )
    upside = x[::-1]
    assert_centred(variant.centred_gram(upside, y, shift, None, 1), upside, y, shift, None)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_shows_on_the_diagonal(variant: Kernels, bad: float) -> None:
    x, y, shift, _ = arrays(1000, 20, 3, np.float64)
    x[500, 17] = bad
    found = np.diagonal(variant.centred_gram(x, y, shift, None, 2))
    assert np.flatnonzero(~np.isfinite(found)).tolist() == [17]
