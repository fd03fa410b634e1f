"""QR, Gram-Schmidt and projections: orthonormal and near the input at any condition number."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import STREAMED, THREADS, frozen

import fastmml as fm
from fastmml import _backend, orthogonal
from fastmml._kernels import Kernels

Array = Any

theirs = pytest.importorskip("numpy.linalg.tests.test_linalg")


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(orthogonal, "_LEAST_WORK", 0)  # small matrices take every way
    with _backend.use_kernels(variant):
        yield


def conditioned(rows: int, columns: int, condition: float, dtype: Any, seed: int = 0) -> Array:
    """Random singular vectors, singular values from 1 down to 1 / condition."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(size, columns)) for size in (rows, columns)]
    if np.dtype(dtype).kind == "c":
        parts = [part + 1j * rng.normal(size=part.shape) for part in parts]
    left, right = (np.linalg.qr(part)[0] for part in parts)
    return ((left * np.geomspace(1, 1 / condition, columns)) @ right).astype(dtype)


def special(name: str, dtype: Any) -> Array:
    rng, is_double = np.random.default_rng(7), np.finfo(dtype).eps < 1e-10
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
        a *= 1e150 if is_double else 1e30
    elif name == "tiny":
        a *= 1e-150 if is_double else 1e-30
    if np.dtype(dtype).kind == "c":
        a = a * np.exp(1j * rng.normal(size=(600, 1)))
    return a.astype(dtype)


DTYPES = [np.float64, np.float32, np.complex128, np.complex64]
SPECIAL = [
    *("rank-deficient", "duplicate", "zero column", "zero", "graded", "läuchli", "hilbert"),
    *("half rank", "huge", "tiny"),
]


def assert_factorised(a: Array, q: Array, r: Array) -> None:
    n, eps = a.shape[1], float(np.finfo(q.dtype).eps)
    wide = np.clongdouble if q.dtype.kind == "c" else np.longdouble
    wide_q, wide_r = q.astype(wide), r.astype(wide)
    off = wide_q.conj().T @ wide_q - np.eye(q.shape[1])
    assert np.abs(off).sum(axis=1).max() <= 10 * n * eps
    scale = np.abs(a).max() or 1.0
    rest = (wide_q @ wide_r - a) / scale
    rest = rest.astype(np.complex128 if q.dtype.kind == "c" else np.float64)
    assert np.linalg.norm(rest) <= 10 * n * eps * np.linalg.norm(a / scale)
    assert not np.tril(r, -1).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e12, 1e15])
@pytest.mark.parametrize("shape", [(500, 8), (1000, 33), (300, 1)])
def test_qr_at_any_condition(shape: tuple[int, int], condition: float, dtype: Any) -> None:
    a = conditioned(*shape, condition, dtype)
    q, r = fm.qr(a)
    assert q.dtype == r.dtype == dtype
    assert (q.shape, r.shape) == (shape, (shape[1], shape[1]))
    assert_factorised(a, q, r)


@pytest.mark.parametrize("dtype", DTYPES)
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


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("columns", [5, 1])
def test_qr_reads_any_layout(columns: int, dtype: Any) -> None:
    a = conditioned(400, columns, 10, dtype)
    wide = np.zeros((800, 2 * columns), dtype)
    wide[::2, ::2] = a
    raw = np.empty(a.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(dtype).reshape(a.shape)
    misaligned[:] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    q, r = fm.qr(a)
    swapped = a.astype(a.dtype.newbyteorder(">"))
    for other in (np.asfortranarray(a), wide[::2, ::2], misaligned, swapped, frozen):
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


@pytest.mark.parametrize("dtype", DTYPES)
def test_qr_of_little_work_is_lapacks(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    a = conditioned(300, 20, 10, dtype)
    for ours, lapacks in zip(fm.qr(a), np.linalg.qr(a), strict=True):
        np.testing.assert_array_equal(ours, lapacks)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_qr_of_nan_and_infinity_is_numpys(bad: float) -> None:
    a = np.ones((100, 3))
    a[5, 1] = bad
    with np.errstate(all="ignore"):
        q, r = fm.qr(a)
        expected = np.linalg.qr(a)
    np.testing.assert_array_equal(q, expected.Q)
    np.testing.assert_array_equal(r, expected.R)


@pytest.mark.parametrize("columns", [9, 40])
@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
def test_threads_give_the_same_bits(columns: int, dtype: Any) -> None:
    a = conditioned(20_000, columns, 1e5, dtype)
    results = []
    for threads in THREADS:
        with fm.threads(threads):
            results.append(fm.qr(a))
    for q, r in results[1:]:
        np.testing.assert_array_equal(q, results[0].Q)
        np.testing.assert_array_equal(r, results[0].R)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (17, 1), (100, 3), (1000, 4), (99, 8), (70, 24), (70, 33), (40, 150), (0, 3), (5, 0)],
)
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
    twice = np.empty(shape, dtype)
    variant.solve_right(a, np.stack([below, 2 * below]), twice, 1)
    variant.solve_right(a, below, a, 1)
    np.testing.assert_array_equal(a, wide.astype(dtype))
    variant.solve_right(a, 2 * below, a, 1)
    np.testing.assert_array_equal(a, twice)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 12, 24])
