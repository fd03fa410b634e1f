"""`fastmml.StreamingQR`: rows in chunks, with the results of all rows at once."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_orthogonal import conditioned

import fastmml as fm
from fastmml import _backend, streaming
from fastmml._kernels import Kernels

Array = Any


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


def streamed(a: Array, b: Array | None, chunk: int) -> fm.StreamingQR:
    stream = fm.StreamingQR()
    for start in range(0, len(a), chunk):
        rows = slice(start, start + chunk)
        stream.update(a[rows], None if b is None else b[rows])
    return stream


@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e12, 1e15])
@pytest.mark.parametrize("chunk", [1, 7, 64, 300, 2000])
def test_the_factor_at_any_condition(condition: float, chunk: int) -> None:
    a = conditioned(2000, 6, condition, np.float64)
    r = streamed(a, None, chunk).r
    pieces = -(-2000 // max(chunk, 48))
    assert not np.tril(r, -1).any()
    wide_r, wide_a = r.astype(np.longdouble), a.astype(np.longdouble)
    rest = (wide_r.T @ wide_r - wide_a.T @ wide_a).astype(np.float64)
    assert np.linalg.norm(rest) <= 10 * 6 * np.finfo(float).eps * (1 + pieces**0.5)
    # Rows of another matrix with nearly this factor: its solution of least norm is as near.
    np.testing.assert_allclose(np.abs(r[0]), np.abs(np.linalg.qr(a, "r")[0]), atol=1e-14)


@pytest.mark.parametrize("condition", [1, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_solutions_are_backward_stable(condition: float, columns: tuple[int, ...]) -> None:
    a = conditioned(1000, 7, condition, np.float64)
    x = np.random.default_rng(1).normal(size=(7, *columns))
    found = streamed(a, a @ x, 130).lstsq()
    assert found.rank == 7
    assert found.x.shape == x.shape
    assert np.linalg.norm(found.x - x) <= 3e-14 * condition * np.linalg.norm(x)
    expected = np.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(found.singular_values, expected, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 9),
    sides=st.integers(1, 3),
    chunk=st.integers(1, 70),
    dtype=st.sampled_from(["f", "d", "F", "D"]),
    alpha=st.sampled_from([0.0, 0.5]),
)
def test_what_lstsq_returns(
    rows: int, columns: int, sides: int, chunk: int, dtype: str, alpha: float
) -> None:
    rng = np.random.default_rng(rows)
    a, b = (rng.normal(size=(rows, n)) + 0j for n in (columns, sides))
    if dtype in "FD":
        a, b = a + 1j * rng.normal(size=a.shape), b + 1j * rng.normal(size=b.shape)
    a, b = (x.astype(dtype) if dtype in "FD" else x.real.astype(dtype) for x in (a, b))
    stream = streamed(a, b, chunk)
    found, expected = stream.lstsq(alpha=alpha), fm.lstsq(a, b, alpha=alpha)
    assert stream.rows == rows
    assert stream.r.shape == (min(rows, columns), columns)
    assert found.rank == expected.rank
    condition = expected.singular_values[0] / expected.singular_values[-1]
    tolerance = 1e3 * float(np.finfo(dtype).eps) * condition**2
    for ours, theirs in zip(found, expected, strict=True):
        assert np.shape(ours) == np.shape(theirs)
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_least_norm_where_columns_are_dependent() -> None:
    a = np.random.default_rng(3).normal(size=(300, 6))
    a[:, 4] = a[:, 1] + a[:, 2]
    b = np.random.default_rng(4).normal(size=300)
    found, expected = streamed(a, b, 50).lstsq(), np.linalg.lstsq(a, b)
    assert (found.rank, found.residuals.shape) == (5, (0,))
    np.testing.assert_allclose(found.x, expected[0], rtol=1e-10)
    assert streamed(a, b, 50).lstsq(1e-30).rank >= 5


@pytest.mark.parametrize("types", ["fd", "df", "fdd", "ddfd"])
@pytest.mark.parametrize("rows", [3, 90])
def test_the_least_precise_chunk_sets_the_rank(types: str, rows: int) -> None:
    """A column depends on the others up to the rounding errors of float32."""
    stream, merged = fm.StreamingQR(), fm.StreamingQR()
    for seed, dtype in enumerate(types):
        a = np.random.default_rng(seed).normal(size=(rows, 4))
        a[:, 3] = (a[:, :3] @ [0.1, 0.2, 0.3]).astype(np.float32)
        stream.update(a.astype(dtype), np.ones(rows, dtype))
        merged.merge(fm.StreamingQR().update(a.astype(dtype), np.ones(rows, dtype)))
    assert stream.lstsq().rank == merged.lstsq().rank == 3
    assert pickle.loads(pickle.dumps(stream)).lstsq().rank == 3


def test_merging_is_taking_all_rows() -> None:
    a, b = conditioned(500, 4, 100, np.float64), np.random.default_rng(5).normal(size=500)
    whole = streamed(a, b, 100).lstsq()
    for cut in (0, 3, 250, 500):
        first, second = streamed(a[:cut], b[:cut], 60), streamed(a[cut:], b[cut:], 90)
        second = pickle.loads(pickle.dumps(second))
        assert first.merge(second) is first
        assert first.rows == 500
        np.testing.assert_allclose(first.lstsq().x, whole.x, rtol=1e-12)
        np.testing.assert_allclose(first.lstsq().residuals, whole.residuals, rtol=1e-12)
        first.update(a[:5], b[:5])
        assert second.rows == 500 - cut
    assert fm.StreamingQR().merge(fm.StreamingQR()).rows == 0


def test_chunks_may_be_reused_and_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_PIECE", 1 << 10)
    a, b = np.random.default_rng(6).normal(size=(2000, 5)), np.ones(2000)
    np.save(tmp_path / "a.npy", a)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    expected = np.linalg.lstsq(a, b)[0]
    np.testing.assert_allclose(fm.StreamingQR().update(mapped, b).lstsq().x, expected, rtol=1e-10)
    stream, buffer = fm.StreamingQR(), np.empty((4, 5))
    for start in range(0, 2000, 4):
        buffer[:] = a[start : start + 4]
        stream.update(buffer, b[:4])
    np.testing.assert_allclose(stream.lstsq().x, expected, rtol=1e-10)


def test_numbers_of_all_sizes() -> None:
    a, b = np.random.default_rng(7).normal(size=(400, 3)), np.ones(400)
    expected = np.linalg.lstsq(a, b)[0]
    for scale in (1e-150, 1e150):
        found = streamed(scale * a, scale * b, 100).lstsq().x
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def wrong_in_row(row: int) -> Array:
    rows = np.ones((200, 2))
    rows[row, 1] = np.nan
    return rows


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.update(np.ones(3), np.ones(3)), ValueError, "a: expected shape"),
        (lambda s: s.update(np.ones((3, 0)), np.ones(3)), ValueError, "a: expected shape"),
        (lambda s: s.update(np.ones((3, 2)), np.ones(4)), ValueError, "b: expected shape"),
        (lambda s: s.update(np.ones((3, 2)), np.ones((3, 0))), ValueError, "b: expected shape"),
        (lambda s: s.update(np.ones((3, 3)), np.ones(3)), ValueError, "expected 2 columns with"),
        (lambda s: s.update(np.ones((3, 2))), ValueError, "got 2 columns without"),
        (lambda s: s.update(np.ones((3, 2)), np.ones((3, 1))), ValueError, r"\(m, 1\)"),
        (lambda s: s.update(np.full((3, 2), np.nan), np.ones(3)), ValueError, "a: .* NaN in row 0"),
        (lambda s: s.update(np.full((99, 2), np.inf), np.ones(99)), ValueError, "a: .* infinity"),
        (
            lambda s: s.update(wrong_in_row(150), np.ones(200)),
            ValueError,
            "a: .* NaN in row 150, column 1",
        ),
        (lambda s: s.update(np.ones((200, 2)), wrong_in_row(7)[:, 1]), ValueError, "b: .* index 7"),
        (
            lambda s: s.update(iter(np.split(wrong_in_row(150), 4)), np.ones(200)),
            ValueError,
            "row 150, column 1",
        ),
        (
            lambda s: s.update(np.full((99, 2), 1e308), np.ones(99)),
            ValueError,
            "a, b: .* overflows",
        ),
        (lambda s: s.update(np.ones((3, 2), "e"), np.ones(3)), TypeError, "a: expected whole"),
        (lambda s: s.update(np.ones((3, 2)), ["1", "2", "3"]), TypeError, "b: expected whole"),
        (lambda s: s.merge(fm.StreamingQR().update(np.ones((9, 2)))), ValueError, "other: exp"),
        (lambda s: s.merge(np.ones(3)), TypeError, "other: expected a StreamingQR"),
        (lambda s: s.lstsq(alpha=-1), ValueError, "alpha: expected"),
    ],
)
def test_refusals_change_nothing(call: Any, error: type[Exception], message: str) -> None:
    stream = fm.StreamingQR().update(np.eye(2), np.ones(2))
    with np.errstate(all="ignore"), pytest.raises(error, match=message):
        call(stream)
    np.testing.assert_array_equal(stream.lstsq().x, [1, 1])
    assert stream.rows == 2


def test_masked_right_hand_sides_are_not_uncovered() -> None:
    a, b = np.eye(3), np.arange(3.0)
    stream = fm.StreamingQR().update(a, b)
    with pytest.raises(ValueError, match="b: expected no masked numbers, got 1"):
        stream.update(a, np.ma.masked_greater(b, 1))
    assert stream.rows == 3


def test_nothing_to_solve() -> None:
    with pytest.raises(ValueError, match="expected rows with right-hand sides"):
        fm.StreamingQR().lstsq()
    with pytest.raises(ValueError, match="expected rows with right-hand sides"):
        fm.StreamingQR().update(np.eye(3)).lstsq()
    assert fm.StreamingQR().r.shape == (0, 0)
