"""Distances and nearest neighbours: each within its bound, on every backend and CPU level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from laws import THREADS, assert_same_for_all_threads
from numpy.typing import NDArray
from products import LAYOUTS, unit_roundoff

import fastmml as fm
from fastmml._kernels import COSINE, EUCLIDEAN, SQEUCLIDEAN, Kernels

Array = NDArray[Any]
DTYPES = ("f", "d")
KINDS = {"euclidean": EUCLIDEAN, "sqeuclidean": SQEUCLIDEAN}
#: Rows of x, rows of y, columns: edges of tiles, vectors and blocks of terms and rows.
SIZES = [
    (1, 1, 1),
    (2, 3, 5),
    (9, 33, 7),
    (17, 16, 128),
    (33, 65, 129),
    (200, 2070, 3),
    (5, 40, 900),
]


def squares(x: Array, y: Array) -> Array:
    """Squared distances in extended precision."""
    found = [np.square(row.astype(np.longdouble) - y).sum(axis=1) for row in x]
    return np.array(found, np.longdouble).reshape(len(x), len(y))


def relative_bound(k: int, dtype: Any) -> float:
    """Of a squared distance: what `fastmml.pairwise_distances` promises."""
    return (4 * k + 196) * unit_roundoff(dtype)


def assert_distances(result: Array, expected: Array, k: int, kind: int) -> None:
    """Within the relative bound everywhere, and what rounds a subnormal; zeros are exact."""
    wanted = np.sqrt(expected) if kind == EUCLIDEAN else expected
    bound = relative_bound(k, result.dtype) / (2 if kind == EUCLIDEAN else 1)
    limit = bound * wanted + float(np.finfo(result.dtype).smallest_subnormal) / 2
    assert np.all(np.abs(result - wanted) <= np.where(wanted == 0, 0, limit))


def measure(
    variant: Kernels, x: Array, y: Array | None = None, kind: int = EUCLIDEAN, threads: int = 2
) -> Array:
    out = np.full((len(x), len(x if y is None else y)), -7, x.dtype)
    variant.pairwise_distances(x, None, y, None, kind, out, threads)
    return out


def search(
    variant: Kernels, x: Array, y: Array | None, neighbors: int, threads: int = 2
) -> tuple[Array, Array]:
    distances = np.full((len(x), neighbors), -7, x.dtype)
    indices = np.full((len(x), neighbors), -7, np.int64)
    variant.kneighbors(x, None, y, None, SQEUCLIDEAN, distances, indices, threads)
    return distances, indices


def sorted_rows(x: Array, y: Array, count: int, is_own: bool = False) -> Array:
    """The nearest rows by a stable sort of all distances."""
    expected = squares(x, y)
    if is_own:
        np.fill_diagonal(expected, np.inf)
    return np.argsort(expected, axis=1, kind="stable")[:, :count]


def normal(shape: tuple[int, int], dtype: Any, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def clusters(rows: int, k: int, dtype: Any) -> Array:
    """Rows near to few points that lie far off, some of them equal."""
    rng = np.random.default_rng(3)
    x = 1e3 * rng.normal(size=(4, k))[rng.integers(4, size=rows)] + 1e-2 * rng.normal(
        size=(rows, k)
    )
    x[rows // 2 :: 3] = x[0]
    return x.astype(dtype)


# ---- the kernels ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_distances(variant: Kernels, size: tuple[int, int, int], dtype: str) -> None:
    m, n, k = size
    x, y = normal((m, k), dtype), normal((n, k), dtype, 2)
    expected = squares(x, y)
    for kind in KINDS.values():
        assert_distances(measure(variant, x, y, kind), expected, k, kind)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["C", "Fortran", "strided"])
def test_layouts(variant: Kernels, layout: str, dtype: str) -> None:
    x, y = normal((30, 45), dtype), normal((37, 45), dtype, 2)
    result = measure(variant, LAYOUTS[layout](x), LAYOUTS[layout](y))
    assert_distances(result, squares(x, y), 45, EUCLIDEAN)
    found = search(variant, LAYOUTS[layout](x), LAYOUTS[layout](y), 4)[1]
    np.testing.assert_array_equal(found, sorted_rows(x, y, 4))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 5, 33, 450, 2100])
def test_own_distances_are_symmetric(variant: Kernels, rows: int, dtype: str) -> None:
    x = clusters(rows, 6, dtype)
    result = measure(variant, x)
    np.testing.assert_array_equal(result, result.T)
    np.testing.assert_array_equal(np.diagonal(result), 0)
    chosen = slice(None, None, rows // 40 + 1)
    assert_distances(result[chosen], squares(x[chosen], x), 6, EUCLIDEAN)
    np.testing.assert_array_equal(result[0][(x == x[0]).all(axis=1)], 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [1e2, 1e6])
def test_near_pairs_far_from_the_origin(variant: Kernels, offset: float, dtype: str) -> None:
    x = (offset + normal((40, 130), np.float64)).astype(dtype)
    y = np.nextafter(x, np.float32(np.inf) if dtype == "f" else np.inf)
    expected = squares(x, y)
    for kind in KINDS.values():
        assert_distances(measure(variant, x, y, kind), expected, 130, kind)


@pytest.mark.parametrize("exponent", [-120, -70, -60, 60, 63, 120])
def test_squares_beyond_single_precision(variant: Kernels, exponent: int) -> None:
    x = normal((20, 30), "f") * np.float32(2.0**exponent)
    y = normal((25, 30), "f", 2) * np.float32(2.0**exponent)
    assert_distances(measure(variant, x, y), squares(x, y), 30, EUCLIDEAN)
    np.testing.assert_array_equal(search(variant, x, y, 3)[1], sorted_rows(x, y, 3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_all_sizes(variant: Kernels, dtype: str) -> None:
    scale = 2.0 ** np.random.default_rng(4).integers(-30, 30, (60, 1))
    x = (scale * normal((60, 20), "d")).astype(dtype)
    assert_distances(measure(variant, x), squares(x, x), 20, EUCLIDEAN)
    np.testing.assert_array_equal(search(variant, x, None, 5)[1], sorted_rows(x, x, 5, True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_cosines(variant: Kernels, dtype: str) -> None:
    x, y = normal((30, 50), dtype), normal((40, 50), dtype, 2)
    y[:10] = -x[:10]
    y[10:20] = x[:10] * 4
    lengths = [np.sqrt(np.square(rows.astype(np.longdouble)).sum(axis=1)) for rows in (x, y)]
    expected = squares(x / lengths[0][:, None], y / lengths[1][:, None]) / 2
    out = np.empty((30, 40), dtype)
    scales = [(1 / part).astype(np.float64) for part in lengths]
    variant.pairwise_distances(x, scales[0], y, scales[1], COSINE, out, 2)
    assert np.all(out <= 2)
    np.testing.assert_array_equal(out[range(10), range(10, 20)], 0)
    roots = np.abs(np.sqrt(out.astype(np.longdouble)) - np.sqrt(expected))
    assert np.all(roots <= relative_bound(50, dtype) * np.sqrt(expected) + 60 * 2.0**-53)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_neighbors(variant: Kernels, size: tuple[int, int, int], dtype: str) -> None:
    m, n, k = size
    x, y = normal((m, k), dtype), normal((n, k), dtype, 2)
    for count in {1, min(n, 10), n if n < 100 else 40}:
        distances, indices = search(variant, x, y, count)
        np.testing.assert_array_equal(indices, sorted_rows(x, y, count))
        expected = np.take_along_axis(squares(x, y), indices, axis=1)
        error = (k + 4) * 2.0**-53 + unit_roundoff(dtype)
        assert np.all(np.abs(distances - expected) <= error * expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_go_to_the_lowest_index(variant: Kernels, dtype: str) -> None:
    x = np.random.default_rng(5).integers(0, 3, (700, 4)).astype(dtype)
    np.testing.assert_array_equal(search(variant, x[:50], x, 60)[1], sorted_rows(x[:50], x, 60))
    np.testing.assert_array_equal(search(variant, x, None, 7)[1], sorted_rows(x, x, 7, True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_neighbors_in_far_off_clusters(variant: Kernels, dtype: str) -> None:
    x = np.round(clusters(300, 7, np.float64), 2)
    x = np.round(x * 128).astype(dtype)  # whole numbers: differences of equal size are exact ties
    np.testing.assert_array_equal(search(variant, x, None, 20)[1], sorted_rows(x, x, 20, True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits_on_any_number_of_threads(variant: Kernels, dtype: str) -> None:
    x, y = normal((450, 140), dtype), normal((2100, 140), dtype, 2)
    y[:40] = x[:40]
    assert_same_for_all_threads(lambda threads: search(variant, x, y, 6, threads))
    assert_same_for_all_threads(lambda threads: (measure(variant, x, y, threads=threads),))
    assert_same_for_all_threads(lambda threads: (measure(variant, x, threads=threads),))


# ---- the public functions ----


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_agrees_with_scipy(metric: str, dtype: str) -> None:
    distance = pytest.importorskip("scipy.spatial.distance")
    x, y = normal((20, 9), dtype), normal((31, 9), dtype, 2)
    tolerance = 1e-5 if dtype == "f" else 1e-13
    for other in (x, y):
        expected = distance.cdist(x, other, metric)
        result = fm.pairwise_distances(x, None if other is x else y, metric)
        assert result.dtype == np.dtype(dtype)
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * 1e-2)


# joblib, where it finds no lscpu.
@pytest.mark.filterwarnings("ignore:Could not find the number of physical cores:UserWarning")
def test_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    neighbors = pytest.importorskip("sklearn.neighbors")
    x, y = normal((60, 9), "d"), normal((50, 9), "d", 2)
    for metric in ("euclidean", "sqeuclidean", "cosine"):
        np.testing.assert_allclose(
            fm.pairwise_distances(x, y, metric=metric),
            metrics.pairwise_distances(x, y, metric=metric),
        )
        index = neighbors.NearestNeighbors(n_neighbors=7, algorithm="brute", metric=metric).fit(x)
        for queries in (y, None):
            distances, indices = fm.kneighbors(x, queries, n_neighbors=7, metric=metric)
            expected = index.kneighbors(queries)
            np.testing.assert_allclose(distances, expected[0])
            np.testing.assert_array_equal(indices, expected[1])


def test_cosine_near_the_largest_numbers() -> None:
    x = np.array([[6e153, 0.0], [0.0, 6e153], [5e153, 3e153]])
    expected = fm.pairwise_distances(x, metric="cosine")
    found = fm.kneighbors(x, n_neighbors=2, metric="cosine")
    np.testing.assert_allclose(found.distances, np.sort(expected)[:, 1:])
    with pytest.raises(ValueError, match="rows whose squared length float64 can hold"):
        fm.kneighbors(2 * x, n_neighbors=2, metric="cosine")


def test_cosine_of_rows_of_zeros_is_one() -> None:
    x = np.array([[0.0, 0], [1, 1], [0, 0]])
    expected = np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    np.testing.assert_array_equal(fm.pairwise_distances(x, metric="cosine"), expected)
    np.fill_diagonal(expected, [1, 0, 1])
    np.testing.assert_array_equal(fm.pairwise_distances(x, x.copy(), "cosine"), expected)
    with pytest.raises(ValueError, match="x: expected rows that are not 0"):
        fm.kneighbors(x, n_neighbors=1, metric="cosine")


@pytest.mark.parametrize("scale", [1e-170, 1e170])
def test_cosine_refuses_lengths_that_float64_cannot_hold(scale: float) -> None:
    with pytest.raises(ValueError, match="squared length"):
        fm.pairwise_distances(np.full((2, 3), scale), metric="cosine")


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_mahalanobis(dtype: str) -> None:
    a = normal((6, 6), "d", 5)
    inner = a @ a.T + np.eye(6)
    x, y = normal((30, 6), dtype) + 1000, normal((20, 6), dtype, 2) + 1000
    difference = x[:, None].astype(np.longdouble) - y
    expected = np.sqrt(np.einsum("ijp,pq,ijq->ij", difference, inner, difference))
    skew = np.triu(normal((6, 6), "d", 6), 1)
    for matrix in (inner, inner + skew - skew.T):
        result = fm.pairwise_distances(x, y, metric="mahalanobis", VI=matrix)
        assert result.dtype == np.float64
        np.testing.assert_allclose(result, expected.astype(float), rtol=1e-12)
    own = fm.pairwise_distances(x, metric="mahalanobis", VI=inner)
    np.testing.assert_array_equal(own, own.T)
    np.testing.assert_array_equal(np.diagonal(own), 0)


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e8])
@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_mahalanobis_bound(dtype: str, offset: float, condition: float) -> None:
    k, u = 7, unit_roundoff("d")
    turn = np.linalg.qr(normal((k, k), "d", 5)).Q
    inner = (turn * np.geomspace(1, 1 / condition, k)) @ turn.T
    inner = (inner + inner.T) / 2
    x, y = normal((40, k), dtype) + offset, normal((30, k), dtype, 2) + offset
    y[:10] = x[:10] + 1e-4 * y[10:20]
    found = fm.pairwise_distances(x, y, "mahalanobis", VI=inner)
    difference = x[:, None].astype(np.longdouble) - y
    known = np.sqrt(
        np.einsum("ijp,pq,ijq->ij", difference, inner.astype(np.longdouble), difference)
    )
    scale = 1 / np.sqrt(np.diagonal(inner))
    least = np.linalg.eigvalsh(inner * scale[:, None] * scale)[0]
    lengths = [np.linalg.norm(rows - x.mean(axis=0), axis=1) for rows in (x, y)]
    sizes = np.sqrt(np.trace(inner)) * (lengths[0][:, None] + lengths[1])
    bound = 2 * (k + 4) * u * sizes + (relative_bound(k, "d") / 2 + k * (k + 4) * u / least) * known
    assert np.all(np.abs(found - known) <= bound)


def test_mahalanobis_near_overflow() -> None:
    x = np.array([[1e308], [1e308], [1.1e308]])
    found = fm.kneighbors(x, None, 1, "mahalanobis", VI=[[1e-310]])
    np.testing.assert_array_equal(found.indices, [[1], [0], [0]])
    np.testing.assert_allclose(found.distances[2], np.sqrt(1e-310) * 1e307, rtol=1e-6)
    with pytest.raises(ValueError, match="VI: expected rows whose lengths"):
        fm.pairwise_distances([[1e200], [2e200]], None, "mahalanobis", VI=[[1e300]])


@pytest.mark.parametrize("dtype", ["f", "d", "i8"])
def test_mahalanobis_neighbours(dtype: str) -> None:
    a = normal((5, 5), "d", 5)
    inner = a @ a.T + np.eye(5)
    x, queries = (
        (8 * normal((90, 5), "d")).astype(dtype),
        (8 * normal((9, 5), "d", 2)).astype(dtype),
    )
    for asked in (queries, None):
        distances, indices = fm.kneighbors(x, asked, 4, "mahalanobis", VI=inner)
        every = fm.pairwise_distances(x if asked is None else asked, x, "mahalanobis", VI=inner)
        if asked is None:
            np.fill_diagonal(every, np.inf)
        assert distances.dtype == np.float64
        np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :4], rtol=1e-12)
        np.testing.assert_allclose(np.take_along_axis(every, indices, 1), distances, rtol=1e-12)
    plain = fm.kneighbors(x, queries, 4)
    found = fm.kneighbors(x, queries, 4, "mahalanobis", VI=np.eye(5))
    np.testing.assert_array_equal(found.indices, plain.indices)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_public_layouts(layout: str, dtype: str) -> None:
    x, y = normal((12, 10), dtype), normal((9, 10), dtype, 2)
    left, right = LAYOUTS[layout](x), LAYOUTS[layout](y)
    np.testing.assert_array_equal(fm.pairwise_distances(left, right), fm.pairwise_distances(x, y))
    for found, expected in zip(fm.kneighbors(left, right), fm.kneighbors(x, y), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(left, x)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("e", "e", "f"),
        ("e", "f", "f"),
        ("f", "d", "d"),
        ("i", "f", "d"),
        ("?", "B", "d"),
        (">f4", "f", "f"),
        (">f8", "Q", "d"),
    ],
)
def test_dtypes(first: str, second: str, expected: str) -> None:
    x, y = np.arange(6).reshape(3, 2) % 2, np.arange(8).reshape(4, 2)
    result = fm.pairwise_distances(x.astype(first), y.astype(second))
    assert result.dtype == np.dtype(expected)
    np.testing.assert_allclose(result, fm.pairwise_distances(x, y), rtol=1e-6)
    assert fm.kneighbors(y.astype(second), x.astype(first), 1).distances.dtype == result.dtype


def test_empty() -> None:
    none, some = np.empty((0, 3), "f"), np.ones((4, 3), "f")
    assert fm.pairwise_distances(none).shape == (0, 0)
    assert fm.pairwise_distances(none, some).shape == (0, 4)
    assert fm.pairwise_distances(some, none).shape == (4, 0)
    found = fm.kneighbors(some, none, 2)
    assert found.distances.shape == found.indices.shape == (0, 2)
    assert found.distances.dtype == np.float32


ROWS = np.ones((4, 3))
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "metric": (lambda: fm.pairwise_distances(ROWS, metric="manhattan"), ValueError, "metric: exp"),
    "no VI": (lambda: fm.pairwise_distances(ROWS, metric="mahalanobis"), ValueError, "VI: exp"),
    "VI": (lambda: fm.pairwise_distances(ROWS, VI=np.eye(3)), ValueError, "VI: expected"),
    "size of VI": (
        lambda: fm.pairwise_distances(ROWS, metric="mahalanobis", VI=np.eye(2)),
        ValueError,
        r"VI: expected shape \(3, 3\)",
    ),
    "indefinite": (
        lambda: fm.pairwise_distances(ROWS, metric="mahalanobis", VI=-np.eye(3)),
        ValueError,
        "VI: expected a positive definite",
    ),
    "dimensions": (lambda: fm.pairwise_distances(ROWS[0]), ValueError, "x: expected 2 dim"),
    "columns": (lambda: fm.pairwise_distances(ROWS, ROWS[:, 1:]), ValueError, "y: expected 3"),
    "no columns": (lambda: fm.pairwise_distances(ROWS[:, :0]), ValueError, "x: expected at least"),
    "nan": (lambda: fm.pairwise_distances(ROWS, ROWS * np.nan), ValueError, "y: expected finite"),
    "infinity": (lambda: fm.kneighbors(ROWS / 0, n_neighbors=1), ValueError, "x: expected finite"),
    "complex": (lambda: fm.pairwise_distances(ROWS * 1j), TypeError, "x: expected bool"),
    "longdouble": (lambda: fm.kneighbors(ROWS.astype("g")), TypeError, "x: expected bool"),
    "objects": (lambda: fm.kneighbors(ROWS.astype(object)), TypeError, "x: expected bool"),
    "too many": (lambda: fm.kneighbors(ROWS, ROWS), ValueError, "n_neighbors: expected at most 4"),
    "too many others": (lambda: fm.kneighbors(ROWS, None, 4), ValueError, "at most 3, the other"),
    "no rows": (lambda: fm.kneighbors(ROWS[:0]), ValueError, "expected at most 0, the other rows"),
    "none": (lambda: fm.kneighbors(ROWS, None, 0), ValueError, "n_neighbors: expected at least 1"),
    "mahalanobis": (lambda: fm.kneighbors(ROWS, metric="mahalanobis"), ValueError, "VI: expected"),
    "neighbours": (lambda: fm.kneighbors(ROWS, VI=np.eye(3)), ValueError, "VI: expected"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_refused(case: str) -> None:
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        call()


def test_sums_that_overflow_are_no_infinities() -> None:
    x = np.array([[1e308, 1e308], [1e308, 1.1e308]])
    with np.errstate(over="raise"):
        assert fm.pairwise_distances(x)[0, 0] == 0


@settings(deadline=None, max_examples=60)
@given(
    npst.arrays(
        np.float32,
        npst.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-(2.0**60), 2.0**60, width=32),
    )
)
def test_laws_of_a_metric(x: Array) -> None:
    distances = fm.pairwise_distances(x)
    np.testing.assert_array_equal(distances, distances.T)
    np.testing.assert_array_equal(np.diagonal(distances), 0)
    assert_distances(distances, squares(x, x), x.shape[1], EUCLIDEAN)
    through = (distances[:, :, None].astype(float) + distances).min(axis=1)
    rounding = 2 * float(np.finfo(np.float32).smallest_subnormal)
    assert np.all(distances <= through * (1 + 2 * relative_bound(x.shape[1], "f")) + rounding)


def test_digits(data_folder: Path) -> None:
    images = np.load(data_folder / "mnist-t10k" / "mnist_t10k.npz")["images"][:600]
    exact = squares(images[:40].astype(np.int64), images.astype(np.int64))
    found = fm.kneighbors(images.astype(np.float32), images[:40].astype(np.float32), 10)
    np.testing.assert_array_equal(found.indices, np.argsort(exact, axis=1, kind="stable")[:, :10])
    result = fm.pairwise_distances(images.astype(np.float32), metric="sqeuclidean")
    assert_distances(result[:40], exact, 784, SQEUCLIDEAN)


def test_threads_of_the_public_functions() -> None:
    x = normal((500, 20), "f")
    results = []
    for threads in THREADS:
        with fm.threads(threads):
            results.append((fm.pairwise_distances(x), *fm.kneighbors(x)))
    for result in results[1:]:
        for found, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(found, expected)