def test_solve_right_past_the_caches(variant: Kernels, n: int, dtype: Any) -> None:
    size = STREAMED // np.dtype(dtype).itemsize
    a = np.random.default_rng(3).normal(size=(size // n + 7, n)).astype(dtype)
    u = (np.triu(a[:n]) + 3 * np.eye(n)).astype(dtype)
    expected, half = np.empty_like(a), len(a) // 2
    variant.solve_right(a[:half], u, expected[:half], 1)
    variant.solve_right(a[half:], u, expected[half:], 1)
    memory = np.empty(a.size + 2, dtype)
    memory[[0, -1]] = 7
    x = memory[1:-1].reshape(a.shape)  # starts within a line
    for threads in (1, 2):
        x[:] = np.nan
        variant.solve_right(a, u, x, threads)
        np.testing.assert_array_equal(x, expected)
    x[:] = a
    variant.solve_right(x, u, x, 2)
    np.testing.assert_array_equal(x, expected)
    assert (memory[[0, -1]] == 7).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "shape", [(1, 1), (9000, 1), (100, 3), (20_000, 4), (9000, 33), (400, 190), (0, 3), (5, 0)]
)
def test_solved_gram(variant: Kernels, shape: tuple[int, int], dtype: Any) -> None:
    rng = np.random.default_rng(2)
    n = shape[1]
    a = rng.normal(size=shape).astype(dtype)
    u = (np.triu(rng.normal(size=(2, n, n))) / n + 2 * np.eye(n)).astype(dtype)
    b = rng.normal(size=(3, shape[0])).astype(dtype).T
    x = np.empty(shape, dtype)
    for factors, right in ((u[:1], None), (u, None), (u, b[:, :1]), (u[1:], b)):
        size = n if right is None else n + right.shape[1]
        products = np.full((size, size), np.nan, dtype)
        variant.solved_gram(a, right, factors, products, 2)
        variant.solve_right(a, factors, x, 2)
        wide = np.hstack([x, *([] if right is None else [right])]).astype(np.longdouble)
        error = shape[0] * float(np.finfo(dtype).eps) * (np.abs(wide).T @ np.abs(wide))
        assert (np.abs(wide.T @ wide - products) <= error).all()
        np.testing.assert_array_equal(products, products.T)
        turned = np.full((size, size), np.nan, dtype)
        variant.solved_gram(np.asfortranarray(a), right, factors, turned, 1)
        np.testing.assert_array_equal(turned, products)


# ---- stacks ----


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.complex128])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5, 8, 8), (7, 16, 4), (4, 3, 9), (3, 20, 5), (2, 1)])
def test_qr_of_stacks(shape: tuple[int, ...], dtype: Any) -> None:
    a = (8 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    *batch, m, n = shape
    number = a.dtype if a.dtype.kind in "fc" else np.dtype(float)
    for mode, k in (("reduced", min(m, n)), ("complete", m)):
        q, r = fm.qr(a, mode)
        assert (q.shape, r.shape) == ((*batch, m, k), (*batch, k, n))
        assert q.dtype == r.dtype == number
        eps = np.finfo(number).eps
        products = q.conj().swapaxes(-2, -1) @ q
        assert np.abs(products - np.eye(k)).max() <= 10 * m * eps
        np.testing.assert_allclose(q @ r, a, atol=1e3 * eps)
        assert not np.tril(r, -1).any()
    np.testing.assert_allclose(fm.qr(a, "r"), fm.qr(a).R)
    np.testing.assert_array_equal(fm.qr(a.astype(a.dtype.newbyteorder(">"))).Q, fm.qr(a).Q)


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3), (2, 3, 0), (0, 3), (3, 0)])
def test_qr_of_nothing(shape: tuple[int, ...]) -> None:
    a = np.empty(shape)
    for mode in ("reduced", "complete", "r"):
        for part, expected in zip(fm.qr(a, mode), np.linalg.qr(a, mode), strict=True):
            np.testing.assert_array_equal(part, expected)


