"""Covariance, correlation, `mean_covariance` and `Moments` beside a two-pass reference."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import THREADS, mapped

import fastmml as fm
from fastmml import _backend, _centred
from fastmml._kernels import Kernels

Array = Any
FLOATS = [np.float64, np.float32]
#: Relative errors that are allowed: of float32 and of float64 data.
LIMIT = {"f": 1e-5, "d": 1e-12}


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


def two_passes(x: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Mean and covariance (ddof 0) in a wider type."""
    wide = np.asarray(x).astype(np.longdouble)
    w = np.ones(len(wide)) if weights is None else np.asarray(weights)
    w = w.astype(np.longdouble)
    mean = w @ wide / w.sum()
    rest = wide - mean
    return mean.astype(float), ((rest * w[:, None]).T @ rest / w.sum()).astype(float)


def assert_near(found: Array, expected: Array, limit: float) -> None:
    """Errors relative to the product of two standard deviations."""
    spread = np.sqrt(np.diagonal(expected))
    assert (np.abs(found - expected) <= limit * np.outer(spread, spread)).all()
    np.testing.assert_array_equal(found, found.T)


def data(rows: int, columns: int, dtype: Any, offset: float = 0.0, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns))
    return (mixed + offset * rng.uniform(0.5, 1, size=columns)).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(2, 700),
    columns=st.integers(1, 40),
    offset=st.sampled_from([0, 1, 1e4]),
    seed=st.integers(0, 99),
    is_weighted=st.booleans(),
)
def test_any_size_and_mean(
    dtype: Any, rows: int, columns: int, offset: float, seed: int, is_weighted: bool
) -> None:
    x = data(rows, columns, dtype, offset, seed)
    weights = np.random.default_rng(seed).uniform(0, 3, size=rows) if is_weighted else None
    mean, expected = two_passes(x, weights)
    found = fm.mean_covariance(x, aweights=weights, ddof=0)
    assert found.mean.dtype == found.covariance.dtype == np.float64
    assert_near(found.covariance, expected, LIMIT[x.dtype.char])
    spread = np.sqrt(np.diagonal(expected)) + np.abs(mean) * 1e-9
    assert (np.abs(found.mean - mean) <= LIMIT[x.dtype.char] * spread).all()


@functools.cache  # seconds, the same for every variant
def large(shape: tuple[int, int], dtype: Any) -> tuple[Array, Array, Array]:
    """Rows with their mean and covariance."""
    x = np.random.default_rng(1).normal(1e4, 1, size=shape).astype(dtype)
    return x, *two_passes(x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(50_000, 10), (5000, 101), (3000, 300), (1100, 700)])
def test_large_with_a_mean_of_10000_spreads(shape: tuple[int, int], dtype: Any) -> None:
    x, mean, expected = large(shape, dtype)
    found = fm.mean_covariance(x, ddof=0)
    assert_near(found.covariance, expected, LIMIT[x.dtype.char])
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9 if x.dtype.char == "f" else 1e-15)


