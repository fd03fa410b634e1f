"""The kernel that factorises many small matrices, on every backend and CPU level."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import TEAM_WORK, assert_same_for_all_threads, frozen
from numpy.typing import NDArray

from fastmml._kernels import SMALL_QR_ROWS, Kernels

Array = NDArray[Any]

DTYPES = (np.float64, np.float32)
SHAPES = (
    *((1, 1), (2, 2), (3, 3), (4, 4), (8, 8), (16, 16)),
    *((16, 4), (5, 1), (7, 3), (1, 6), (4, 16), (3, 5), (32, 32), (29, 17), (2, 32)),
)


def factorise(
    kernels: Kernels, a: Array, k: int | None = None, threads: int = 2
) -> tuple[Array, Array]:
    batch, m, n = a.shape
    k = k or min(m, n)
    q, r = np.full((batch, m, k), np.nan, a.dtype), np.full((batch, k, n), np.nan, a.dtype)
    kernels.small_qr(a, q, r, threads)
    return q, r


def assert_factorised(a: Array, q: Array, r: Array) -> None:
    """Orthonormal columns, a triangle, and a product that is near in every column."""
    n, eps = max(a.shape[1:]), float(np.finfo(a.dtype).eps)
    wide, left, right = (x.astype(np.longdouble) for x in (a, q, r))
    products = left.swapaxes(1, 2) @ left
    assert (np.abs(products - np.eye(q.shape[2])).sum(axis=2) <= 10 * n * eps).all()
    scale = np.abs(wide).max(axis=1, keepdims=True)
    scale = np.where(scale > 0, scale, 1)
    rest = np.sqrt(((left @ right - wide) ** 2 / scale**2).sum(axis=1))
    assert (rest <= 10 * n * eps * np.sqrt(((wide / scale) ** 2).sum(axis=1))).all()
    assert not np.tril(r, -1).any()


def families(m: int, n: int, count: int, seed: int = 0) -> dict[str, Array]:
    """Stacks of matrices, easy and hard, within the range of float32."""
    random = np.random.default_rng(seed)
    a = random.standard_normal((count, m, n))
    k = min(m, n)
    left = np.linalg.qr(random.standard_normal((count, m, k)))[0]
    right = np.linalg.qr(random.standard_normal((count, n, k)))[0].swapaxes(1, 2)
    halves = random.standard_normal((count, m, (k + 1) // 2))
    with_ones = np.vstack([np.ones((1, n)), 1e-8 * np.eye(m - 1, n)])
    zero = a.copy()
    zero[:, :, n // 2] = 0
    return {
        "random": a,
        **{
            f"condition 1e{power}": (left * np.geomspace(1, 0.1**power, k)) @ right
            for power in (4, 8, 12, 15)
        },
        "half rank": halves @ random.standard_normal((count, (k + 1) // 2, n)),
        "ones": np.ones((count, m, n)),
        "zero": np.zeros((count, m, n)),
        "zero column": zero,
        "zero rows": np.where(np.arange(m)[:, None] < 2, a, 0),
        "graded columns": a * 10.0 ** -np.arange(n),
        "graded rows": a * 10.0 ** -np.arange(m)[:, None],
        "columns of all sizes": a * 10.0 ** random.integers(-30, 30, (count, 1, n)),
        "läuchli": np.tile(with_ones, (count, 1, 1)),
        "hilbert": np.tile(1 / (1 + np.add.outer(np.arange(m), np.arange(n))), (count, 1, 1)),
        "identity": np.tile(np.eye(m, n), (count, 1, 1)),
        "negative": -np.abs(a),
        "triangle": np.triu(a),
    }


FAMILIES = tuple(families(2, 2, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_factors(variant: Kernels, family: str, dtype: Any) -> None:
    for shape in SHAPES:
        a = frozen(families(*shape, 11)[family].astype(dtype))
        q, r = factorise(variant, a)
        assert_factorised(a, q, r)
        whole, below = factorise(variant, a, shape[0])
        assert_factorised(a, whole, below)
        k = min(shape)
        assert whole[:, :, :k].tobytes() == q.tobytes()
        assert below[:, :k].tobytes() == r.tobytes()
        alone = np.full_like(r, np.nan)
        variant.small_qr(a, None, alone, 2)
        assert alone.tobytes() == r.tobytes()


@pytest.mark.parametrize("scale", [1e-320, 1e-308, 1e-290, 1e-150, 1e150, 1e290, 1e307])
def test_scales_near_the_limits_of_doubles(variant: Kernels, scale: float) -> None:
    for shape in SHAPES:
        a = families(*shape, 9)["random"] / 8
        mixed = np.where(np.arange(9) % 2, 1, scale)[:, None, None]
        for matrices in (a * scale, a * mixed):
            q, r = factorise(variant, matrices)
            np.testing.assert_allclose(
                q.swapaxes(1, 2) @ q, np.tile(np.eye(q.shape[2]), (9, 1, 1)), atol=1e-14
            )
            limit = 1e-14 * np.abs(matrices).max(axis=(1, 2)) + 1e-322
            assert (np.abs(q @ r - matrices).max(axis=(1, 2)) <= limit).all()


def test_columns_far_apart_keep_their_own_precision(variant: Kernels) -> None:
    a = families(8, 4, 9)["random"] * np.array([1e-300, 1e280, 1e-200, 1.0])
    q, r = factorise(variant, a)
    assert (np.abs(q.swapaxes(1, 2) @ q - np.eye(4)) <= 1e-14).all()
    assert (np.abs(q @ r - a).max(axis=1) <= 1e-14 * np.abs(a).max(axis=1)).all()


def test_signs_are_lapacks(variant: Kernels) -> None:
    """So that results change little where the kernel takes over."""
    for shape in SHAPES:
        a = families(*shape, 9)["random"]
        q, r = factorise(variant, a)
        expected = np.linalg.qr(a)
        np.testing.assert_allclose(q, expected.Q, atol=1e-9)
        np.testing.assert_allclose(r, expected.R, atol=1e-9)
    same = factorise(variant, np.tile(np.eye(5), (3, 1, 1)))
    for part in same:
        np.testing.assert_array_equal(part, np.tile(np.eye(5), (3, 1, 1)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (8, 8), (16, 4), (4, 16)])
def test_what_is_not_finite_stays_in_its_matrix(
    variant: Kernels, shape: tuple[int, int], value: float
) -> None:
    whole = families(*shape, 19)["random"]
    sick, column = whole.copy(), 1
    sick[9, shape[0] - 1, column] = value
    others = np.arange(19) != 9
    factors = factorise(variant, sick)
    for healthy, mixed in zip(factorise(variant, whole), factors, strict=True):
        assert healthy[others].tobytes() == mixed[others].tobytes()
        assert healthy[9, :, :column].tobytes() == mixed[9, :, :column].tobytes()
    assert not np.isfinite(factors[1][9, :, column]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_neighbours_do_not_matter(variant: Kernels, dtype: Any) -> None:
    """The bits of a result are the same alone and anywhere in any batch."""
    random = np.random.default_rng(5)
    for shape in ((2, 2), (3, 3), (4, 4), (6, 6), (16, 4)):
        parts = [*families(*shape, 2).values()]
        if dtype == np.float64:
            parts += [1e-200 * parts[0], 1e200 * parts[0]]
        pool = np.concatenate(parts).astype(dtype)
        alone = [factorise(variant, pool[i : i + 1]) for i in range(len(pool))]
        for batch in (2, 7, 8, 9, 16, 17):
            chosen = random.integers(len(pool), size=batch)
            q, r = factorise(variant, pool[chosen])
            for i, which in enumerate(chosen):
                assert q[i].tobytes() == alone[which][0][0].tobytes()
                assert r[i].tobytes() == alone[which][1][0].tobytes()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (16, 4), (16, 16)])
def test_threads_do_not_matter(variant: Kernels, shape: tuple[int, int]) -> None:
    a = np.random.default_rng(0).normal(size=(TEAM_WORK // shape[0] ** 3 + 9, *shape))
    assert_same_for_all_threads(lambda threads: factorise(variant, a, None, threads))


@pytest.mark.parametrize("dtype", DTYPES)
def test_strides_do_not_matter(variant: Kernels, dtype: Any) -> None:
    for m, n in ((2, 2), (3, 3), (8, 5), (4, 16)):
        a = families(m, n, 9)["random"].astype(dtype)
        wide = np.full((18, 3 * m, 2 * n), np.nan, dtype)
        wide[::2, ::3, ::2] = a
        expected = factorise(variant, a)
        for view in (
            a.swapaxes(1, 2).copy().swapaxes(1, 2),
            wide[::2, ::3, ::2],
            a[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
            np.asfortranarray(a),
        ):
            for part, wanted in zip(factorise(variant, view), expected, strict=True):
                assert part.tobytes() == wanted.tobytes()
        for part, wanted in zip(
            factorise(variant, np.broadcast_to(a[0], a.shape)), expected, strict=True
        ):
            assert (part == wanted[0]).all()


@pytest.mark.parametrize("shape", [(3, 3), (8, 8), (16, 4)])
def test_q_may_take_the_place_of_a(variant: Kernels, shape: tuple[int, int]) -> None:
    a = families(*shape, 333)["random"]
    q, r = factorise(variant, a)
    below = np.empty_like(r)
    variant.small_qr(a, a, below, 2)
    assert a.tobytes() == q.tobytes()
    assert below.tobytes() == r.tobytes()


@given(
    m=st.integers(1, SMALL_QR_ROWS),
    n=st.integers(1, SMALL_QR_ROWS),
    batch=st.integers(1, 20),
    seed=st.integers(0, 999),
    single=st.booleans(),
    complete=st.booleans(),
    family=st.sampled_from(FAMILIES),
)
@settings(deadline=None, max_examples=60)
def test_laws(
    variant: Kernels,
    m: int,
    n: int,
    batch: int,
    seed: int,
    single: bool,
    complete: bool,
    family: str,
) -> None:
    a = families(m, n, batch, seed)[family].astype(np.float32 if single else np.float64)
    assert_factorised(a, *factorise(variant, a, m if complete else None))