def test_subclasses_are_numpys() -> None:
    a = np.ones((3, 2)).view(np.matrix)
    assert [type(part) for part in fm.qr(a)] == [np.matrix, np.matrix]


class TestNumpysOwn(theirs.TestQR):  # type: ignore[misc,name-defined]
    test_mode_raw = None  # is refused

    @pytest.fixture(autouse=True)
    def in_place_of_numpy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(theirs, "linalg", SimpleNamespace(**(vars(np.linalg) | {"qr": fm.qr})))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.complex64])
@pytest.mark.parametrize("shape", [(64, 64), (200, 70), (70, 200), (64, 300)])
def test_qr_by_lapack(shape: tuple[int, int], dtype: Any) -> None:
    a = np.random.default_rng(8).normal(size=shape).astype(dtype)
    a = a + 1j * a[::-1] if a.dtype.kind == "c" else a
    for layout in (frozen(a), np.asfortranarray(a), a.astype(a.dtype.newbyteorder(">"))):
        for mode in ("reduced", "complete"):
            q, r = fm.qr(layout, mode)
            expected = np.linalg.qr(a, mode)
            assert (q.dtype, r.dtype) == (a.dtype, a.dtype)
            tolerance = 1e4 * float(np.finfo(dtype).eps)
            np.testing.assert_allclose(q, expected.Q, atol=tolerance)
            np.testing.assert_allclose(r, expected.R, atol=tolerance)
            assert not np.tril(r, -1).any()
        np.testing.assert_array_equal(fm.qr(layout, "r"), fm.qr(a).R)
        np.testing.assert_array_equal(layout, a)


@pytest.mark.parametrize("dtype", ["f2", "g", "G"])
@pytest.mark.parametrize("shape", [(3, 3), (40, 3), (70, 70), (2, 3, 3)])
def test_numpy_refuses_what_it_does_not_take(shape: tuple[int, ...], dtype: str) -> None:
    a = np.ones(shape).astype(dtype)
    with pytest.raises(TypeError):
        np.linalg.qr(a)
    with pytest.raises(TypeError):
        fm.qr(a)


# ---- out= and overwrite_a= ----

