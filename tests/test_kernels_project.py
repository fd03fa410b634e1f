"""The kernels of projections: coordinates and squared errors of centred rows, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import STREAMED, THREADS, after_line, frozen

from fastmml._kernels import Kernels

Array = Any
FLOATS = [np.float64, np.float32]


def arrays(m: int, n: int, k: int, dtype: Any, seed: int = 0) -> tuple[Array, Array, Array]:
    """Rows near 1000, a shift in two parts and an orthonormal basis."""
    rng = np.random.default_rng(seed)
    x = rng.normal(1e3, 1, size=(m, n)).astype(dtype)
    mean = rng.normal(1e3, 1, size=n)
    first = mean.astype(dtype)
    basis = np.linalg.qr(rng.normal(size=(n, max(k, 1)))).Q.T[:k]
    return x, np.stack([first, (mean - first).astype(dtype)]), np.ascontiguousarray(basis, dtype)


def project(
    kernels: Kernels, x: Array, shift: Array, basis: Array, threads: int = 2
) -> tuple[Array, Array]:
    coordinates = np.full((len(x), len(basis)), 7, x.dtype)
    errors = np.full(len(x), 7.0)
    kernels.project_rows(x, shift, basis, coordinates, errors, threads)
    return coordinates, errors


def assert_projected(kernels: Kernels, x: Array, shift: Array, basis: Array) -> None:
    """Errors: of the two steps of the shift, of sums of n and of k terms, of squares."""
    coordinates, errors = project(kernels, x, shift, basis)
    unit, n, k = float(np.finfo(x.dtype).eps), x.shape[1], len(basis)
    z = x.astype(np.longdouble) - shift[0] - shift[1]
    wide = basis.astype(np.longdouble)
    exact = z @ wide.T
    norms = np.sqrt((z**2).sum(axis=1))[:, np.newaxis]
    limit = (n + 4) * unit * np.linalg.norm(basis.astype(np.float64), axis=1) * norms
    assert (np.abs(coordinates - exact) <= limit).all()
    rest = np.sqrt(((z - exact @ wide) ** 2).sum(axis=1))
    lost = (n + k + 8) * unit * np.sqrt(k + 1) * norms[:, 0]
    assert (np.abs(np.sqrt(errors) - rest) <= lost + (n + 8) * unit * rest).all()


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=40, deadline=None)
@given(m=st.integers(0, 90), n=st.integers(1, 300), k=st.integers(0, 80), seed=st.integers(0, 99))
def test_any_size(variant: Kernels, dtype: Any, m: int, n: int, k: int, seed: int) -> None:
    x, shift, basis = arrays(m, n, min(n, k), dtype, seed)
    assert_projected(variant, x, shift, basis)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("m", "n", "k"), [(700, 784, 50), (3000, 33, 33), (5000, 3, 2), (40, 5000, 300), (9, 9, 0)]
)
def test_blocks_and_threads(variant: Kernels, dtype: Any, m: int, n: int, k: int) -> None:
    x, shift, basis = arrays(m, n, k, dtype)
    assert_projected(variant, x, shift, basis)
    if variant.name == "numba":
        return  # BLAS has threads of its own
    expected = project(variant, x, shift, basis, 1)
    for threads in THREADS[1:]:
        for found, known in zip(project(variant, x, shift, basis, threads), expected, strict=True):
            np.testing.assert_array_equal(found, known)
    for rows in (slice(1, 2), slice(5, None)):  # a row's results do not depend on the others
        for found, known in zip(project(variant, x[rows], shift, basis), expected, strict=True):
            np.testing.assert_array_equal(found, known[rows])


@pytest.mark.parametrize("dtype", FLOATS)
def test_either_result_alone(variant: Kernels, dtype: Any) -> None:
    x, shift, basis = arrays(600, 70, 9, dtype)
    coordinates, errors = project(variant, x, shift, basis)
    one, other = np.zeros_like(coordinates), np.zeros_like(errors)
    variant.project_rows(x, shift, basis, one, None, 2)
    variant.project_rows(x, shift, basis, None, other, 2)
    np.testing.assert_array_equal(one, coordinates)
    np.testing.assert_array_equal(other, errors)


@pytest.mark.parametrize("dtype", FLOATS)
def test_any_layout(variant: Kernels, dtype: Any) -> None:
    x, shift, basis = arrays(500, 41, 7, dtype)
    wide = np.zeros((1000, 82), dtype)
    wide[::2, ::2] = x
    y = np.ascontiguousarray(x[:, :7])
    back = reconstruct(variant, y, basis, shift)
    for layout in (np.asfortranarray(x), wide[::2, ::2], x[::-1], x[:, ::-1], frozen(x)):
        assert_projected(variant, layout, shift, basis)
    for layout in (np.asfortranarray(y), np.repeat(y, 2, axis=1)[:, ::2], frozen(y)):
        np.testing.assert_allclose(
            reconstruct(variant, layout, basis, shift), back, rtol=4 * np.finfo(dtype).eps
        )


@pytest.mark.parametrize("start", [0, 16])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "k"), [(784, 10), (250, 3), (1030, 32), (41, 0)])
def test_reconstructed_rows_larger_than_the_caches(
    variant: Kernels, dtype: Any, n: int, k: int, start: int
) -> None:
    m = 3 + STREAMED // (n * np.dtype(dtype).itemsize)
    _, shift, basis = arrays(1, n, k, dtype)
    y = np.random.default_rng(2).normal(size=(m, k)).astype(dtype)
    out = after_line((m, n), dtype, start)
    for threads in (1, 2):
        out[...] = 7
        variant.reconstruct_rows(y, basis, shift, out, threads)
        for rows in (slice(m // 2), slice(m // 2, None)):  # which are not
            half = reconstruct(variant, y[rows], basis, shift)
            if variant.name == "numba":  # whose BLAS may add terms in another order
                np.testing.assert_allclose(out[rows], half, rtol=(k + 4) * np.finfo(dtype).eps)
            else:
                np.testing.assert_array_equal(out[rows], half)


@pytest.mark.parametrize("dtype", FLOATS)
def test_what_is_left_of_rows_of_the_subspace_is_rounding(variant: Kernels, dtype: Any) -> None:
    """|z|^2 - |y|^2 would have errors of eps |z|^2: a root of eps, and no digit of the rest."""
    _, shift, basis = arrays(1, 60, 6, dtype)
    shift[:] = 0
    z = np.random.default_rng(1).normal(size=(50, 6)) @ basis.astype(np.float64) * 1e3
    errors = project(variant, z.astype(dtype), shift, basis)[1]
    assert (np.sqrt(errors) <= 20 * np.finfo(dtype).eps * np.linalg.norm(z, axis=1)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", FLOATS)
def test_what_is_not_finite_stays_in_its_row(variant: Kernels, dtype: Any, bad: float) -> None:
    x, shift, basis = arrays(400, 50, 5, dtype)
    x[17, 3] = bad
    for found in project(variant, x, shift, basis):
        is_finite = np.isfinite(found).reshape(400, -1)
        assert not is_finite[17].any()
        assert is_finite[np.arange(400) != 17].all()


def reconstruct(kernels: Kernels, y: Array, basis: Array, shift: Array, threads: int = 2) -> Array:
    out = np.full((len(y), basis.shape[1]), 7, y.dtype)
    kernels.reconstruct_rows(y, basis, shift, out, threads)
    return out


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=40, deadline=None)
@given(m=st.integers(0, 90), n=st.integers(1, 300), k=st.integers(0, 80), seed=st.integers(0, 99))
def test_the_way_back(variant: Kernels, dtype: Any, m: int, n: int, k: int, seed: int) -> None:
    _, shift, basis = arrays(1, n, min(n, k), dtype, seed)
    y = np.random.default_rng(seed).normal(size=(m, len(basis))).astype(dtype)
    found = reconstruct(variant, y, basis, shift)
    wide = basis.astype(np.longdouble)
    expected = y @ wide + shift[1] + shift[0]
    size = np.abs(y) @ np.abs(wide) * (len(basis) + 1) + 2 * np.abs(expected)
    assert (np.abs(found - expected) <= np.finfo(dtype).eps * size).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("m", "n", "k"), [(700, 784, 50), (3000, 33, 33), (40, 1000, 300)])
def test_threads_on_the_way_back(variant: Kernels, dtype: Any, m: int, n: int, k: int) -> None:
    if variant.name == "numba":
        pytest.skip("BLAS has threads of its own")
    _, shift, basis = arrays(1, n, k, dtype)
    y = np.random.default_rng(0).normal(size=(m, k)).astype(dtype)
    expected = reconstruct(variant, y, basis, shift, 1)
    for threads in THREADS[1:]:
        np.testing.assert_array_equal(reconstruct(variant, y, basis, shift, threads), expected)
    np.testing.assert_array_equal(reconstruct(variant, y[5:], basis, shift), expected[5:])
