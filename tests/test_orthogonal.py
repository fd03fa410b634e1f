"""QR, Gram-Schmidt and projections: orthonormal and near the input at any condition number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import THREADS

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels

Array = Any


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


def conditioned(rows: int, columns: int, condition: float, dtype: Any, seed: int = 0) -> Array:
    """Random singular vectors, singular values from 1 down to 1 / condition."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(rows, columns)))[0]
    right = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    return ((left * np.geomspace(1, 1 / condition, columns)) @ right).astype(dtype)


def special(name: str, dtype: Any) -> Array:
    rng = np.random.default_rng(7)
    a = rng.normal(size=(600, 12))
    if name == "rank-deficient":
        a[:, 7] = a[:, 2] - 2 * a[:, 3]
    elif name == "duplicate":
        a[:, 5] = a[:, 4]
    elif name == "zero column":
        a[:, 3] = 0
    elif name == "zero":
        a[:] = 0
    elif name == "graded":
        a *= 10.0 ** -np.arange(12)
    elif name == "läuchli":
        a = np.vstack([np.ones((1, 12)), 1e-8 * np.eye(12), np.zeros((587, 12))])
    elif name == "hilbert":
        a = 1 / (np.arange(600)[:, None] + np.arange(12) + 1.0)
    elif name == "half rank":
        a = rng.normal(size=(600, 6)) @ rng.normal(size=(6, 12))
    elif name == "huge":
        a *= 1e150 if dtype == np.float64 else 1e30
    elif name == "tiny":
        a *= 1e-150 if dtype == np.float64 else 1e-30
    return a.astype(dtype)


SPECIAL = [
    *("rank-deficient", "duplicate", "zero column", "zero", "graded", "läuchli", "hilbert"),
    *("half rank", "huge", "tiny"),
]


def assert_factorised(a: Array, q: Array, r: Array) -> None:
    n, eps = a.shape[1], float(np.finfo(q.dtype).eps)
    wide_q, wide_r = q.astype(np.longdouble), r.astype(np.longdouble)
    off = wide_q.T @ wide_q - np.eye(q.shape[1])
    assert np.abs(off).sum(axis=1).max() <= 10 * n * eps
    scale = np.abs(a).max() or 1.0
    rest = ((wide_q @ wide_r - a) / scale).astype(np.float64)
    assert np.linalg.norm(rest) <= 10 * n * eps * np.linalg.norm(a / scale)
    assert not np.tril(r, -1).any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e12, 1e15])
@pytest.mark.parametrize("shape", [(500, 8), (1000, 33), (300, 1)])
def test_qr_at_any_condition(shape: tuple[int, int], condition: float, dtype: Any) -> None:
    a = conditioned(*shape, condition, dtype)
    q, r = fm.qr(a)
    assert q.dtype == r.dtype == dtype
    assert (q.shape, r.shape) == (shape, (shape[1], shape[1]))
    assert_factorised(a, q, r)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SPECIAL)
def test_qr_of_special_matrices(name: str, dtype: Any) -> None:
    a = special(name, dtype)
    assert_factorised(a, *fm.qr(a))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 200),
    columns=st.integers(1, 20),
    condition=st.sampled_from([1.0, 1e3, 1e7, 1e9, 1e14]),
    seed=st.integers(0, 1000),
)
def test_qr_of_any_shape(rows: int, columns: int, condition: float, seed: int) -> None:
    side = min(rows, columns)
    a = conditioned(max(rows, columns), side, condition, np.float64, seed)
    a = a if rows >= columns else a.T
    q, r = fm.qr(a)
    assert_factorised(a, q, r)
    np.testing.assert_allclose(np.abs(fm.qr(a, "r")), np.abs(r), atol=1e-10)


def test_qr_reads_any_layout() -> None:
    a = conditioned(400, 5, 10, np.float64)
    wide = np.zeros((800, 10))
    wide[::2, ::2] = a
    raw = np.empty(a.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(np.float64).reshape(a.shape)
    misaligned[:] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    q, r = fm.qr(a)
    for other in (np.asfortranarray(a), wide[::2, ::2], misaligned, a.astype(">f8"), frozen):
        found = fm.qr(other)
        np.testing.assert_allclose(found.Q, q, atol=1e-13)
        np.testing.assert_allclose(found.R, r, atol=1e-12)


def test_qr_takes_integers_and_what_numpy_takes() -> None:
    whole = np.arange(300).reshape(100, 3) % 7
    assert_factorised(whole.astype(float), *fm.qr(whole))
    for a in (np.ones((3, 20, 2)), np.ones((50, 2)) + 1j, np.ones((0, 3)), np.ones((3, 0))):
        for mode in ("reduced", "complete"):
            q, r = fm.qr(a, mode)
            expected = np.linalg.qr(a, mode)
            assert (q.shape, r.shape) == (expected.Q.shape, expected.R.shape)
            np.testing.assert_allclose(q @ r, a, atol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_qr_of_nan_and_infinity_is_numpys(bad: float) -> None:
    a = np.ones((100, 3))
    a[5, 1] = bad
    with np.errstate(all="ignore"):
        q, r = fm.qr(a)
        expected = np.linalg.qr(a)
    np.testing.assert_array_equal(q, expected.Q)
    np.testing.assert_array_equal(r, expected.R)


def test_threads_give_the_same_bits() -> None:
    a = conditioned(20_000, 9, 1e5, np.float64)
    results = []
    for threads in THREADS:
        with fm.threads(threads):
            results.append(fm.qr(a))
    for q, r in results[1:]:
        np.testing.assert_array_equal(q, results[0].Q)
        np.testing.assert_array_equal(r, results[0].R)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (17, 1), (100, 3), (1000, 4), (70, 33), (0, 3), (5, 0)])
