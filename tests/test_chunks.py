"""Rows in chunks: mapped files, frames, Arrow, iterators; moments and PCA of them, and memory."""

from __future__ import annotations

import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml import _backend, _chunks
from fastmml._kernels import Kernels
from fastmml.decomposition import projection

Array = Any
FLOATS = [np.float64, np.float32]
#: Relative errors that are allowed: of float32 and of float64 data.
LIMIT = {"f": 1e-5, "d": 1e-12}
NAMES = ["a", "b", "c", "d"]
TABLES = ["Table", "RecordBatch"]
STREAMS = [
    *("RecordBatchReader", "RecordBatchFileReader", "ParquetFile", "Dataset", "Scanner", "stream")
]
ARROW = TABLES + STREAMS


@pytest.fixture(autouse=True)
def on_both_backends(backend: Kernels) -> Iterator[None]:
    with _backend.use_kernels(backend):
        yield


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 25 rows, so that small data have several."""
    monkeypatch.setattr(_chunks, "_PIECE", 100)


def data(rows: int = 210, dtype: Any = np.float64, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(rows, 4)) @ rng.normal(size=(4, 4)) + [1, 10, 100, 0]).astype(dtype)


def table_of(x: Array, arrow: ModuleType) -> Any:
    return arrow.table({name: x[:, i] for i, name in enumerate(NAMES)})


def of_arrow(x: Array, kind: str, folder: Path) -> Any:
    arrow = pytest.importorskip("pyarrow")
    table = table_of(x, arrow)
    if kind == "Table":
        return arrow.concat_tables([table[:70], table[70:]])
    if kind == "RecordBatch":
        return table.combine_chunks().to_batches()[0]
    if kind == "RecordBatchReader":
        return table.to_reader(max_chunksize=60)
    return Stream(table) if kind == "stream" else of_file(table, kind, folder)


def of_file(table: Any, kind: str, folder: Path) -> Any:
    if kind == "RecordBatchFileReader":
        ipc = pytest.importorskip("pyarrow.ipc")
        with ipc.new_file(folder / "rows.arrow", table.schema) as file:
            file.write_table(table, 60)
        return ipc.open_file(folder / "rows.arrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(table, folder / "rows.parquet", row_group_size=80)
    if kind == "ParquetFile":
        return parquet.ParquetFile(folder / "rows.parquet")
    dataset = pytest.importorskip("pyarrow.dataset").dataset(folder / "rows.parquet")
    return dataset.scanner(columns=NAMES) if kind == "Scanner" else dataset


class Stream:
    """Of another library: it gives nothing but a stream of Arrow."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def assert_same(source: Any, x: Array) -> None:
    """The covariance of these rows is that of the array; they can be read once."""
    limit = LIMIT[x.dtype.char]
    expected = fm.Moments().update(x)
    found = fm.Moments().update(source)
    assert found.rows == len(x)
    assert found.dtype == x.dtype
    scale = np.abs(expected.scatter).max()
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=0, atol=limit * scale)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=limit, atol=limit)


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ARROW)
def test_arrow(kind: str, dtype: Any, tmp_path: Path) -> None:
    x = data(dtype=dtype)
    assert_same(of_arrow(x, kind, tmp_path), x)
    model, expected = fm.PCA(2).fit(of_arrow(x, kind, tmp_path)), fm.PCA(2).fit(x)
    np.testing.assert_allclose(model.components_, expected.components_, atol=LIMIT[x.dtype.char])
    assert model.components_.dtype == dtype
    assert (model.n_features_in_, model.n_samples_) == (4, 210)
    assert model.feature_names_in_.tolist() == NAMES


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library: str, dtype: Any) -> None:
    frames = pytest.importorskip(library)
    x = data(dtype=dtype)
    frame = frames.DataFrame({name: x[:, i] for i, name in enumerate(NAMES)})
    assert_same(frame, x)
    assert_same(iter([frame[:100], x[100:150], frame[150:]]), x)