def test_rows_in_order_and_a_sample_that_is_nothing_like_the_rest() -> None:
    x = np.arange(30_000.0)[:, None] * [1, -2] + [0, 1e9]
    assert_near(fm.covariance(x, 0), two_passes(x)[1], 1e-12)
    x[:: len(x) // _centred.SAMPLE] = 0
    assert_near(fm.covariance(x, 0), two_passes(x)[1], 1e-12)


@pytest.mark.parametrize("ddof", [0, 1, 2.5])
@pytest.mark.parametrize("kind", ["none", "f", "a", "both"])
def test_numpys_results(ddof: float, kind: str) -> None:
    x, rng = data(60, 4, float), np.random.default_rng(2)
    given: dict[str, Any] = {}
    if kind in ("f", "both"):
        given["fweights"] = rng.integers(0, 4, size=60)
    if kind in ("a", "both"):
        given["aweights"] = rng.uniform(0, 2e-9, size=60)
    if ddof == int(ddof):
        expected = np.cov(x, rowvar=False, ddof=int(ddof), **given)
        np.testing.assert_allclose(fm.covariance(x, ddof, **given), expected, rtol=1e-11)
        np.testing.assert_allclose(fm.mean_covariance(x, ddof=ddof, **given)[1], expected)
    else:
        weight = fm.Moments().update(x, **given).weight
        scale = fm.covariance(x, ddof, **given) / fm.covariance(x, 0, **given)
        if kind in ("none", "f"):
            np.testing.assert_allclose(scale, weight / (weight - ddof))
    if kind == "none":
        np.testing.assert_allclose(fm.correlation(x), np.corrcoef(x, rowvar=False), rtol=1e-11)
    else:
        expected = fm.covariance(x, 0, **given)
        spread = np.sqrt(np.diagonal(expected))
        np.testing.assert_allclose(
            fm.correlation(x, **given), expected / np.outer(spread, spread), atol=1e-13
        )


@pytest.mark.parametrize("dtype", FLOATS)
def test_frequencies_are_repeated_rows(dtype: Any) -> None:
    x, counts = data(200, 5, dtype), np.random.default_rng(3).integers(0, 5, size=200)
    found, repeated = fm.Moments().update(x, fweights=counts), np.repeat(x, counts, axis=0)
    assert found.weight == len(repeated)
    assert_near(found.covariance(0), two_passes(repeated)[1], LIMIT[x.dtype.char])
    np.testing.assert_allclose(found.covariance(), np.cov(repeated, rowvar=False), rtol=1e-4)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("offset", [0, 1e4])
@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 90), min_size=1, max_size=8).filter(lambda s: sum(s) > 1),
    is_weighted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_chunks_and_merges_are_the_whole(
    dtype: Any, offset: float, sizes: list[int], is_weighted: bool, seed: int
) -> None:
    x = data(sum(sizes), 3, dtype, offset, seed)
    weights = np.random.default_rng(seed).uniform(0.1, 3, size=len(x)) if is_weighted else None
    stream, merged = fm.Moments(), fm.Moments()
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        rows = slice(start, start + size)
        given = None if weights is None else weights[rows]
        stream.update(x[rows], aweights=given)
        other = pickle.loads(pickle.dumps(fm.Moments().update(x[rows], aweights=given)))
        assert merged.merge(other) is merged
    mean, expected = two_passes(x, weights)
    whole = fm.Moments().update(x, aweights=weights)
    for found in (stream, merged):
        assert found.rows == len(x)
        np.testing.assert_allclose(found.weight, whole.weight, rtol=1e-14)
        assert_near(found.covariance(0), expected, LIMIT[x.dtype.char])
        np.testing.assert_allclose(found.covariance(), whole.covariance(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.mean, mean, rtol=1e-7, atol=1e-6)
        np.testing.assert_allclose(found.scatter, expected * found.weight, rtol=1e-4, atol=1e-3)


def test_chunks_drift_far_from_the_first_mean() -> None:
    x = data(4000, 3, np.float64) + np.repeat(np.arange(4.0) ** 9, 1000)[:, None]
    stream = fm.Moments()
    for start in range(0, 4000, 250):
        stream.update(x[start : start + 250])
    assert_near(stream.covariance(0), two_passes(x)[1], 1e-12)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 777])
def test_what_is_not_finite_stays_in_its_column(dtype: Any, bad: float, row: int) -> None:
    x = data(3000, 4, dtype, 10)
    expected = fm.covariance(x)
    x[row, 2] = bad
    others = np.array([True, True, False, True])
    with np.errstate(all="raise"):
        found, mean = fm.covariance(x), fm.mean_covariance(x).mean
        correlation = fm.correlation(x)
    expected[2] = expected[:, 2] = np.nan
    np.testing.assert_allclose(found, expected, rtol=LIMIT[x.dtype.char])
    np.testing.assert_array_equal(mean[2], bad)
    assert (np.isnan(correlation) == np.isnan(expected)).all()
    stream = fm.Moments().update(x[:1500]).update(x[1500:])
    assert (np.isfinite(np.diagonal(stream.covariance())) == others).all()


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e20, 1e30])
@pytest.mark.parametrize("weight", [1, 1e-40, 1e40])
def test_single_precision_of_any_size(scale: float, weight: float) -> None:
    x = (data(500, 3, np.float64) * [1, 1, scale]).astype(np.float32)
    x[:, 1] = 0.1
    found = fm.covariance(x, 0, aweights=weight)
    expected = two_passes(x)[1]
    expected[1] = expected[:, 1] = found[1] = found[:, 1] = 0
    assert_near(found, expected, 1e-5)


@pytest.mark.parametrize("dtype", FLOATS)
def test_constant_columns_have_no_correlation(dtype: Any) -> None:
    x = data(5000, 3, dtype)
    x[:, 1] = 0.1
    found = fm.correlation(x)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert found[0, 0] == found[2, 2] == 1
    assert np.abs(fm.covariance(x)[1]).max() < 1e-15