def test_solve_right(variant: Kernels, shape: tuple[int, int], dtype: Any) -> None:
    rng = np.random.default_rng(1)
    n = shape[1]
    a = rng.normal(size=shape).astype(dtype)
    u = (np.triu(rng.normal(size=(n, n))) + 3 * np.eye(n)).astype(dtype)
    below = u + np.tril(np.full((n, n), np.nan, dtype), -1)  # is not read
    x = np.empty(shape, dtype)
    variant.solve_right(a, below, x, 2)
    wide = x.astype(np.longdouble)
    error = (n + 2) * float(np.finfo(dtype).eps) * (np.abs(wide) @ np.abs(u))
    assert (np.abs(wide @ u - a) <= error).all()
    backwards = np.asfortranarray(a)[::-1]
    variant.solve_right(backwards, below, x, 1)
    np.testing.assert_array_equal(x[::-1], wide.astype(dtype))
    variant.solve_right(a, below, a, 1)
    np.testing.assert_array_equal(a, wide.astype(dtype))


# ---- Gram-Schmidt ----


@pytest.mark.parametrize("condition", [1, 1e6, 1e10])
def test_gram_schmidt_keeps_the_order_and_direction(condition: float) -> None:
    a = conditioned(200, 6, condition, np.float64)
    q = fm.gram_schmidt(a)
    assert q.shape == (200, 6)
    assert fm.orthogonality(q) <= 60 * np.finfo(float).eps
    products = q.T @ a
    assert (np.diagonal(products) > 0).all()
    np.testing.assert_allclose(np.tril(products, -1), 0, atol=1e-14)


@pytest.mark.parametrize("shape", [(400, 5), (6, 5)])
def test_gram_schmidt_drops_dependent_columns(shape: tuple[int, int]) -> None:
    a = np.random.default_rng(2).normal(size=shape)
    a[:, 2] = a[:, 0] - 3 * a[:, 1]
    a[:, 4] = 0
    q = fm.gram_schmidt(a)
    assert q.shape == (shape[0], 3)
    kept = fm.gram_schmidt(a, dependent="zero")
    np.testing.assert_array_equal(kept.any(axis=0), [True, True, False, True, False])
    np.testing.assert_allclose(kept[:, [0, 1, 3]], q, atol=1e-14)
    expected = fm.gram_schmidt(a[:, [0, 1, 3]])
    np.testing.assert_allclose(q, expected, atol=1e-12)


def test_gram_schmidt_of_more_vectors_than_dimensions() -> None:
    a = np.random.default_rng(3).normal(size=(3, 7))
    q = fm.gram_schmidt(a)
    assert q.shape == (3, 3)
    assert fm.orthogonality(q) < 1e-14
    assert fm.gram_schmidt(np.zeros((4, 2))).shape == (4, 0)


def test_the_textbook_methods_lose_orthogonality() -> None:
    a = conditioned(200, 10, 1e7, np.float64)
    classical, modified = (fm.gram_schmidt(a, method=method) for method in ("cgs", "mgs"))
    assert fm.orthogonality(classical) > 1e-6 > fm.orthogonality(modified) > 1e-12
    well = conditioned(50, 4, 2, np.float64) + 0j
    for method in ("cgs", "mgs"):
        np.testing.assert_allclose(fm.gram_schmidt(well, method=method), fm.gram_schmidt(well))


# ---- projections ----


@pytest.mark.parametrize("points", [(300,), (300, 4)])
@pytest.mark.parametrize("condition", [1, 1e6])
def test_projections(points: tuple[int, ...], condition: float) -> None:
    basis = conditioned(300, 5, condition, np.float64)
    x = np.random.default_rng(4).normal(size=points)
    coordinates, projection, distance = fm.project(x, basis)
    assert projection.shape == x.shape
    assert coordinates.shape == (5, *points[1:])
    size = np.linalg.norm(x)
    assert np.abs(basis.T @ (x - projection)).max() <= 1e-14 * size
    np.testing.assert_allclose(basis @ coordinates, projection, atol=1e-9 * size)
    np.testing.assert_allclose(distance, np.linalg.norm(x - projection, axis=0))
    again = fm.project(projection, basis)
    np.testing.assert_allclose(again.projection, projection, atol=1e-13 * size)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: fm.qr(np.ones((3, 2)), "raw"), ValueError),
        (lambda: fm.qr(np.ones(3)), np.linalg.LinAlgError),
        (lambda: fm.qr(np.ones((30, 2), np.float16)), TypeError),
        (lambda: fm.gram_schmidt(np.ones(3)), ValueError),
        (lambda: fm.gram_schmidt(np.ones((3, 3)), dependent="keep"), ValueError),
        (lambda: fm.gram_schmidt(np.ones((3, 3)), method="householder"), ValueError),
        (lambda: fm.project(np.ones(4), np.ones((3, 1))), ValueError),
        (lambda: fm.project(np.ones(3), np.ones(3)), ValueError),
        (lambda: fm.project(np.ones((3, 1, 1)), np.ones((3, 1))), ValueError),
        (lambda: fm.project(np.ones(3), np.ones((3, 2))), np.linalg.LinAlgError),
        (lambda: fm.project(np.ones(2), np.ones((2, 3))), np.linalg.LinAlgError),
        (lambda: fm.project(np.ones(30), np.zeros((30, 2))), np.linalg.LinAlgError),
    ],
)
def test_refusals(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()
