"""Sparse rows times dense columns, on every backend and CPU level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same_for_all_threads, frozen, gamma

from fastmml._kernels import Kernels

Array = Any
FLOATS = [np.float64, np.float32]


def rows(m: int, n: int, per_row: int, dtype: Any = np.float64, seed: int = 0) -> Any:
    """Rows of unequal length, some of them empty, and one that is full."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 2 * per_row + 1, m)
    lengths[m // 2] = n
    indices = [random.permutation(n)[:length] for length in lengths]
    values = random.standard_normal(sum(map(len, indices))).astype(dtype)
    indptr = np.concatenate([[0], np.cumsum([len(part) for part in indices])])
    return sp.csr_array((values, np.concatenate(indices), indptr), shape=(m, n))


def times(kernels: Kernels, a: Any, b: Array, shift: Array, threads: int = 2) -> Array:
    out = np.full((a.shape[0], b.shape[1]), np.nan)
    kernels.sparse_times(
        frozen(a.indptr.astype(np.int64)), frozen(a.indices.astype(np.uint32)), frozen(a.data),
        frozen(b), frozen(shift), out, threads,
    )  # fmt: skip
    return out


def check(kernels: Kernels, a: Any, columns: int) -> None:
    random = np.random.default_rng(columns)
    b, shift = random.standard_normal((a.shape[1], columns)), random.standard_normal(columns)
    wide = a.toarray().astype(np.longdouble)
    error = gamma(a.shape[1] + 2) * (np.abs(wide) @ np.abs(b) + np.abs(shift))
    assert (np.abs(times(kernels, a, b, shift) - (wide @ b - shift)) <= error).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("columns", [1, 2, 7, 8, 9, 16, 19])
def test_sparse_times(variant: Kernels, dtype: Any, columns: int) -> None:
    check(variant, rows(700, 80, 5, dtype), columns)


@pytest.mark.parametrize("dtype", FLOATS)
def test_sparse_times_of_many_blocks(variant: Kernels, dtype: Any) -> None:
    check(variant, rows(9000, 50, 6, dtype), 8)


@settings(deadline=None, max_examples=40)
@given(
    m=st.integers(1, 30), n=st.integers(1, 30), columns=st.integers(1, 18), seed=st.integers(0, 99)
)
def test_sparse_times_of_any_shape(
    variant: Kernels, m: int, n: int, columns: int, seed: int
) -> None:
    check(variant, rows(m, n, 1, seed=seed), columns)


def test_rows_without_entries_are_the_shift(variant: Kernels) -> None:
    found = times(variant, sp.csr_array((5, 3)), np.ones((3, 9)), np.arange(9.0))
    np.testing.assert_array_equal(found, np.tile(-np.arange(9.0), (5, 1)))


def test_indices_repeat_in_any_order(variant: Kernels) -> None:
    a = sp.csr_array(([1.0, 2.0, 4.0], [2, 0, 2], [0, 3]), shape=(1, 3))
    assert times(variant, a, np.array([[1.0], [10.0], [100.0]]), np.zeros(1)) == 502.0


def test_nan_stays_in_its_row(variant: Kernels) -> None:
    a = rows(600, 40, 5)
    a.data[a.indptr[100]] = np.nan
    found = times(variant, a, np.ones((40, 9)), np.zeros(9))
    assert (np.isnan(found).any(axis=1) == np.isnan(a.toarray()).any(axis=1)).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_same_bits_for_all_threads(variant: Kernels, dtype: Any) -> None:
    a = rows(9000, 60, 6, dtype)
    b, shift = np.random.default_rng(1).standard_normal((60, 11)), np.arange(11.0)
    assert_same_for_all_threads(lambda threads: (times(variant, a, b, shift, threads),))
