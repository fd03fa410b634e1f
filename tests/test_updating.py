"""`fastmml.QR`: the factorisation stays one of its matrix, whatever is added and dropped."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from test_orthogonal import SPECIAL, conditioned, special

import fastmml as fm
from fastmml import _backend, updating
from fastmml._kernels import Kernels

Array = Any


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


def assert_holds(factors: fm.QR, a: Array, changes: int = 1, before: float = 0) -> None:
    """Errors of a few changes, and of rows and columns of this norm that are no longer there."""
    k, eps = min(a.shape), float(np.finfo(factors.R.dtype).eps)
    assert (factors.shape, factors.Q.shape) == (a.shape, (len(a), k))
    assert factors.R.shape == (k, a.shape[1])
    assert not np.tril(factors.R, -1).any()
    assert fm.orthogonality(factors.Q) <= 10 * max(k, 1) * eps
    scale = np.abs(a).max(initial=0) or 1.0
    rest = factors.Q @ (factors.R / scale) - a / scale
    limit = 10 * max(k, 1) * eps * changes * max(np.linalg.norm(a / scale), before / scale)
    assert np.linalg.norm(rest) <= limit


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e12, 1e15])
def test_columns_at_any_condition(condition: float, dtype: Any) -> None:
    a = conditioned(300, 9, condition, np.float64).astype(dtype)
    factors = fm.QR(a[:, :4]).append(a[:, 4]).append(a[:, 5:])
    assert_holds(factors, a, 3)
    assert_holds(factors.drop(0), a[:, 1:], 4)
    assert_holds(factors.drop([1, 4]), np.delete(a[:, 1:], [1, 4], axis=1), 5)
    assert_holds(factors.drop(slice(3, None)), np.delete(a[:, 1:], [1, 4], axis=1)[:, :3], 6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_matrices(name: str, dtype: Any) -> None:
    a = special(name, dtype)
    factors = fm.QR(a[:, :1])
    for j in range(1, 12):
        factors.append(a[:, j])
    assert_holds(factors, a, 12)
    assert_holds(fm.QR(a[:, :5]).append(a[:, 5:]).drop(2), np.delete(a, 2, axis=1), 2)


@pytest.mark.parametrize("condition", [1, 1e12])
def test_many_changes(condition: float) -> None:
    rng = np.random.default_rng(1)
    a = conditioned(120, 8, condition, np.float64)
    factors = fm.QR(a)
    for turn in range(400):
        dropped = int(rng.integers(8))
        new = conditioned(120, 8, condition, np.float64, turn)[:, 0]
        a = np.column_stack([np.delete(a, dropped, axis=1), new])
        factors.drop(dropped).append(new)
    assert_holds(factors, a, 20)  # errors of 800 changes, which cancel for the most part


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(0, 12),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 99)), max_size=12
    ),
)
def test_any_sequence(rows: int, columns: int, steps: list[tuple[int, int, int]]) -> None:
    a = np.random.default_rng(rows).normal(size=(rows, columns))
    factors, before = fm.QR(a), 0.0
    for kind, count, seed in steps:
        before = max(before, float(np.linalg.norm(a)))
        rng = np.random.default_rng(seed)
        if kind == 0:
            new = rng.integers(-2, 3, size=(len(a), count))
            a = np.hstack([a, new])
            factors.append(new)
        elif kind == 1:
            new = rng.normal(size=(count, a.shape[1]))
            a = np.vstack([a, new])
            factors.append_rows(new)
        else:
            axis = 3 - kind
            index = rng.permutation(a.shape[axis])[:count]
            if axis == 0 and len(a) <= count:
                continue
            a = np.delete(a, index, axis=axis)
            (factors.drop if axis else factors.drop_rows)(index)
    assert_holds(factors, a, len(steps) + 1, before)


@pytest.mark.parametrize("condition", [1, 1e8, 1e14])
def test_rows(condition: float) -> None:
    a = conditioned(400, 6, condition, np.float64)
    factors = fm.QR(a[:100]).append_rows(a[100]).append_rows(a[101:])
    assert_holds(factors, a, 3)
    assert_holds(factors.drop_rows(range(0, 390)), a[390:], 4)
    assert_holds(factors.drop_rows(slice(0, 8)), a[398:], 5)


def test_a_row_that_alone_carries_a_column() -> None:
    a = np.random.default_rng(2).normal(size=(50, 3))
    a[:, 2] = 0
    a[17, 2] = 1e8
    assert_holds(fm.QR(a).drop_rows(17), np.delete(a, 17, axis=0) + 0, 10**9)
    factors = fm.QR(a).drop_rows(17)
    assert fm.orthogonality(factors.Q) <= 30 * np.finfo(float).eps


@pytest.mark.parametrize("shape", [(60, 5), (6, 5), (4, 6)])
@pytest.mark.parametrize("columns", [(), (3,)])
@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_lstsq(shape: tuple[int, int], columns: tuple[int, ...], alpha: float) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=shape), rng.normal(size=(shape[0], *columns))
    found = fm.QR(a[:, :2]).append(a[:, 2:]).lstsq(b, alpha=alpha)
    expected = fm.lstsq(a, b, alpha=alpha)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("other", ["b", "f", "d", "F", "D"])
def test_the_precision_stays(dtype: str, other: str) -> None:
    a = np.random.default_rng(5).integers(-9, 9, size=(40, 4)).astype(dtype)
    kind = np.result_type(dtype, "F") if other in "FD" else np.dtype(dtype)
    for found in (
        fm.QR(a[:, :2]).append(a[:, 2:].real.astype(other)),
        fm.QR(a[:30]).append_rows(a[30:].real.astype(other)),
    ):
        assert found.Q.dtype == found.R.dtype == kind
        assert_holds(found, a)
    if dtype in "fF":
        third = 0.1 * a[:, :2].astype("D") @ [1, 3]
        rank = fm.QR(a[:, :2]).append(third.real.astype("d") if dtype == "f" else third)
        assert rank.lstsq(np.ones(40)).rank == 2
        with pytest.raises(ValueError, match="columns: expected finite"):
            rank.append(np.full(40, 1e200))


def test_what_was_given_and_what_is_shown_stay() -> None:
    a = np.random.default_rng(4).normal(size=(30, 3))
    before = a.copy()
    factors = fm.QR(a)
    q, other = factors.Q, copy.copy(factors)
    shown = q.copy()
    factors.append(np.ones(30)).drop(0)
    np.testing.assert_array_equal(a, before)
    np.testing.assert_array_equal(q, shown)
    assert_holds(other, a)
    with pytest.raises(ValueError, match="read-only"):
        factors.R[0, 0] = 1


def test_copies_go_their_own_way() -> None:
    rng = np.random.default_rng(6)
    a, new = rng.normal(size=(40, 3)), rng.normal(size=(2, 40))
    factors = fm.QR(a)
    for other in (copy.copy(factors), copy.deepcopy(factors), pickle.loads(pickle.dumps(factors))):
        factors.append(new[0])
        other.append(new[1]).drop(0).append_rows(np.ones(3))
        assert_holds(factors, np.column_stack([a, new[0]]), 2)
        expected = np.column_stack([a, new[1]])[:, 1:]
        assert_holds(other, np.vstack([expected, np.ones(3)]), 3)
        factors.drop(3)
        assert_holds(factors, a, 8)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("shape", [(300, 40), (5000, 6), (40, 40)])
def test_few_changes_and_many(shape: tuple[int, int], dtype: str) -> None:
    """By rotations, and by products."""
    rng = np.random.default_rng(7)
    a = rng.normal(size=shape).astype(dtype)
    a = a + (1j * rng.normal(size=shape)).astype(dtype) if dtype in "FD" else a
    for index in (0, -1, [2, 4], slice(0, 5), slice(1, None, 2), slice(0, 0)):
        assert_holds(fm.QR(a).drop(index), np.delete(a, index, axis=1))
        assert_holds(fm.QR(a).drop_rows(index), np.delete(a, index, axis=0))
    for count in (0, 1, 3, 100):
        new = a[:1] * rng.normal(size=(count, 1)).astype(dtype)
        assert_holds(fm.QR(a).append_rows(new), np.vstack([a, new]))
        new = a[:, :1] * rng.normal(size=(1, count)).astype(dtype)
        assert_holds(fm.QR(a).append(new), np.hstack([a, new]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: fm.QR(np.ones(3)), ValueError, "a: expected shape"),
        (lambda f: fm.QR(np.ones((0, 3))), ValueError, "a: expected shape"),
        (lambda f: fm.QR([[np.nan]]), ValueError, "a: .* NaN in row 0, column 0"),
        (lambda f: fm.QR([["x"]]), TypeError, "a: expected whole"),
        (lambda f: f.append(np.ones(4)), ValueError, r"columns: expected shape \(5, p\)"),
        (lambda f: f.append(np.full(5, np.inf)), ValueError, "columns: .* infinity in row 0"),
        (lambda f: f.append_rows(np.ones(4)), ValueError, r"rows: expected shape \(p, 2\)"),
        (lambda f: f.drop(2), IndexError, "index: .*out of bounds"),
        (lambda f: f.drop_rows([5]), IndexError, "index: .*out of bounds"),
        (lambda f: f.drop([0.5]), IndexError, "index: "),
        (lambda f: f.drop([True]), ValueError, "index: "),
        (lambda f: f.drop(np.ma.masked_array([0, 1], [1, 0])), ValueError, "index: .*masked"),
        (lambda f: f.drop_rows(slice(None)), ValueError, "index: expected at least one row"),
        (lambda f: f.lstsq(np.ones(4)), ValueError, "b: expected shape"),
        (lambda f: fm.QR(np.ones((3, 0))).lstsq(np.ones(3)), ValueError, "with columns"),
    ],
)
def test_refusals_change_nothing(call: Any, error: type[Exception], message: str) -> None:
    a = np.eye(5, 2)
    factors = fm.QR(a)
    with pytest.raises(error, match=message):
        call(factors)
    assert_holds(factors, a)


class _Interrupted:
    """SciPy's updates, whose deletion is interrupted after it has changed the factors."""

    @staticmethod
    def qr_delete(*args: Any) -> None:
        scipy.linalg.qr_delete(*args)
        raise KeyboardInterrupt