def test_frames_of_several_types() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    arrow = pytest.importorskip("pyarrow")
    columns = {
        "a": np.arange(50) % 7, "b": np.arange(50) % 3 == 0, "c": np.linspace(0, 1, 50),
        "d": np.linspace(3, 1, 50, dtype=np.float32) ** 2,
    }  # fmt: skip
    x = np.column_stack(list(columns.values()))
    nullable = pandas.DataFrame(columns).convert_dtypes()
    for frame in (
        *(nullable, pandas.DataFrame(columns), polars.DataFrame(columns)),
        *(arrow.table(columns), pandas.DataFrame(columns).astype({"a": "int64[pyarrow]"})),
    ):
        assert_same(frame, x)


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(lambda s: sum(s) > 1),
    is_weighted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_cut_gives_what_one_call_gives(
    dtype: Any, sizes: list[int], is_weighted: bool, seed: int
) -> None:
    x = data(sum(sizes), dtype, seed)
    weights = np.random.default_rng(seed).uniform(0.1, 3, size=len(x)) if is_weighted else None
    chunks = np.split(x, np.cumsum(sizes)[:-1])
    whole = fm.mean_covariance(x, aweights=weights)
    found = fm.mean_covariance((chunk for chunk in chunks), aweights=weights)
    limit, scale = LIMIT[x.dtype.char], np.abs(whole.covariance).max()
    np.testing.assert_allclose(found.mean, whole.mean, rtol=limit, atol=limit)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=0, atol=limit * scale)
    if weights is None:
        model, parts = fm.PCA(svd_solver="covariance_eigh").fit(x), fm.PCA()
        parts.fit(iter(chunks)) if len(x) >= 4 else parts.set_params(n_components=1).fit(
            iter(chunks)
        )
        kept = parts.n_components_
        np.testing.assert_allclose(
            parts.explained_variance_, model.explained_variance_[:kept], atol=4 * limit * scale
        )


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(5, 99), min_size=1, max_size=5, unique=True))
def test_partial_fit_is_fit(dtype: Any, cuts: list[int]) -> None:
    x, model, seen = data(100, dtype), fm.PCA(3), 0
    limit = 10 * LIMIT[x.dtype.char]
    for rows in np.split(x, sorted(cuts)):
        seen += len(rows)
        assert model.partial_fit(rows) is model
        expected = fm.PCA(3).fit(x[:seen])
        size = expected.explained_variance_[0]
        for name in ("explained_variance_", "reconstruction_error_", "noise_variance_"):
            found, known = getattr(model, name), getattr(expected, name)
            np.testing.assert_allclose(found, known, atol=limit * size)
        np.testing.assert_allclose(model.mean_, expected.mean_, rtol=limit, atol=limit)
        np.testing.assert_allclose(model.components_, expected.components_, atol=1e3 * limit)
        assert model.components_.dtype == dtype
        assert model.n_samples_ == seen


