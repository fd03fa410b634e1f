"""Rows in chunks: mapped files, frames, Arrow, iterators; moments and PCA of them, and memory."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
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

Array = Any
FLOATS = [np.float64, np.float32]
#: Relative errors that are allowed: of float32 and of float64 data.
LIMIT = {"f": 1e-5, "d": 1e-12}
NAMES = ["a", "b", "c", "d"]


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
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(table, folder / "rows.parquet", row_group_size=80)
    if kind == "ParquetFile":
        return parquet.ParquetFile(folder / "rows.parquet")
    return pytest.importorskip("pyarrow.dataset").dataset(folder / "rows.parquet")


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
@pytest.mark.parametrize(
    "kind", ["Table", "RecordBatch", "RecordBatchReader", "ParquetFile", "Dataset"]
)
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
