"""What users pass in place of arrays: it works, or the message names it, and where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
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


#: The last column of both may be one of truth values.
TALL = np.array([[3.0, 1, 0], [1, 2, 1], [4, 1, 1], [1, 1, 0], [2, 4, 1]])
SQUARE = np.array([[4.0, 1, 0], [1, 5, 1], [0, 1, 1]])
ROW, COLUMN = np.array([1.0, 2, 3]), np.array([1.0, 2, 1, 3, 1])
CYCLE = [0, 1, 2], [1, 2, 0]

#: Array arguments: the name of each, numbers that it takes, and what is computed of them.
ARGUMENTS: dict[str, tuple[str, Array, Callable[[Any], Any]]] = {
    "matmul a": ("a", TALL, lambda x: fm.matmul(x, SQUARE)),
    "matmul b": ("b", SQUARE, lambda x: fm.matmul(TALL, x)),
    "gram": ("x", TALL, fm.gram),
    "einsum": ("operands", TALL, lambda x: fm.einsum("ij,jk", x, SQUARE)),
    "qr": ("a", TALL, lambda x: fm.qr(x)[1]),
    "gram_schmidt": ("a", TALL, fm.gram_schmidt),
    "orthogonality": ("q", TALL, fm.orthogonality),
    "project x": ("x", ROW, lambda x: fm.project(x, SQUARE[:, :2]).projection),
    "project basis": ("basis", SQUARE[:, :2], lambda x: fm.project(ROW, x).projection),
    "project origin": ("origin", ROW, lambda x: fm.project([1, 0, 0], SQUARE[:, :2], x).projection),
    "lstsq a": ("a", TALL, lambda x: fm.lstsq(x, COLUMN).x),
    "lstsq b": ("b", COLUMN, lambda x: fm.lstsq(TALL, x).x),
    "solve a": ("a", SQUARE, lambda x: fm.solve(x, ROW)),
    "solve b": ("b", ROW, lambda x: fm.solve(SQUARE, x)),
    "inv": ("a", SQUARE, fm.inv),
    "det": ("a", SQUARE, fm.det),
    "eigh": ("a", SQUARE, lambda x: fm.eigh(x).eigenvalues),
    "change_of_basis a": ("a", SQUARE, lambda x: fm.change_of_basis(x, SQUARE)),
    "change_of_basis basis": ("basis", SQUARE, lambda x: fm.change_of_basis(SQUARE, x)),
    "QR": ("a", TALL, lambda x: fm.QR(x).R),
    "QR.append": ("columns", COLUMN, lambda x: fm.QR(TALL).append(x).R),
    "QR.append_rows": ("rows", ROW, lambda x: fm.QR(TALL).append_rows(x).R),
    "QR.lstsq": ("b", COLUMN, lambda x: fm.QR(TALL).lstsq(x).x),
    "StreamingQR a": ("a", TALL, lambda x: fm.StreamingQR().update(x).r),
    "StreamingQR b": ("b", COLUMN, lambda x: fm.StreamingQR().update(TALL, x).lstsq().x),
    "covariance": ("x", TALL, fm.covariance),
    "correlation": ("x", TALL, fm.correlation),
    "fweights": ("fweights", COLUMN, lambda x: fm.covariance(TALL, fweights=x)),
    "aweights": ("aweights", COLUMN, lambda x: fm.Moments().update(TALL, aweights=x).mean),
    "mapped a": ("a", SQUARE, lambda x: fm.MeanCovariance(ROW, SQUARE).mapped(x).mean),
    "mapped b": ("b", ROW, lambda x: fm.MeanCovariance(ROW, SQUARE).mapped(SQUARE, x).mean),
    "mean": ("mean", ROW, lambda x: fm.MeanCovariance(x, SQUARE).mapped(SQUARE).mean),
    "pairwise_distances": ("x", TALL, fm.pairwise_distances),
    "VI": ("VI", SQUARE, lambda x: fm.pairwise_distances(TALL, metric="mahalanobis", VI=x)),
    "queries": ("queries", TALL, lambda x: fm.kneighbors(TALL, x, n_neighbors=2).distances),
    "InnerProduct": ("matrix", SQUARE, lambda x: fm.InnerProduct(x).norm(ROW)),
    "norm": ("x", TALL, lambda x: fm.InnerProduct(SQUARE).norm(x)),
    "inner": ("y", ROW, lambda x: fm.InnerProduct(SQUARE).inner(ROW, x)),
    "sample_weight": (
        "sample_weight",
        COLUMN,
        lambda x: fm.LinearRegression().fit(TALL, COLUMN, sample_weight=x).coef_,
    ),
    "sigma": ("sigma", COLUMN, lambda x: fm.LinearRegression().fit(TALL, COLUMN, sigma=x).coef_),
    "weights": ("weights", ROW, lambda x: fm.Graph(*CYCLE, weights=x).weights),
    "personalization": (
        "personalization",
        ROW,
        lambda x: fm.pagerank(fm.Graph(*CYCLE), personalization=x).scores,
    ),
    "beta": ("beta", ROW, lambda x: fm.katz_centrality(fm.Graph(*CYCLE), alpha=0.1, beta=x).scores),
}


def columns_of(x: Array) -> dict[str, Array]:
    """Columns of numbers, each with a name."""
    return {f"c{i}": column for i, column in enumerate(x.T)}


def pandas_of(dtype: str) -> Callable[[Array], Any]:
    """A frame of pandas, or a Series, of this type."""

    def make(x: Array) -> Any:
        pandas = pytest.importorskip("pandas")
        if dtype == "decimal":
            arrow = pytest.importorskip("pyarrow")
            kind: Any = pandas.ArrowDtype(arrow.decimal128(10, 2))
        else:
            kind = pandas.SparseDtype("float64", 0.0) if dtype == "sparse" else dtype
        frame = pandas.DataFrame(columns_of(x)) if x.ndim == 2 else pandas.Series(x)
        return frame.astype(kind)

    return make


def partly_bool(x: Array) -> Any:
    """A frame of pandas whose columns of zeros and ones are truth values."""
    held = pandas_of("float64")(x)
    is_bool = [x.ndim == 2 and bool(np.isin(column, (0, 1)).all()) for column in x.T]
    return held.astype({f"c{i}": bool for i in np.flatnonzero(is_bool)}) if any(is_bool) else held


def polars_of(kind: str) -> Callable[[Array], Any]:
    """A frame of polars, or a Series."""

    def make(x: Array) -> Any:
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame(columns_of(x)) if x.ndim == 2 else polars.Series(x)
        if kind == "Array":
            return polars.Series(x, dtype=polars.Array(polars.Float64, x.shape[1:]))
        return frame if kind == "Float64" else frame.cast(polars.Decimal(10, 2))

    return make


def arrow_of(kind: str) -> Callable[[Array], Any]:
    """A table of pyarrow, or an array."""

    def make(x: Array) -> Any:
        arrow = pytest.importorskip("pyarrow")
        number = arrow.decimal128(20, 2) if kind == "Decimal" else arrow.float64()

        def column_of(x: Array) -> Any:
            column = arrow.array(x).cast(number)
            return column.dictionary_encode() if kind == "dictionary" else column

        if x.ndim == 1:
            return column_of(x)
        return arrow.table({name: column_of(c) for name, c in columns_of(x).items()})

    return make


#: What holds the numbers of an array.
HOLDERS: dict[str, Callable[[Array], Any]] = {
    "list": lambda x: x.tolist(),
    "tuple of rows": tuple,
    "big-endian": lambda x: x.astype(">f8"),
    "object with __array__": lambda x: type("Held", (), {"__array__": lambda *_, **__: x})(),
    "pandas": pandas_of("float64"),
    "pandas, some of bool": partly_bool,
    "pandas Float64": pandas_of("Float64"),
    "pandas Int64": pandas_of("Int64"),
    "pandas Arrow": pandas_of("double[pyarrow]"),
    "pandas decimals": pandas_of("decimal"),
    "pandas category": pandas_of("category"),
    "pandas sparse": pandas_of("sparse"),
    "polars": polars_of("Float64"),
    "polars decimals": polars_of("Decimal"),
    "polars arrays": lambda x: polars_of("Array" if x.ndim == 2 else "Float64")(x),
    "pyarrow": arrow_of("double"),
    "pyarrow decimals": arrow_of("Decimal"),
    "pyarrow dictionary": arrow_of("dictionary"),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_whatever_holds_numbers_is_taken(argument: str, holder: str) -> None:
    _, numbers, compute = ARGUMENTS[argument]
    expected = np.asarray(compute(numbers), np.float64)
    found = np.asarray(compute(HOLDERS[holder](numbers)), np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


#: What is no number for a function of arrays, and what the message calls it.
STRANGERS: dict[str, tuple[Callable[[Array], Any], str]] = {
    "generator": (lambda x: (row for row in x.tolist()), r"got generator: list\(\) makes one"),
    "sparse": (scipy.sparse.coo_array, r"got coo_array: toarray\(\) makes one"),
    "dictionary": (lambda x: {0: x}, "got dict"),
    "text": (lambda x: x.astype(str), "got dtype <U32"),
    "new text": (lambda x: x.astype(np.dtypes.StringDType()), r"got dtype StringDType\(\)"),
    "dates": (lambda x: x.astype("M8[D]"), r"got dtype datetime64\[D\]"),
    "durations": (lambda x: x.astype("m8[s]"), r"got dtype timedelta64\[s\]"),
    "columns of text": (pandas_of("str"), "columns of numbers, got str"),
    "records": (lambda x: x.astype([("a", "f8")]), r"got dtype \[\('a'"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_what_is_no_number_is_named(argument: str, stranger: str) -> None:
    name, numbers, compute = ARGUMENTS[argument]
    make, found = STRANGERS[stranger]
    if stranger == "generator" and argument in ("covariance", "correlation", "StreamingQR a"):
        pytest.skip("a generator of chunks")
    if stranger == "dictionary" and argument == "personalization":
        pytest.skip("a mapping of labels")
    with pytest.raises(TypeError, match=f"^{name}: expected .*{found}"):
        compute(make(numbers))


@pytest.mark.parametrize("holder", ["pandas Float64", "pandas Arrow", "polars", "pyarrow"])
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_nulls_are_named(argument: str, holder: str) -> None:
    name, numbers, compute = ARGUMENTS[argument]
    held = HOLDERS[holder](numbers)
    library, where = holder.split(maxsplit=1)[0], "in column 'c0'" if numbers.ndim == 2 else ""
    if library == "pandas":
        with_null = held.mask(held == numbers.flat[0])
    elif library == "polars":
        first = held["c0"] if numbers.ndim == 2 else held
        first[0] = None
        with_null = held.with_columns(first) if numbers.ndim == 2 else first
    else:
        arrow = pytest.importorskip("pyarrow")
        nothing = np.arange(numbers.shape[0]) == 0
        columns = [arrow.array(x, mask=nothing) for x in numbers.reshape(len(nothing), -1).T]
        names = list(columns_of(numbers)) if numbers.ndim == 2 else [""]
        with_null = arrow.table(columns, names) if numbers.ndim == 2 else columns[0]
    with pytest.raises(ValueError, match=rf"^{name}: expected no nulls, got \d ?{where}"):
        compute(with_null)


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_masked_numbers_are_not_uncovered_within_lists(argument: str) -> None:
    name, numbers, compute = ARGUMENTS[argument]
    masked = np.ma.masked_array(numbers, np.arange(numbers.size).reshape(numbers.shape) == 1)
    nested = list(map(list, masked)) if masked.ndim == 2 else list(masked)
    for held in (masked, tuple(masked), nested):
        with pytest.raises(ValueError, match=f"^{name}: expected no masked numbers, got 1"):
            compute(held)
    compute(list(np.ma.masked_array(numbers)))


def test_integers_are_whatever_stands_for_one() -> None:
    class Three:
        def __index__(self) -> int:
            return 3

    for three in (3, np.int8(3), np.array(3), Three()):
        assert _check.positive_int("n", three) == 3
        assert _check.int_up_to("n", three, 5) == 3
    for wrong in (True, np.True_, 3.0, "3", None):
        with pytest.raises(TypeError, match="n: expected an int, got"):
            _check.positive_int("n", wrong)


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
    for held in (frame.astype("int64").astype("category"), frame.astype("category")):
        assert fm.matmul(np.eye(2, dtype=np.int64), held)[0, 0] == 2**53 + 1
    assert fm.Graph(pandas.Series([0, 1], dtype="category"), [1, 0]).num_edges == 2


#: Arguments that are weights of rows.
WEIGHTS = ("fweights", "aweights", "sample_weight", "sigma")


@pytest.mark.parametrize("argument", WEIGHTS)
@pytest.mark.parametrize("make", [Decimal, Fraction, lambda x: int(x) * 10**20])
def test_weights_are_what_float64_holds(argument: str, make: Callable[[float], Any]) -> None:
    _, numbers, compute = ARGUMENTS[argument]
    held = [make(x) for x in numbers.tolist()]
    expected = compute(np.array([float(x) for x in held]))
    np.testing.assert_array_equal(compute(held), expected)
    compute(held[0])


@pytest.mark.parametrize("argument", WEIGHTS)
@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (object(), "object"),
        (np.array(["1"] * 5, object), "dtype object"),
        ([{}] * 5, "dtype object"),
        ([10**400] * 5, "dtype object"),
    ],
)
def test_weights_that_float64_does_not_hold_are_named(
    argument: str, wrong: Any, found: str
) -> None:
    compute = ARGUMENTS[argument][2]
    with pytest.raises(TypeError, match=f"^{argument}: expected a number or an array.* {found}"):
        compute(wrong)


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


@pytest.mark.parametrize("stranger", ["text", "new text", "dates", "durations", "columns of text"])
def test_estimators_make_no_numbers_of_text(stranger: str) -> None:
    make, x, y = STRANGERS[stranger][0], data().round(), np.arange(5.0)
    model = fm.PCA(2).fit(x)
    for call in (fm.PCA(2).fit, model.transform, lambda rows: fm.LinearRegression().fit(rows, y)):
        with pytest.raises(TypeError, match="^X: expected numbers, got dtype"):
            call(make(x))
    if stranger != "columns of text":
        with pytest.raises(TypeError, match="^y: expected numbers, got dtype"):
            fm.LinearRegression().fit(x, make(y))