def test_partial_fit_takes_frames_and_chunks() -> None:
    polars = pytest.importorskip("polars")
    x = data()
    frame = polars.DataFrame(dict(zip(NAMES, x.T, strict=True)))
    model = fm.PCA(2).partial_fit(frame[:50]).partial_fit(frame[50:100])
    model.partial_fit(iter([frame[100:150], frame[150:]]))
    np.testing.assert_allclose(model.components_, fm.PCA(2).fit(x).components_, atol=1e-12)
    assert model.feature_names_in_.tolist() == NAMES
    kept, before = model.components_.copy(), model.n_samples_
    for bad in (frame * np.nan, iter([x[:, :3]]), iter([frame, frame * np.inf])):
        with pytest.raises(ValueError, match="X: expected"):
            model.partial_fit(bad)
    renamed = frame.rename({"a": "z"})
    with pytest.raises(ValueError, match="X: expected the columns of the rows before, got 'z'"):
        model.partial_fit(iter([renamed]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(renamed)
    np.testing.assert_array_equal(model.components_, kept)
    model.partial_fit(frame[:50])
    assert model.n_samples_ == before + 50
    np.testing.assert_allclose(
        model.components_, fm.PCA(2).fit(np.concatenate([x, x[:50]])).components_, atol=1e-12
    )


def test_partial_fit_says_what_it_cannot_do() -> None:
    x = data()
    assert not hasattr(fm.PCA(svd_solver="gram_eigh"), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit: expected svd_solver='auto' or"):
        fm.PCA(svd_solver="gram_eigh").partial_fit(x)
    model = fm.PCA(2).fit(x)
    with pytest.warns(UserWarning, match="partial_fit starts anew"):
        model.partial_fit(x[:50])
    assert model.n_samples_ == 50
    assert model.partial_fit(x[50:]).n_samples_ == 210


def test_machines_share_their_moments() -> None:
    x = data()
    parts = [fm.Moments().update(part) for part in np.split(x, 3)]
    moments = parts[0].merge(parts[1]).merge(parts[2])
    scatter = moments.scatter
    model, expected = fm.PCA(2).fit(moments), fm.PCA(2).fit(x)
    np.testing.assert_allclose(model.transform(x), expected.transform(x), atol=1e-12)
    assert model.n_samples_ == 210
    np.testing.assert_array_equal(moments.scatter, scatter)
    twice = fm.PCA(2).fit(fm.Moments().update(x, fweights=2))
    np.testing.assert_allclose(
        twice.explained_variance_, fm.PCA(2).fit(np.tile(x, (2, 1))).explained_variance_
    )
    np.testing.assert_allclose(twice.reconstruction_error_, expected.reconstruction_error_)


@pytest.mark.usefixtures("short_pieces")
def test_a_stream_of_rows_is_factorised() -> None:
    x = data()
    found, expected = fm.StreamingQR().update(iter(np.split(x, 3))), fm.StreamingQR().update(x)
    assert found.rows == 210
    np.testing.assert_allclose(np.abs(found.r), np.abs(expected.r), rtol=1e-9)
    arrow = pytest.importorskip("pyarrow")
    both = fm.StreamingQR().update(table_of(x, arrow), x[:, 0])
    np.testing.assert_allclose(both.lstsq().x, [1, 0, 0, 0], atol=1e-10)


# ---- numbers that are not finite ----


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=50, deadline=None)
@given(
    numbers=st.lists(
        st.sampled_from([1.0, 2.0, 3.0, np.nan, np.inf, -np.inf]), min_size=24, max_size=24
    ),
    weights=st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0]), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=4),
)
def test_any_cut_of_any_numbers(
    dtype: Any, numbers: list[float], weights: list[float], cuts: list[int]
) -> None:
    x, w = np.array(numbers, dtype).reshape(12, 2), np.array([*weights[:-1], 1.0])
    whole, places = fm.Moments().update(x, aweights=w), sorted(cuts)
    parts = fm.Moments().update(iter(np.split(x, places)), aweights=w)
    merged = fm.Moments()
    for part, factors in zip(np.split(x, places), np.split(w, places), strict=True):
        merged.merge(fm.Moments().update(part, aweights=factors))
    for found in (parts, merged):
        np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-6)
        np.testing.assert_allclose(found.covariance(), whole.covariance(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.scatter, whole.scatter, rtol=1e-5, atol=1e-6)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(whole.mean, np.average(x, axis=0, weights=w), rtol=1e-6)


def test_means_whose_difference_overflows() -> None:
    large = 0.9 * np.finfo(np.float64).max
    first, second = (fm.Moments().update([[sign * large, 1.0]] * 3) for sign in (1, -1))
    np.testing.assert_allclose(first.merge(second).mean, [0, 1], atol=1e-10 * large)


# ---- names of columns ----


def frame_of(x: Array, names: list[Any]) -> Any:
    return pytest.importorskip("pandas").DataFrame(x, columns=names)


@pytest.mark.parametrize("names", [NAMES, [0, 1, 2, 3], [("a", 1), ("a", 2), ("b", 1), ("b", 2)]])
def test_features_have_the_names_of_the_whole_frame(names: list[Any]) -> None:
    pytest.importorskip("sklearn")
    x = data()
    frame = frame_of(x, names)
    whole = fm.PCA(2).fit(frame)
    for model in (
        *(fm.PCA(2).fit(iter([frame[:90], frame[90:]])), fm.PCA(2).partial_fit(iter([frame]))),
        fm.PCA(2).partial_fit(frame[:90]).partial_fit(iter([frame[90:]])),
        fm.PCA(2).partial_fit(iter([frame[:90]])).partial_fit(frame[90:]),
    ):
        assert hasattr(model, "feature_names_in_") == hasattr(whole, "feature_names_in_")
        if names == NAMES:
            np.testing.assert_array_equal(model.feature_names_in_, whole.feature_names_in_)
        np.testing.assert_allclose(model.transform(frame), whole.transform(frame), atol=1e-12)
    fm.covariance(iter([frame]))


def test_names_of_which_some_are_strings() -> None:
    pytest.importorskip("sklearn")
    x = data()
    frame = frame_of(x, ["a", 1, 2, 3])
    fitted = fm.PCA(2).fit(x)
    for call in (
        *(lambda: fm.PCA(2).fit(frame), lambda: fm.PCA(2).fit(iter([frame]))),
        *(lambda: fm.PCA(2).partial_fit(iter([frame])), lambda: fitted.transform(iter([frame]))),
    ):
        with pytest.raises(TypeError, match="Feature names are only supported if all"):
            call()
    np.testing.assert_allclose(fm.covariance(frame), fm.covariance(x))


def test_names_that_come_and_go() -> None:
    """Warnings where scikit-learn warns, and its errors."""
    pytest.importorskip("sklearn")
    x = data()
    frame = frame_of(x, NAMES)
    named, unnamed = fm.PCA(2).partial_fit(iter([frame])), fm.PCA(2).partial_fit(iter([x]))
    for call in (named.partial_fit, named.transform):
        with pytest.warns(UserWarning, match="X: expected columns with names, as in fit, got none"):
            call(iter([x]))
    assert named.feature_names_in_.tolist() == NAMES
    for call in (unnamed.partial_fit, unnamed.transform):
        with pytest.warns(UserWarning, match="X: expected columns without names, as in fit"):
            call(iter([frame]))
    assert not hasattr(unnamed, "feature_names_in_")
    for other in (frame_of(x, ["a", "b", "d", "c"]), frame.rename(columns={"c": "z"})):
        for call in (named.partial_fit, named.transform, named.reconstruction_errors):
            with pytest.raises(ValueError, match="X: expected the columns of the rows before, got"):
                call(iter([other]))


# ---- what is computed of new rows ----


METHODS = ["transform", "project", "reconstruction_errors", "score_samples"]


def flat(found: Any) -> Array:
    """An array, or arrays, as one of one dimension."""
    return np.concatenate(
        [np.ravel(part) for part in (found if isinstance(found, tuple) else [found])]
    )


def measured(model: Any, source: Callable[[], Any]) -> list[Array]:
    """What a model finds of rows by each method; source makes them anew."""
    return [flat(getattr(model, method)(source())) for method in METHODS]


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ARROW)
def test_new_rows_of_arrow(kind: str, dtype: Any, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    x = data(dtype=dtype)
    model = fm.PCA(2, whiten=True).fit(table_of(x, arrow))
    names = model.__dict__.pop("feature_names_in_")
    expected = measured(model, lambda: x)
    model.feature_names_in_ = names
    found = measured(model, lambda: of_arrow(x, kind, tmp_path))
    for one, known in zip(found, expected, strict=True):
        assert one.dtype == known.dtype
        np.testing.assert_allclose(one, known, rtol=1e-3 if dtype is np.float32 else 1e-9)
    if kind != "RecordBatchReader":
        again = fm.PCA(2, whiten=True).fit_transform(of_arrow(x, kind, tmp_path))
        np.testing.assert_allclose(again.ravel(), expected[0], rtol=1e-3, atol=1e-3)


def test_new_rows_in_chunks() -> None:
    x = data()
    model = fm.PCA(2).fit(x)
    found = measured(model, lambda: iter([x[:1], x[1:1], x[1:90].tolist(), x[90:]]))
    for one, known in zip(found, measured(model, lambda: x), strict=True):
        np.testing.assert_allclose(one, known, rtol=1e-9)
    assert model.score(iter([x[:100], x[100:]])) == pytest.approx(model.score(x))
    with pytest.raises(ValueError, match="X: expected 4 features as in fit, got 3"):
        model.transform(iter([x, x[:, :3]]))
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        model.transform(iter([x, x * np.nan]))
    for empty in (iter([x[:0]]), iter([])):
        with pytest.raises(ValueError, match="X: expected (at least 1 row|rows), got none"):
            model.transform(empty)
    with pytest.raises(ValueError, match="fit"):
        fm.PCA(2).transform(iter([x]))


def test_rows_that_are_read_once_are_not_fitted_and_transformed() -> None:
    x = data()
    arrow = pytest.importorskip("pyarrow")
    chunks = iter([x[:100], x[100:]])
    for source in (chunks, (part for part in [x]), table_of(x, arrow).to_reader()):
        name = type(source).__name__
        with pytest.raises(TypeError, match=f"X: expected rows that can be read twice, got {name}"):
            fm.PCA(2).fit_transform(source)
    assert len(list(chunks)) == 2
    with pytest.raises(TypeError, match="X: expected rows that can be read twice, got Moments"):
        fm.PCA(2).fit_transform(fm.Moments().update(x))


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(
    "solver", ["auto", "full", "covariance_eigh", "gram_eigh", "arpack", "randomized"]
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_tables_are_data_for_all_solvers(
    kind: str, solver: str, dtype: Any, tmp_path: Path
) -> None:
    x = data(dtype=dtype)
    table = of_arrow(x, kind, tmp_path)
    model = fm.PCA(2, svd_solver=solver).fit(table)
    expected = fm.PCA(2, svd_solver=solver).fit(x)
    limit = 20 * LIMIT[x.dtype.char]
    np.testing.assert_allclose(model.components_, expected.components_, atol=limit)
    np.testing.assert_allclose(model.transform(table), expected.transform(x), rtol=limit, atol=1e-3)
    assert model.components_.dtype == dtype
    assert model.feature_names_in_.tolist() == NAMES
    assert (model.n_samples_, model.n_features_in_) == (210, 4)


def test_a_table_of_fewer_rows_than_columns_has_no_large_moments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrow = pytest.importorskip("pyarrow")
    x = np.random.default_rng(0).normal(size=(6, 90))
    table = arrow.table({f"x{i}": column for i, column in enumerate(x.T)})
    expected = fm.PCA(2).fit(x).transform(x)
    monkeypatch.setattr(fm.Moments, "take", None)
    model = fm.PCA(2).fit(table)
    np.testing.assert_allclose(model.transform(table), expected, atol=1e-12)
    assert model.feature_names_in_[89] == "x89"


# ---- mapped files ----


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_mapped_files(dtype: str, order: Any, mode: Any, tmp_path: Path) -> None:
    x = data(2000).astype(dtype)
    np.memmap(tmp_path / "x", dtype, "w+", 8, x.shape, order)[:] = x
    rows = np.memmap(tmp_path / "x", dtype, mode, 8, x.shape, order)
    if mode != "r":
        rows[7] = x[7] = 3  # what was written and not flushed
    expected = fm.covariance(x.astype(np.float64))
    for found in (fm.covariance(rows), fm.covariance(np.asarray(rows)[:, ::-1])[::-1, ::-1]):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(rows, x)
    model = fm.PCA(2).fit(rows)
    np.testing.assert_allclose(model.transform(rows), model.transform(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(rows, x)


def test_private_changes_of_views_stay(tmp_path: Path) -> None:
    np.arange(4000.0).tofile(tmp_path / "x")
    rows = np.memmap(tmp_path / "x", np.float64, "c", shape=(1000, 4))
    rows[5] = 7
    view = np.asarray(rows).view(np.memmap)
    fm.covariance(view)
    fm.PCA(2).fit(view).transform(view)
    np.testing.assert_array_equal(rows[5], 7)


def test_a_partial_fit_that_raises_changes_nothing() -> None:
    x = data(50)
    model = fm.PCA(2).fit(x)
    expected = model.transform(x)
    with pytest.warns(UserWarning, match="starts anew"), pytest.raises(ValueError, match="X"):
        model.partial_fit(np.full((4, 7), np.nan))
    np.testing.assert_array_equal(model.transform(x), expected)


def test_readers_of_pandas_are_chunks(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    x = data(90)
    pandas.DataFrame(x).to_csv(tmp_path / "x.csv", index=False)
    with pandas.read_csv(tmp_path / "x.csv", chunksize=40) as reader:
        np.testing.assert_allclose(fm.covariance(reader), fm.covariance(x), rtol=1e-12)


#: Maps a file of 200 MB and prints the peak of resident memory, beyond what the imports take.
PEAK = """
import sys, numpy as np, fastmml as fm
import fastmml.decomposition.pca
def memory(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024
x = np.memmap(sys.argv[1], np.float32, "r").reshape(-1, 100)
pca = fm.PCA(5).fit(x[:1000])
fm.covariance(x[:200_000])  # scratch of all threads
before = memory("VmRSS:")
{call}
print(memory("VmHWM:") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    "call", ["fm.covariance(x)", "pca.fit(x)", "pca.reconstruction_errors(x)", "pca.transform(x)"]
)
def test_pages_that_were_read_leave_memory(backend: Kernels, call: str, tmp_path: Path) -> None:
    if backend.name == "numba":
        pytest.skip("the same Python for all of them")
    x = np.random.default_rng(0).standard_normal(1 << 19, np.float32)
    x[: 5240 * 100].reshape(-1, 100)[:] *= np.geomspace(1, 0.01, 100, dtype=np.float32)
    x.tofile(tmp_path / "x")
    with (tmp_path / "rows").open("wb") as file:
        for _ in range(100):
            file.write((tmp_path / "x").read_bytes())
    command = [sys.executable, "-c", PEAK.format(call=call), str(tmp_path / "rows")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 60e6


@pytest.mark.parametrize("dtype", ["i1", "i2", "f2", ">f4", ">f8", "u8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_mapped_rows_of_any_type_are_converted_in_pieces(
    dtype: str, order: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_chunks, projection):
        monkeypatch.setattr(module, "_PIECE", 1 << 14)
    rng, shape = np.random.default_rng(0), (1 << 14, 24)
    x = rng.integers(0, 2 if dtype == "?" else 100, size=shape).astype(dtype)
    np.memmap(tmp_path / "x", dtype, "w+", 0, shape, order)[:] = x
    rows, wide = np.memmap(tmp_path / "x", dtype, "r", 0, shape, order), x.astype(np.float64)
    few, all_of_them = fm.PCA(2).fit(wide), fm.PCA(24).fit(wide)
    for compute in (
        *(few.transform, few.project, few.reconstruction_errors, few.score_samples),
        all_of_them.inverse_transform,
    ):
        expected = compute(wide)
        tracemalloc.start()
        found = compute(rows)
        results, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-9, atol=1e-9)
        assert peak - results < wide.nbytes / 4


def test_mapped_rows_that_do_not_fit(tmp_path: Path) -> None:
    x = np.arange(400, dtype=np.int16).reshape(100, 4) ** 2
    x.tofile(tmp_path / "x")
    rows = np.memmap(tmp_path / "x", np.int16, "r").reshape(100, 4)
    model = fm.PCA(2).fit(rows)
    with pytest.raises(ValueError, match="3 features"):
        model.transform(rows[:, :3])
    for empty in (rows[:0], rows.astype(np.longdouble)[:0]):
        with pytest.raises(ValueError, match="sample|at least one row"):
            model.transform(empty)
    wide = fm.PCA(2, svd_solver="full").fit(rows)
    np.testing.assert_allclose(wide.transform(rows), model.transform(x), atol=1e-9)


def test_mapped_numbers_of_a_wider_type(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    x = data()
    x.astype(np.longdouble).tofile(tmp_path / "x")
    rows = np.memmap(tmp_path / "x", np.longdouble, "r").reshape(x.shape)
    model = fm.PCA(2).fit(rows)
    np.testing.assert_allclose(model.transform(rows), fm.PCA(2).fit(x).transform(x), atol=1e-9)


# ---- what is refused ----


def frames(library: str, columns: dict[str, Any]) -> Any:
    return getattr(pytest.importorskip(library), "table" if library == "pyarrow" else "DataFrame")(
        columns
    )


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_that_are_refused(library: str) -> None:
    text = frames(library, {"a": [1.0, 2.0], "b": ["x", "y"]})
    with pytest.raises(TypeError, match="x: expected columns of numbers, got .* in column 'b'"):
        fm.covariance(text)
    whole = frames(library, {"a": [1.0, 2.0], "b": [1, None]})
    if library == "pandas":
        whole = whole.astype({"b": "Int64"})
    with pytest.raises(ValueError, match="x: expected no nulls, got 1 in column 'b'"):
        fm.covariance(whole)
    first, other = (frames(library, {"a": [1.0, 2.0], name: [1.0, 3.0]}) for name in "bc")
    message = "x: expected the columns of the rows before, got 'c' instead of 'b'"
    with pytest.raises(ValueError, match=message):
        fm.covariance(iter([first, other]))
    with pytest.raises(ValueError, match="x: expected 2 columns as before, got 1"):
        fm.covariance(iter([first, frames(library, {"a": [1.0]})]))


def test_what_is_no_data() -> None:
    x = data()
    polars = pytest.importorskip("polars")
    sparse = pytest.importorskip("scipy.sparse")
    lazy = polars.DataFrame(x).lazy()
    for wrong in (lazy, sparse.csr_array(x), {"a": [1.0]}, fm.Moments(), None):
        message = f"x: expected an array, frame or Arrow data, got {type(wrong).__name__}"
        with pytest.raises(TypeError, match=message):
            fm.covariance(wrong)
        with pytest.raises(TypeError, match=message):
            fm.covariance(iter([x, wrong]))


def test_masked_numbers_are_not_uncovered() -> None:
    x = data()
    masked = np.ma.masked_greater(x, 100)
    message = rf"x: expected no masked numbers, got {masked.mask.sum()}"
    for call in (fm.covariance, fm.Moments().update, fm.kneighbors, fm.pairwise_distances):
        with pytest.raises(ValueError, match=message):
            call(masked)
    for call in (fm.PCA().fit, fm.PCA(2).fit(x).transform, lambda rows: fm.PCA().fit(iter([rows]))):
        with pytest.raises(ValueError, match=message.replace("x", "X", 1)):
            call(masked)
    with pytest.raises(ValueError, match="aweights: expected no masked numbers, got 1"):
        fm.covariance(x, aweights=np.ma.masked_array(np.ones(210), np.arange(210) == 3))
    whole = np.ma.masked_array(x, np.zeros(x.shape, bool))
    np.testing.assert_array_equal(fm.covariance(whole), fm.covariance(x))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_series_is_no_frame(library: str) -> None:
    series = pytest.importorskip(library).Series([1.0, 2.0])
    with pytest.raises(ValueError, match="x: expected shape"):
        fm.covariance(series)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fm.covariance(iter([])), "x: expected rows, got none"),
        (lambda x: fm.covariance(iter([x, x[:, :2]])), "x: expected 4 columns as before, got 2"),
        (lambda x: fm.covariance(iter([x[:, 0]])), "x: expected shape (m, n), observations"),
        (lambda x: fm.covariance(iter([x]), aweights=[1]), "aweights: expected a number or shape"),
        (
            lambda x: fm.covariance(iter([x]), fweights=np.ones(211)),
            "fweights: expected a number or shape (210,), got (211,)",
        ),
        (lambda x: fm.PCA().fit(iter([])), "X: expected rows, got none"),
        (lambda x: fm.PCA().fit(iter([x, x[:, :2]])), "X: expected 4 columns as before, got 2"),
        (lambda x: fm.PCA().fit(iter([x * np.nan])), "X: expected finite numbers"),
        (lambda x: fm.PCA().fit(iter([x, x * 1e300])), "X: expected numbers whose squares are"),
        (lambda x: fm.PCA().fit(iter([x[:1]])), "X: expected at least 2 rows, got 1"),
        (lambda x: fm.PCA(5).fit(iter([x])), "n_components: expected an int from 0 to min(m, n)"),
        (lambda x: fm.PCA().fit(fm.Moments()), "X: expected at least 2 rows, got 0"),
        (
            lambda x: fm.PCA(svd_solver="gram_eigh").fit(iter([x])),
            "svd_solver: expected 'auto' or 'covariance_eigh' for rows that are read once",
        ),
        (lambda x: fm.StreamingQR().update(iter([])), "a: expected rows, got none"),
    ],
)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(data())


def test_what_raises_changes_nothing() -> None:
    x = data()
    moments = fm.Moments().update(x)
    before = moments.rows, moments.weight, moments.scatter
    for bad in (iter([x, x[:, :2]]), iter([x, "text"])):
        with pytest.raises((ValueError, TypeError)):
            moments.update(bad)
        assert (moments.rows, moments.weight) == before[:2]
        np.testing.assert_array_equal(moments.scatter, before[2])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_components": "x"}, "n_components: .*'mle', got 'x'"),
        ({"n_components": [1]}, r"n_components: .* got \[1\]"),
        ({"n_components": 2.5}, "n_components: .* got 2.5"),
        ({"n_components": -1}, "n_components: .* got -1"),
        ({"n_components": True}, "n_components: .* got True"),
        ({"svd_solver": "qr"}, "svd_solver: expected one of .* got 'qr'"),
        ({"tol": -1}, "tol: .* got -1"),
        ({"whiten": "no"}, "whiten: .* got 'no'"),
    ],
)
def test_parameters_are_checked_before_rows_are_read(wrong: Any, message: str) -> None:
    chunks = iter([data()])
    with pytest.raises(ValueError, match=message):
        fm.PCA(**wrong).fit(chunks)
    if "svd_solver" not in wrong:
        with pytest.raises(ValueError, match=message):
            fm.PCA(**wrong).partial_fit(chunks)
    assert len(list(chunks)) == 1


@pytest.mark.parametrize("kind", ["batches", "tables", "pandas", "polars"])
def test_lists_of_frames_are_chunks(kind: str) -> None:
    arrow = pytest.importorskip("pyarrow")
    x = data()
    parts = [table_of(part, arrow) for part in (x[:100], x[100:])]
    if kind == "batches":
        parts = [batch for part in parts for batch in part.to_batches()]
    elif kind == "pandas":
        parts = [part.to_pandas() for part in parts]
    elif kind == "polars":
        parts = [pytest.importorskip("polars").from_arrow(part) for part in parts]
    for chunks in (parts, tuple(parts)):
        assert_same(chunks, x)
        model = fm.PCA(2)
        np.testing.assert_allclose(model.fit_transform(chunks), fm.PCA(2).fit_transform(x))
        assert model.feature_names_in_.tolist() == NAMES
        np.testing.assert_allclose(
            np.abs(fm.StreamingQR().update(chunks, x[:, 0]).r), np.abs(np.linalg.qr(x, "r"))
        )
        with pytest.raises(TypeError, match=f"X: .*, got {type(chunks).__name__}: pass chunks"):
            fm.LinearRegression().fit(chunks, x[:, 0])


def test_rows_that_come_some_at_a_time_are_none_for_regression() -> None:
    x = data()
    chunks = iter([x])
    model = fm.LinearRegression().fit(x, x[:, 0])
    for call in (
        lambda: model.fit(chunks, x[:, 0]),
        lambda: model.partial_fit(chunks, x[:, 0]),
        lambda: model.predict(chunks),
    ):
        with pytest.raises(TypeError, match="X: expected an array or frame, got list_iterator"):
            call()
    assert len(list(chunks)) == 1


def test_scans_of_readers_are_not_fitted_and_transformed(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    scanner = pytest.importorskip("pyarrow.dataset").Scanner
    x = data()
    table = table_of(x, arrow)
    model = fm.PCA(2)
    with pytest.raises(TypeError, match="X: expected rows that can be read twice, got Scanner"):
        model.fit_transform(scanner.from_batches(table.to_reader()))
    assert not hasattr(model, "components_")
    model.fit(scanner.from_batches(table.to_reader()))
    np.testing.assert_allclose(
        model.transform(scanner.from_batches(table.to_reader())), model.transform(table)
    )


def test_what_arrow_reads_in_other_ways_is_named(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(table_of(data(), arrow), tmp_path / "rows.parquet")
    found = parquet.ParquetDataset(tmp_path / "rows.parquet")
    message = "expected a table, .* Dataset, Scanner or ParquetFile of pyarrow, got ParquetDataset"
    for call in (fm.PCA(2).fit, fm.Moments().update, fm.StreamingQR().update):
        with pytest.raises(TypeError, match=message):
            call(found)


def test_decimals_are_numbers() -> None:
    arrow, polars = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    x = data(20).round(2)
    for kind in (arrow.decimal128(20, 2), arrow.decimal256(50, 2)):
        columns = [arrow.array(x[:, i]).cast(kind) for i in range(3)]
        table = arrow.table([*columns, arrow.array(x[:, 3])], names=NAMES)
        assert_same(table, x)
        np.testing.assert_allclose(fm.PCA(2).fit(table).mean_, x.mean(axis=0), atol=1e-12)
    frame = polars.from_arrow(table_of(x, arrow))
    for names in (NAMES, NAMES[:1]):
        assert_same(frame.cast(dict.fromkeys(names, polars.Decimal(20, 2))), x)


def test_names_of_columns_are_different_ones() -> None:
    arrow, pandas = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    x = data()
    table = arrow.table(list(x.T), names=["a", "b", "a", "c"])
    frame = pandas.DataFrame(x, columns=["a", "b", "a", "c"])
    for call in (fm.PCA(2).fit, fm.PCA(2).partial_fit):
        for source in (table, iter([table]), iter([frame])):
            with pytest.raises(ValueError, match="X: expected columns of different names, got 'a'"):
                call(source)
    assert_same(table, x)  # names are nothing to moments
    assert_same(frame, x)


def test_warnings_name_the_line_of_the_call() -> None:
    pandas = pytest.importorskip("pandas")
    x = data()
    frame = pandas.DataFrame(x, columns=NAMES)
    named, plain = fm.PCA(2).fit(frame), fm.PCA(2).fit(x)
    further = fm.PCA(2).partial_fit(frame)
    calls = [
        lambda: named.transform(iter([x])),
        lambda: named.project(iter([x])),
        lambda: plain.reconstruction_errors(iter([frame])),
        lambda: plain.score_samples(iter([frame])),
        lambda: plain.score(iter([frame])),
        lambda: further.partial_fit(iter([x])),
        lambda: plain.partial_fit(x),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match="X: expected columns|starts anew") as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__]