@pytest.mark.parametrize("is_shown", [False, True])
@pytest.mark.parametrize("index", [0, slice(0, 14)])
def test_an_interrupted_drop_answers_rightly_or_not_at_all(
    is_shown: bool, index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = conditioned(300, 20, 100, np.float64)
    factors = fm.QR(a)
    kept = factors.Q if is_shown else None
    blocks = iter((False, True))

    def interrupted(x: Array, y: Array) -> Array:
        if next(blocks):
            raise KeyboardInterrupt
        return x @ y

    monkeypatch.setattr(updating, "_ROWS", 200)
    monkeypatch.setattr(updating, "_updates", _Interrupted)
    monkeypatch.setattr(updating, "_are_few", lambda changes, *_: changes == 1)
    monkeypatch.setattr(updating, "matmul", interrupted)
    with pytest.raises(KeyboardInterrupt):
        factors.drop(index)
    monkeypatch.undo()
    if is_shown:
        assert_holds(factors, a)
        np.testing.assert_array_equal(kept, factors.Q)
        assert_holds(factors.drop(index), np.delete(a, index, axis=1), 2)
        return
    uses: list[Callable[[], Any]] = [
        lambda: factors.Q,
        lambda: factors.R,
        lambda: factors.shape,
        lambda: factors.append(a[:, 0]),
        lambda: factors.drop(0),
        lambda: factors.append_rows(a[0]),
        lambda: factors.drop_rows(0),
        lambda: factors.lstsq(a[:, 0]),
        lambda: copy.copy(factors),
    ]
    for use in uses:
        with pytest.raises(RuntimeError, match="drop was interrupted"):
            use()


@pytest.mark.parametrize("change", ["append", "append_rows", "drop_rows"])
def test_other_interrupted_changes_leave_all_as_it_was(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = conditioned(300, 6, 100, np.float64)
    factors = fm.QR(a)
    new = {"append": a[:, 0], "append_rows": a[0], "drop_rows": 3}[change]

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(updating, "_CHANGES", 1)
    monkeypatch.setattr(updating, "_restored", interrupted)
    with pytest.raises(KeyboardInterrupt):
        getattr(factors, change)(new)
    monkeypatch.undo()
    assert_holds(factors, a)
    assert_holds(factors.append(a[::-1, 1]), np.column_stack([a, a[::-1, 1]]), 2)