@pytest.mark.parametrize("dtype", ["bool", "i1", "u2", "i8", "f2", ">f4", ">f8", "f4", "f8"])
def test_any_layout_and_type(dtype: str, tmp_path: Any) -> None:
    x = np.random.default_rng(4).integers(0, 2, size=(3000, 19)).astype(dtype)
    expected = two_passes(x)[1]
    wide = np.zeros((6000, 38), dtype)
    wide[::2, ::2] = x
    raw = np.empty(x.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(dtype).reshape(x.shape)
    misaligned[:] = x
    for other in (x, np.asfortranarray(x), wide[::2, ::2], misaligned, mapped(x, tmp_path / "x")):
        assert_near(fm.covariance(other, 0), expected, LIMIT["f"])
    assert_near(fm.covariance(x[::-1], 0), expected, LIMIT["f"])
    assert_near(fm.covariance(x.tolist(), 0), expected, LIMIT["d"])
    many = np.tile(np.asfortranarray(x), 20)  # columns of which threads share the rows
    assert_near(fm.covariance(many, 0), np.tile(expected, (20, 20)), LIMIT["f"])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(30_000, 12), (3000, 310)])
def test_threads_give_the_same_bits(variant: Kernels, dtype: Any, shape: tuple[int, int]) -> None:
    if variant.name == "numba":
        pytest.skip("BLAS has threads of its own")
    x, results = np.random.default_rng(5).normal(size=shape).astype(dtype), []
    for threads in THREADS:
        with fm.threads(threads):
            results.append(fm.covariance(x))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("size", [1e200, 1e306])
def test_variances_that_overflow_are_infinite(size: float) -> None:
    x = np.array([[1.0, 3, 1], [2, 1, 4], [4, 2, 9]]) * [size, size, 1]
    mean, covariance = fm.mean_covariance(x)
    expected = np.full((3, 3), np.nan)  # the signs of covariances are lost
    np.fill_diagonal(expected, [np.inf, np.inf, np.var(x[:, 2], ddof=1)])
    np.testing.assert_allclose(covariance, expected, rtol=1e-12)
    np.testing.assert_allclose(fm.covariance(iter([x[:1], x[1:]])), expected, rtol=1e-12)
    np.testing.assert_allclose(mean, np.mean(x, axis=0), rtol=1e-12)


def test_chunks_whose_deviations_from_the_mean_before_overflow() -> None:
    x = np.array([[-1e308], [-0.4], [0.6], [0.2], [0.1]])
    mean, covariance = fm.mean_covariance(iter([x[:1], x[1:]]))
    np.testing.assert_allclose(mean, [-2e307], rtol=1e-12)
    assert covariance == np.inf


def test_weights_are_real() -> None:
    with pytest.raises(TypeError, match="aweights: expected real numbers, got dtype complex128"):
        fm.covariance(np.ones((3, 2)), aweights=[1, 2, 1j])


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_weights_of_any_size(size: float) -> None:
    x, factors = data(60, 3, np.float64), np.random.default_rng(7).uniform(0.5, 2, size=60)
    expected = fm.covariance(x, aweights=factors)
    np.testing.assert_allclose(fm.covariance(x, aweights=factors * size), expected, rtol=1e-12)
    parts = fm.Moments().update(x[:20], aweights=factors[:20] * size)
    parts.merge(fm.Moments().update(x[20:], aweights=factors[20:] * size))
    np.testing.assert_allclose(parts.covariance(), expected, rtol=1e-12)


def test_columns_of_rows_that_do_not_count() -> None:
    for empty in (
        fm.Moments().update(np.empty((0, 2))),
        fm.Moments().update([[1.0, 2.0]], aweights=0),
        fm.Moments().merge(fm.Moments().update(np.empty((0, 2)))),
    ):
        with pytest.raises(ValueError, match="x: expected 2 columns as before, got 3"):
            empty.update(np.ones((1, 3)))
        with pytest.raises(ValueError, match="other: expected 3 columns, got 2"):
            fm.Moments().update(np.ones((1, 3))).merge(empty)
        assert empty.merge(fm.Moments()).update(np.ones((4, 2))).covariance().shape == (2, 2)


def test_no_degrees_of_freedom_left() -> None:
    assert np.isnan(fm.covariance([[1.0, 2.0]])).all()
    np.testing.assert_array_equal(fm.covariance([[1.0, 2.0]], 0), np.zeros((2, 2)))
    moments = fm.Moments().update(np.empty((0, 2)))
    assert (moments.rows, moments.weight) == (0, 0)
    with pytest.raises(ValueError, match="Moments: expected an observation of positive weight"):
        moments.covariance()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (7, 4)])
