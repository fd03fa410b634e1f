"""The kernels of products with X'X, dense and sparse, on every backend and CPU level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same_for_all_threads, frozen

from fastmml._kernels import Kernels
from fastmml.decomposition.products import parts_of

Array = Any
FLOATS = [np.float64, np.float32]


def operands(
    m: int, n: int, count: int, dtype: Any, density: float = 1.0, seed: int = 0
) -> tuple[Array, Array, Array]:
    """Rows X, of which so many numbers are not 0, a block B and an offset."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, n)) * (rng.random((m, n)) < density)
    b, offset = rng.standard_normal((count, n)), rng.standard_normal(count)
    return frozen(x.astype(dtype)), frozen(b.astype(dtype)), frozen(offset.astype(dtype))


def dense(
    kernels: Kernels, x: Array, b: Array, offset: Array, threads: int = 2
) -> tuple[Array, Array]:
    y = np.full((len(x), len(b)), np.nan, x.dtype)
    out = np.full(b.shape, np.nan, x.dtype)
    kernels.gram_times(x, b, offset, y, out, threads)
    return y, out


def sparse(
    kernels: Kernels, x: Array, b: Array, scale: Array, along: Array, parts: int = 3,
    threads: int = 2,
) -> Array:  # fmt: skip
    rows = sp.csr_array(x)
    out = np.full(b.shape, np.nan, x.dtype)
    kernels.sparse_gram_times(
        frozen(rows.indptr.astype(np.int64)), frozen(rows.indices.astype(np.uint32)),
        frozen(rows.data), b, scale, along, parts, out, threads,
    )  # fmt: skip
    return out


def assert_products(x: Array, b: Array, offset: Array, y: Array, out: Array) -> None:
    """Sums of n and of m terms; what is wrong with the first ones is multiplied by the rows."""
    wide, other = x.astype(np.longdouble), b.astype(np.longdouble)
    unit = float(np.finfo(x.dtype).eps)
    exact, sizes = wide @ other.T - offset, np.abs(wide) @ np.abs(other).T + np.abs(offset)
    assert (np.abs(y - exact) <= (x.shape[1] + 2) * unit * sizes).all()
    limit = (sum(x.shape) + 4) * unit * (sizes.T @ np.abs(wide))
    assert (np.abs(out - exact.T @ wide) <= limit).all()


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 120), n=st.integers(1, 200), count=st.integers(1, 20))
def test_dense_of_any_size(variant: Kernels, dtype: Any, m: int, n: int, count: int) -> None:
    x, b, offset = operands(m, n, count, dtype)
    assert_products(x, b, offset, *dense(variant, x, b, offset))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("m", "n"), [(9000, 17), (30, 5003)])
def test_dense_of_many_groups_and_chunks(variant: Kernels, dtype: Any, m: int, n: int) -> None:
    x, b, offset = operands(m, n, 9, dtype)
    assert_products(x, b, offset, *dense(variant, x, b, offset))


def test_dense_sums_of_float32_keep_their_digits(variant: Kernels) -> None:
    """A million equal terms: one sum of float32 would be wrong by more than a thousandth."""
    x = np.full((1_000_000, 2), 0.1, np.float32)
    _, out = dense(variant, x, np.ones((1, 2), np.float32), np.zeros(1, np.float32))
    exact = float(x[0, 0]) ** 2 * 2 * len(x)
    np.testing.assert_allclose(out, exact, rtol=4096 * np.finfo(np.float32).eps / 8)


@pytest.mark.parametrize("dtype", FLOATS)
def test_dense_bits(variant: Kernels, dtype: Any) -> None:
    x, b, offset = operands(700, 90, 11, dtype)
    assert_same_for_all_threads(lambda threads: dense(variant, x, b, offset, threads))


def test_dense_nan_stays_in_its_row_of_y_and_its_place(variant: Kernels) -> None:
    x, b, offset = operands(100, 50, 9, np.float64)
    b = b.copy()
    b[4, 7] = np.nan
    y, out = dense(variant, x, b, offset)
    assert (np.isnan(y).all(axis=0) == (np.arange(9) == 4)).all()
    assert (np.isnan(out).all(axis=1) == (np.arange(9) == 4)).all()
    assert not np.isnan(np.delete(y, 4, axis=1)).any()
    assert not np.isnan(np.delete(out, 4, axis=0)).any()


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(1, 90), n=st.integers(1, 60), count=st.integers(1, 20), parts=st.integers(1, 5),
    density=st.sampled_from([0.0, 0.1, 1.0]), is_scaled=st.booleans(), is_along=st.booleans(),
)  # fmt: skip
def test_sparse_of_any_size(
    variant: Kernels, dtype: Any, m: int, n: int, count: int, parts: int, density: float,
    is_scaled: bool, is_along: bool,
) -> None:  # fmt: skip
    x, b, _ = operands(m, n, count, dtype, density)
    rng = np.random.default_rng(m)
    scale = rng.standard_normal(m) if is_scaled else None
    along = rng.standard_normal(n) if is_along else None
    assert_sparse_products(x, b, scale, along, sparse(variant, x, b, scale, along, parts))


def assert_sparse_products(x: Array, b: Array, scale: Array, along: Array, out: Array) -> None:
    """Sums of m and of n terms, of rows and of what is taken off them."""
    m, n = x.shape
    taken = np.outer(*(np.ones(k) if v is None else v for k, v in ((m, scale), (n, along))))
    wide, other = x.astype(np.longdouble) - taken, b.astype(np.longdouble)
    sizes = np.abs(x).astype(np.longdouble) + np.abs(taken)
    limit = 2 * (m + n + 4) * float(np.finfo(x.dtype).eps) * (np.abs(other) @ sizes.T @ sizes)
    assert (np.abs(out - other @ wide.T @ wide) <= limit).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_sparse_of_many_chunks(variant: Kernels, dtype: Any) -> None:
    x, b, _ = operands(30, 3001, 9, dtype, 0.1)
    along = np.linspace(-1, 1, 3001)
    assert_sparse_products(x, b, None, along, sparse(variant, x, b, None, along))


@pytest.mark.parametrize("dtype", FLOATS)
def test_sparse_bits(variant: Kernels, dtype: Any) -> None:
    x, b, _ = operands(3000, 2100, 11, dtype, 0.02)
    scale, along = np.arange(3000.0), np.arange(2100.0)
    assert_same_for_all_threads(
        lambda threads: sparse(variant, x, b, scale, along, threads=threads)
    )


def test_parts_of_sparse_rows_grow_with_entries() -> None:
    found = [parts_of(entries) for entries in range(2000)]
    assert found == sorted(found)
    assert set(found) == {1, 2, 4, 8, 16}


def test_sparse_indices_repeat_in_any_order(variant: Kernels) -> None:
    out = np.empty((1, 3))
    variant.sparse_gram_times(
        np.array([0, 3]), np.array([2, 0, 2], np.uint32), np.array([1.0, 2.0, 4.0]),
        np.array([[1.0, 10.0, 100.0]]), None, np.zeros(3), 1, out, 2,
    )  # fmt: skip
    assert out.tolist() == [[1004.0, 0.0, 2510.0]]