OUT_SHAPES = [(3, 3), (50, 8, 8), (7, 16, 4), (400, 5), (30, 20), (90, 70)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", OUT_SHAPES)
def test_out(shape: tuple[int, ...], dtype: Any) -> None:
    a = frozen(np.random.default_rng(1).normal(size=shape).astype(dtype))
    for mode in ("reduced", "complete", "r"):
        found = fm.qr(a, mode)
        parts = (found,) if mode == "r" else tuple(found)
        for make in (np.empty_like, lambda x: np.empty_like(x, np.complex128), strided):
            targets = tuple(make(part) for part in parts)
            result = fm.qr(a, mode, out=targets[0] if mode == "r" else targets)
            for got, target, expected in zip(
                (result,) if mode == "r" else result, targets, parts, strict=True
            ):
                assert got is target
                np.testing.assert_array_equal(target, expected)


def strided(x: Array) -> Array:
    return np.empty((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2]


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", OUT_SHAPES)
def test_out_may_be_the_input(shape: tuple[int, ...], dtype: Any) -> None:
    a = np.random.default_rng(2).normal(size=shape).astype(dtype)
    q, r = fm.qr(a)
    same, below = a.copy(), np.empty_like(r)
    found = fm.qr(same, out=(same, below)) if q.shape == a.shape else fm.qr(same)
    np.testing.assert_array_equal(found.Q, q)
    np.testing.assert_array_equal(found.R, r)
    if r.shape == a.shape:
        same = a.copy()
        np.testing.assert_array_equal(fm.qr(same, out=(np.empty_like(q), same)).R, r)
    ahead = np.concatenate([a.ravel(), np.zeros(7, dtype)])
    shifted = ahead[7:].reshape(shape)
    fm.qr(ahead[:-7].reshape(shape), out=(shifted, below))
    np.testing.assert_array_equal(shifted, q)


@pytest.mark.parametrize("shape", OUT_SHAPES)
def test_overwrite_a(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(3).normal(size=shape)
    expected = fm.qr(a)
    for made in (a.copy(), np.asfortranarray(a), frozen(a), a.astype(np.float32), a.tolist()):
        for mode in ("reduced", "complete", "r"):
            given = made.copy() if isinstance(made, np.ndarray) else made
            fm.qr(given, mode, overwrite_a=True)
    same = a.copy()
    found = fm.qr(same, overwrite_a=True)
    np.testing.assert_array_equal(found.Q, expected.Q)
    np.testing.assert_array_equal(found.R, expected.R)
    np.testing.assert_array_equal(fm.qr(a.copy(), "r", overwrite_a=True), expected.R)
    fm.qr(frozen(a), overwrite_a=True)


@pytest.mark.parametrize("shape", [(50, 8, 8), (400, 5), (90, 70)])
def test_overwrite_a_takes_its_memory(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(3).normal(size=shape)
    a = np.asfortranarray(a) if shape == (90, 70) else a
    assert np.shares_memory(fm.qr(a, overwrite_a=True).Q, a)


def test_a_long_complex_vector_as_a_column() -> None:
    v = np.random.default_rng(0).normal(size=1 << 18) + 1j
    q, r = fm.qr(v.copy()[:, np.newaxis], overwrite_a=True)
    out = np.zeros(len(v), complex)[:, np.newaxis], np.zeros((1, 1), complex)
    fm.qr(v[:, np.newaxis], out=out)
    for basis, factor in ((q, r), out):
        assert fm.orthogonality(basis) <= 1e-12  # itself a sum of so many squares
        np.testing.assert_allclose((basis * factor)[:, 0], v, rtol=1e-13)


def test_hopeless_matrices_survive_in_place() -> None:
    """What Cholesky factors refuse is not overwritten before LAPACK reads it."""
    for name in SPECIAL:
        a = special(name, np.float64)
        same = a.copy()
        q, r = fm.qr(same, out=(same, np.empty((12, 12))))
        assert q is same
        assert_factorised(a, q, r)


@pytest.mark.parametrize("shape", [(5, 4, 3), (400, 3), (30, 20)])
def test_refused_outputs_are_not_touched(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(4).normal(size=shape)
    q, r = (np.full_like(part, 7.0) for part in fm.qr(a))
    both = np.full((*shape[:-2], shape[-2] + shape[-1], shape[-1]), 7.0)
    for out, error, message in (
        (q, TypeError, "expected 2 arrays in a tuple, got 1"),
        ((q, r, r), TypeError, "expected 2 arrays in a tuple, got 3"),
        ((q, r.tolist()), TypeError, r"out\[1\]: expected an array, got list"),
        ((q, r[..., :-1]), ValueError, r"out\[1\]: expected shape"),
        ((q[..., :-1, :], r), ValueError, r"out\[0\]: expected shape"),
        ((q, frozen(r)), ValueError, r"out\[1\]: expected a writeable array"),
        ((q.astype(int), r), TypeError, r"out\[0\]: expected a dtype that float64 casts to"),
        ((both[..., : shape[-2], :], both[..., 1 : shape[-1] + 1, :]), ValueError, "no memory"),
    ):
        with pytest.raises(error, match=message):
            fm.qr(a, out=out)
    with pytest.raises(ValueError, match="out: expected shape"):
        fm.qr(a, "r", out=q)
    assert (q == 7).all()
    assert (r == 7).all()
    assert (both == 7).all()


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(9, 5, 3), (4, 3, 8, 8), (5, 3, 7), (2, 30, 2)])
def test_gram_schmidt_of_stacks(shape: tuple[int, ...], dtype: Any) -> None:
    a = np.random.default_rng(5).normal(size=shape).astype(dtype)
    a[1, ..., 1] = a[1, ..., 0]
    if dtype == np.complex128:
        a *= 1j
    basis = fm.gram_schmidt(a)
    assert (basis.dtype, basis.shape) == (dtype, shape)
    tolerance = 100 * float(np.finfo(dtype).eps)
    for matrix, found in zip(
        a.reshape(-1, *shape[-2:]), basis.reshape(-1, *shape[-2:]), strict=True
    ):
        expected = fm.gram_schmidt(matrix, dependent="zero")
        np.testing.assert_allclose(found, expected, atol=tolerance)
        kept = fm.gram_schmidt(matrix)
        assert fm.orthogonality(kept) <= tolerance
        np.testing.assert_array_equal(kept, expected[:, expected.any(axis=0)])
    for method in ("cgs", "mgs"):
        found = fm.gram_schmidt(a[:1], method=method)
        one = a[0] if a.ndim == 3 else a[0, 0]
        expected = fm.gram_schmidt(one, method=method)
        np.testing.assert_allclose(found.reshape(-1, *one.shape)[0], expected, atol=tolerance)


@pytest.mark.parametrize(
    ("dtype", "scale"), [("d", 1e200), ("d", 1e-200), ("f", 1e25), ("f", 1e-25)]
)
def test_lengths_that_a_sum_of_squares_cannot_hold(dtype: str, scale: float) -> None:
    a = conditioned(20, 3, 10.0, dtype)
    large = a * a.dtype.type(scale)
    for method in ("auto", "cgs", "mgs"):
        basis = fm.gram_schmidt(
            np.hstack([large, large[:, :1]])[:, : 4 if method == "auto" else 3], method=method
        )
        np.testing.assert_allclose(basis, fm.gram_schmidt(a, method=method), atol=1e-5)
    found, expected = fm.project(large[:, 0], large[:, 1:]), fm.project(a[:, 0], a[:, 1:])
    np.testing.assert_allclose(found.coordinates, expected.coordinates, rtol=1e-4)
    np.testing.assert_allclose(found.distance, expected.distance * scale, rtol=1e-4)
    with pytest.raises(np.linalg.LinAlgError, match="basis: expected linearly independent"):
        fm.project(large[:, 0], large[:, [1, 1]])


def test_orthogonality_of_whole_numbers() -> None:
    assert fm.orthogonality(np.array([[16], [0]], np.int8)) == 255
    assert fm.orthogonality(np.zeros((2, 1), np.uint8)) == 1
    assert fm.orthogonality(np.eye(3, dtype=bool)) == 0
    for refused in (np.float16, np.longdouble):
        with pytest.raises(TypeError, match="q: expected whole numbers, float32"):
            fm.orthogonality(np.eye(2, dtype=refused))
        for method in ("auto", "cgs"):
            with pytest.raises(TypeError, match="a: expected whole numbers, float32"):
                fm.gram_schmidt(np.eye(2, dtype=refused), method=method)


def test_orthogonality_of_stacks() -> None:
    q = np.random.default_rng(6).normal(size=(2, 3, 9, 4))
    for stack in (q, q + 1j, q.astype(np.float32), np.ones((2, 2, 40, 20))):
        found = fm.orthogonality(stack)
        assert found.shape == stack.shape[:2]
        expected = [[fm.orthogonality(matrix) for matrix in row] for row in stack]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(fm.orthogonality(np.ones((3, 2, 0))), np.zeros(3))
    scale = np.linalg.norm(q[0, 0].T @ q[0, 0] - np.eye(4), 2)
    np.testing.assert_allclose(fm.orthogonality(q[0, 0]), scale)


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
    average = (np.linalg.norm(x - projection, axis=0) ** 2).mean()
    np.testing.assert_allclose(fm.project(x, basis).reconstruction_error, average)
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
        (lambda: fm.gram_schmidt(np.ones((2, 3, 3)), dependent="drop"), ValueError),
        (lambda: fm.orthogonality(np.ones(3)), ValueError),
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
