"""What users pass in place of arrays: it works, or the message names it, and where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import fastmml as fm
from fastmml import _check

Array = Any

#: Functions of one array, and the name that each has for it.
FUNCTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "matmul": ("a", lambda x: fm.matmul(x, np.eye(3))),
    "gram": ("x", fm.gram),
    "einsum": ("operands", lambda x: fm.einsum("ij,ik", x, x)),
    "gram_schmidt": ("a", fm.gram_schmidt),
    "orthogonality": ("q", fm.orthogonality),
    "project": ("basis", lambda x: fm.project(np.ones(5), x)),
    "StreamingQR": ("a", lambda x: fm.StreamingQR().update(x)),
    "covariance": ("x", fm.covariance),
    "pairwise_distances": ("x", fm.pairwise_distances),
    "kneighbors": ("x", lambda x: fm.kneighbors(x, n_neighbors=2)),
    "norm": ("x", lambda x: fm.InnerProduct().norm(x)),
    "InnerProduct.gram": ("x", lambda x: fm.InnerProduct(np.eye(5)).gram(x)),
}


def data() -> Array:
    return np.random.default_rng(0).normal(size=(5, 3))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_no_array_is_named(function: str) -> None:
    name, compute = FUNCTIONS[function]
    for make in (scipy.sparse.csr_array, scipy.sparse.coo_matrix):
        matrix = make(data())
        message = f"{name}: expected an array.*, got {type(matrix).__name__}: toarray\\(\\) makes"
        with pytest.raises(TypeError, match=message):
            compute(matrix)
    with pytest.raises((TypeError, ValueError), match="None"):
        compute(None)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_masked_numbers_are_not_uncovered(function: str) -> None:
    name, compute = FUNCTIONS[function]
    masked = np.ma.masked_array(data(), np.eye(5, 3))
    with pytest.raises(ValueError, match=f"{name}: expected no masked numbers, got 3"):
        compute(masked)
    compute(np.ma.masked_array(data()))


@pytest.mark.parametrize("function", ["solve", "inv", "det", "eigh", "qr", "lstsq"])
def test_masked_matrices_are_not_uncovered(function: str) -> None:
    right = [np.ones(3)] if function in ("solve", "lstsq") else []
    masked = np.ma.masked_array(data()[:3], np.eye(3))
    with pytest.raises(ValueError, match="a: expected no masked numbers, got 3"):
        getattr(fm, function)(masked, *right)


def test_degrees_of_freedom_are_checked_before_rows_are_read() -> None:
    def rows() -> Iterator[Array]:
        raise AssertionError("rows were read")
        yield

    for compute in (fm.covariance, fm.mean_covariance):
        with pytest.raises((TypeError, ValueError), match="ddof"):
            compute(rows(), ddof="x")  # type: ignore[operator]


def test_nullable_whole_numbers_keep_their_digits() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [2**53 + 1, 0], "b": [0, 1]}).astype("Int64")
    found = fm.matmul(np.eye(2, dtype=np.int64), frame)
    assert found.dtype == np.int64
    assert found[0, 0] == 2**53 + 1


@pytest.mark.parametrize("function", FUNCTIONS)
def test_frames_of_nullable_numbers(function: str) -> None:
    pandas = pytest.importorskip("pandas")
    name, compute = FUNCTIONS[function]
    frame = pandas.DataFrame(data().round(), columns=list("abc")).astype({"b": "Int64"})
    compute(frame)
    frame.loc[2, "b"] = pandas.NA
    with pytest.raises(ValueError, match=f"{name}: expected no nulls, got 1 in column 'b'"):
        compute(frame)


@pytest.mark.parametrize(
    ("number", "found"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_is_not_finite_is_named_with_its_place(number: float, found: str, dtype: Any) -> None:
    x = data().astype(dtype)
    good = fm.PCA(2).fit(x)
    model = fm.LinearRegression().fit(x, np.arange(5))
    x[3, 1] = number
    place = f"X: expected finite numbers, got {found} in row 3, column 1"
    for solver in ("auto", "full", "covariance_eigh", "gram_eigh"):
        with pytest.raises(ValueError, match=place):
            fm.PCA(2, svd_solver=solver).fit(x)
    for call in (good.transform, good.project, good.reconstruction_errors, model.predict):
        with pytest.raises(ValueError, match=place):
            call(x)
    with pytest.raises(ValueError, match=place):
        fm.LinearRegression().fit(x, np.arange(5))
    with pytest.raises(ValueError, match=place.replace("X", "x")):
        fm.pairwise_distances(x)
    for kind in ("csr", "csc", "coo"):
        matrix = scipy.sparse.random_array((9, 3), density=0.7, format="csr", dtype=dtype, rng=0)
        matrix[3, 1] = 1
        sparse = fm.PCA(1).fit(matrix)
        matrix[3, 1] = number
        for refused in (fm.PCA(1).fit, sparse.transform, sparse.reconstruction_errors):
            with pytest.raises(ValueError, match=place):
                refused(matrix.asformat(kind))


def test_places_are_those_of_all_rows() -> None:
    x = data()
    model = fm.PCA(2).fit(x)
    wrong = np.tile(x, (40, 1))
    wrong[123, 2] = np.nan
    place = "X: expected finite numbers, got NaN in row 123, column 2"
    rest: list[Array] = []

    def chunks() -> Any:
        yield from np.split(wrong, 10)
        rest.append(wrong)  # never read

    for call in (model.fit, fm.PCA(2).partial_fit, model.transform, model.score_samples):
        with pytest.raises(ValueError, match=place):
            call(chunks())
    assert not rest
    integers = np.where(np.isnan(wrong), np.inf, wrong).astype(np.float16)
    with pytest.raises(ValueError, match="got infinity in row 123, column 2"):
        model.transform(iter([integers]))
    with pytest.raises(ValueError, match="mean of X: expected finite numbers, got NaN at index 2"):
        fm.PCA(1).fit(fm.Moments().update(wrong))


def test_weights_that_are_refused_are_named() -> None:
    with pytest.raises(ValueError, match=r"weights: .* at least 0, got -2.0 at index 1"):
        fm.Graph([0, 1, 2], [1, 2, 0], weights=[1, -2, 3])
    with pytest.raises(ValueError, match=r"fweights: .* of at least 0, got nan at index 2"):
        fm.covariance(data(), fweights=[1, 1, np.nan, 1, 1])
    with pytest.raises(ValueError, match=r"sigma: .* above 0, got 0.0 at index 4"):
        fm.LinearRegression().fit(data(), np.arange(5), sigma=[1, 1, 1, 1, 0])


def test_place_of_an_element_of_any_array() -> None:
    for shape in ((4,), (4, 3), (2, 3, 4)):
        x = np.zeros(shape, np.complex128)
        x[(1,) * x.ndim] = complex(0, np.inf)
        where = {1: "at index 1", 2: "in row 1, column 1", 3: "at index (1, 1, 1)"}[x.ndim]
        message = re.escape(f"x: expected finite numbers, got infinity {where}")
        with pytest.raises(ValueError, match=message):
            _check.finite("x", x)


def test_what_graphs_are_made_of_is_named() -> None:
    with pytest.raises(ValueError, match="src: expected no masked numbers, got 1"):
        fm.Graph(np.ma.masked_array([0, 1], [1, 0]), [1, 0])
    with pytest.raises(TypeError, match="src: expected an array, got list_iterator"):
        fm.Graph(iter([0, 1]), [1, 0])
    with pytest.raises(TypeError, match="matrix: expected real numbers, got dtype complex128"):
        fm.Graph.from_scipy(scipy.sparse.eye_array(3, dtype=complex).tocsr())
    with pytest.raises(TypeError, match="path: expected a path, .* got NoneType"):
        fm.read_graph(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"graph: expected a fastmml.Graph, got ndarray"):
        fm.write_graph(np.eye(3), "graph.npz")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scale: expected 0 to 32, got -1"):
        fm.rmat(-1)


@pytest.mark.parametrize("library", ["pyarrow", "pandas", "polars"])
def test_labels_of_other_libraries(library: str) -> None:
    module = pytest.importorskip(library)
    make = module.array if library == "pyarrow" else module.Series
    graph = fm.Graph([0, 1, 2], [1, 2, 0], labels=make(["a", "b", "c"]))
    assert graph.labels.tolist() == ["a", "b", "c"]
    assert fm.local_pagerank(graph, "b").top(1)[0][0] == "b"


def test_other_arguments_are_arrays() -> None:
    x, y = data(), np.arange(5.0)
    model = fm.PCA(2).fit(x)
    for wrong in (scipy.sparse.csr_array(x[:, :2]), iter([x[:, :2]])):
        with pytest.raises(TypeError, match=f"X: expected an array, got {type(wrong).__name__}"):
            model.inverse_transform(wrong)
    masked = np.ma.masked_array(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match="VI: expected no masked numbers, got 3"):
        fm.pairwise_distances(x, metric="mahalanobis", VI=masked)
    with pytest.raises(ValueError, match="basis: expected no masked numbers, got 3"):
        fm.change_of_basis(np.eye(3), masked)
    for targets in (scipy.sparse.csr_array(y[:, None]), iter(y)):
        with pytest.raises(TypeError, match="y: expected an array, got"):
            fm.LinearRegression().fit(x, targets)