def test_moments_of_what_is_mapped(dtype: Any, shape: tuple[int, int]) -> None:
    x = (9 * data(500, 4, np.float64, 100.0)).astype(dtype)
    a = (5 * np.random.default_rng(1).normal(size=shape)).astype(dtype)
    b = np.arange(shape[0]).astype(dtype)
    before, y = fm.mean_covariance(x.astype(float)), x.astype(float) @ a.T + b
    found = before.mapped(a, b)
    mean, covariance = fm.mean_covariance(y)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12 * covariance.max())
    np.testing.assert_array_equal(found.covariance, found.covariance.T)
    np.testing.assert_allclose(before.mapped(a).mean, before.mean @ a.T, atol=1e-9)
    both = fm.covariance(np.hstack([x.astype(float), y]))
    np.testing.assert_allclose(
        before.cross_covariance(a), both[:4, 4:], atol=1e-12 * np.abs(both).max()
    )


@settings(max_examples=60, deadline=None)
@given(
    a=st.lists(st.integers(-99, 99), min_size=6, max_size=6),
    factor=st.lists(st.integers(-99, 99), min_size=9, max_size=9),
    b=st.lists(st.integers(-99, 99), min_size=2, max_size=2),
)
def test_maps_of_whole_numbers_are_exact(a: list[int], factor: list[int], b: list[int]) -> None:
    matrix, root = np.array(a).reshape(2, 3), np.array(factor).reshape(3, 3)
    first = fm.MeanCovariance(np.array([1, -2, 3]), root @ root.T)
    found = first.mapped(matrix, b)
    np.testing.assert_array_equal(found.mean, matrix @ [1, -2, 3] + b)
    np.testing.assert_array_equal(found.covariance, matrix @ root @ root.T @ matrix.T)
    np.testing.assert_array_equal(first.cross_covariance(matrix), root @ root.T @ matrix.T)
    twice = found.mapped([[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(
        twice.covariance, first.mapped([[1, 2], [3, 4], [5, 6]] @ matrix).covariance
    )


PAIR = fm.MeanCovariance(np.zeros(2), np.eye(2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fm.covariance([1.0, 2.0]), ValueError, "x: expected shape (m, n), observations"),
        (lambda: fm.covariance(np.empty((3, 0))), ValueError, "at least one column"),
        (lambda: fm.covariance(np.empty((0, 3))), ValueError, "positive weight, got none"),
        (lambda: fm.covariance([[1j]]), TypeError, "x: expected real numbers, got dtype complex"),
        (lambda: fm.covariance(np.ones((2, 2), np.longdouble)), TypeError, "x: expected bool"),
        (lambda: fm.covariance([[None]]), TypeError, "x: expected bool"),
        (lambda: fm.covariance([[1.0]], fweights=[0.5]), ValueError, "fweights: expected whole"),
        (lambda: fm.covariance([[1.0]], fweights=[1, 2]), ValueError, "fweights: expected a num"),
        (lambda: fm.correlation([[1.0]], aweights=[-1]), ValueError, "aweights: expected finite"),
        (lambda: fm.correlation([[1.0]], aweights=[0]), ValueError, "positive weight, got none"),
        (
            lambda: fm.covariance([[1.0]], fweights=1e200, aweights=1e200),
            ValueError,
            "fweights, aweights: expected a finite sum of all weights, got inf",
        ),
        (
            lambda: fm.Moments().update([[1.0]], aweights=1e308).update([[1.0]], aweights=1e308),
            ValueError,
            "fweights, aweights: expected a finite sum",
        ),
        (lambda: PAIR.mapped([[1.0]]), ValueError, "a: expected shape (p, 2), got (1, 1)"),
        (lambda: PAIR.mapped([1.0, 2.0]), ValueError, "a: expected shape (p, 2), got (2,)"),
        (lambda: PAIR.mapped([[1j, 2]]), TypeError, "a: expected real numbers"),
        (lambda: PAIR.mapped([[1, 2]], 3), ValueError, "b: expected shape (1,), got ()"),
        (lambda: PAIR.mapped([[1, 2]], [None]), TypeError, "b: expected bool, integers"),
        (
            lambda: PAIR._replace(mean=np.zeros(3)).cross_covariance([[1, 2]]),
            ValueError,
            "mean, covariance: expected shapes (n,) and (n, n), got (3,) and (2, 2)",
        ),
        (lambda: fm.mean_covariance([[1.0]], ddof=float("nan")), ValueError, "ddof: expected"),
        (lambda: fm.Moments().merge(3), TypeError, "other: expected Moments, got int"),
        (
            lambda: fm.Moments().update([[1.0]]).update([[1.0, 2.0]]),
            ValueError,
            "x: expected 1 columns as before, got 2",
        ),
        (
            lambda: fm.Moments().update([[1.0]]).merge(fm.Moments().update([[1.0, 2.0]])),
            ValueError,
            "other: expected 1 columns, got 2",
        ),
    ],
)
def test_messages(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert message in str(raised.value)
