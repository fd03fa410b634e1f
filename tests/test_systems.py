"""solve, inv, det, eigh: the names of numpy.linalg, with its results, types and exceptions."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import frozen
from numpy.linalg import LinAlgError

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import SMALL_ROWS, Kernels

theirs = pytest.importorskip("numpy.linalg.tests.test_linalg")

NAMES = ("solve", "inv", "det", "eigh")


@pytest.fixture(autouse=True)
def on_variant(variant: Kernels) -> Iterator[None]:
    """Every test runs on every backend and CPU level."""
    with _backend.use_kernels(variant):
        yield


# ---- NumPy's own tests, with our functions in place of theirs ----


@pytest.fixture
def in_place_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of the tests sees our functions; NumPy itself keeps its own."""
    ours = {name: getattr(fm, name) for name in NAMES}
    linalg = SimpleNamespace(**(vars(np.linalg) | ours))
    monkeypatch.setattr(theirs, "linalg", linalg)
    monkeypatch.setattr(theirs, "np", SimpleNamespace(**(vars(np) | {"linalg": linalg})))


@pytest.mark.usefixtures("in_place_of_numpy")
class TestSolve(theirs.TestSolve):  # type: ignore[misc,name-defined]
    pass


@pytest.mark.usefixtures("in_place_of_numpy")
class TestInv(theirs.TestInv):  # type: ignore[misc,name-defined]
    pass


@pytest.mark.usefixtures("in_place_of_numpy")
class TestDet(theirs.TestDet):  # type: ignore[misc,name-defined]
    pass


@pytest.mark.usefixtures("in_place_of_numpy")
class TestEigh(theirs.TestEigh):  # type: ignore[misc,name-defined]
    pass


@pytest.mark.usefixtures("in_place_of_numpy")
class TestEighCases(theirs.TestEighCases):  # type: ignore[misc,name-defined]
    pass


# ---- the same as NumPy ----


def outcome(call: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """Types and shapes of what comes back, or the exception."""
    try:
        result = call(*arguments)
    except Exception as error:
        return type(error), str(error)
    parts = result if isinstance(result, tuple) else (result,)
    return tuple((type(part), part.dtype, part.shape) for part in parts)


def assert_same_outcome(name: str, *arguments: Any) -> None:
    expected = outcome(getattr(np.linalg, name), *arguments)
    assert outcome(getattr(fm, name), *arguments) == expected


TYPES = ("?", "i1", "u2", "i4", "i8", "u8", "f4", "f8", "c8", "c16", ">f4", ">f8", ">i2", ">c8")
REFUSED = ("f2", "g", "G", "O")


@pytest.mark.parametrize("dtype", TYPES + REFUSED)
def test_types(dtype: str) -> None:
    a = np.array([[1, 0], [0, 1]]).astype(dtype)
    for name in NAMES[1:]:
        assert_same_outcome(name, a)
    for other in TYPES:
        assert_same_outcome("solve", a, np.ones(2).astype(other))


@pytest.mark.parametrize(
    "a", [(), (2,), (2, 3), (3, 3), (2, 1, 3, 3), (0, 3, 3), (4, 0, 0), (2, 17, 17), (1, 1)]
)
@pytest.mark.parametrize(
    "b", [(), (3,), (1,), (3, 2), (2, 3), (3, 0), (2, 3, 1), (5, 1, 3, 2), (0, 3, 3), (17, 1)]
)
def test_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    matrices = np.ones(a) if len(a) < 2 else np.ones(a) + np.arange(1, a[-2] + 1)[:, None] ** 0.5
    if len(a) >= 2 and a[-1] == a[-2]:
        matrices = matrices + 9 * np.eye(a[-1])
    assert_same_outcome("solve", matrices, np.ones(b))
    for name in NAMES[1:]:
        assert_same_outcome(name, matrices)


def test_shapes_that_do_not_broadcast() -> None:
    assert_same_outcome("solve", np.ones((3, 2, 2)), np.ones((4, 2, 1)))


def test_signatures() -> None:
    for name in NAMES:
        ours, numpys = (inspect.signature(getattr(m, name)).parameters for m in (fm, np.linalg))
        assert list(ours) == list(numpys)
        assert [p.default for p in ours.values()] == [p.default for p in numpys.values()]


@pytest.mark.parametrize("uplo", ["X", "", "lower", None, 1])
def test_wrong_triangle(uplo: Any) -> None:
    assert_same_outcome("eigh", np.eye(2), uplo)


def test_subclasses_and_lists() -> None:
    class Special(np.ndarray):
        pass

    for a in (np.eye(2).view(Special), np.ma.masked_array(np.eye(2)), [[1, 2], [2, 1]]):
        for name in NAMES[1:]:
            assert_same_outcome(name, a)
        assert_same_outcome("solve", a, np.ones(2))
        assert_same_outcome("solve", np.eye(2), a)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        assert_same_outcome("inv", np.matrix(np.eye(2)))


def test_other_arrays_are_numpys_to_dispatch_on() -> None:
    class Other:
        __array_wrap__ = None

        def __array_function__(self, function: Any, *_: Any) -> tuple[str, str]:
            return function.__name__, "dispatched"

    other: Any = Other()
    for name in NAMES[1:]:
        assert getattr(fm, name)(other) == (name, "dispatched")
    assert fm.solve(other, np.ones(2)) == ("solve", "dispatched")
    assert fm.solve(np.eye(2), other) == ("solve", "dispatched")


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 16, 17])
def test_values(n: int, dtype: str) -> None:
    random = np.random.default_rng(n)
    a = (random.standard_normal((3, 5, n, n)) + 3 * np.eye(n)).astype(dtype)
    if dtype[0] == "c":
        a += 1j * random.standard_normal(a.shape).astype(a.real.dtype)
    symmetric = a + a.conj().swapaxes(2, 3)
    b = random.standard_normal((5, n, 2)).astype(dtype)
    close = {"rtol": 1e-4 if a.real.dtype == np.float32 else 1e-9}
    np.testing.assert_allclose(fm.solve(a, b), np.linalg.solve(a, b), **close, atol=close["rtol"])
    np.testing.assert_allclose(
        fm.solve(a, b[0, :, 0]), np.linalg.solve(a, b[0, :, 0]), **close, atol=close["rtol"]
    )
    np.testing.assert_allclose(fm.inv(a), np.linalg.inv(a), **close, atol=close["rtol"])
    np.testing.assert_allclose(fm.det(a), np.linalg.det(a), **close)
    for triangle in ("L", "u"):
        values, vectors = fm.eigh(symmetric, triangle)
        expected = np.linalg.eigh(symmetric, triangle)[0]
        np.testing.assert_allclose(values, expected, **close, atol=20 * close["rtol"])
        restored = vectors * values[..., None, :] @ vectors.conj().swapaxes(2, 3)
        np.testing.assert_allclose(restored, symmetric, **close, atol=20 * close["rtol"])


def test_only_a_triangle_is_read() -> None:
    a = np.array([[2.0, np.nan, np.nan], [1.0, 3.0, np.nan], [0.0, 1.0, 4.0]])
    expected = np.linalg.eigvalsh(np.tril(a) + np.tril(a, -1).T)
    for triangle, matrix in (("L", a), ("U", a.T)):
        np.testing.assert_allclose(fm.eigh(matrix, triangle).eigenvalues, expected)  # type: ignore[arg-type]


# ---- singular matrices, NaN ----


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 16, 17])
def test_singular(n: int) -> None:
    a = np.tile(np.eye(n), (9, 1, 1))
    a[5, n // 2] = 0
    for call in (lambda: fm.inv(a), lambda: fm.solve(a, np.ones(n)), lambda: fm.solve(a, a)):
        with pytest.raises(LinAlgError, match="^Singular matrix$"):
            call()
    assert fm.det(a).tolist() == [1] * 5 + [0] + [1] * 3


def test_nan_and_infinity_in_a_symmetric_matrix() -> None:
    for value in (np.nan, np.inf, -np.inf):
        for n in (3, 8, 16):
            a = np.tile(np.eye(n), (5, 1, 1))
            a[2, 2, 1] = value
            with pytest.raises(LinAlgError, match="^Eigenvalues did not converge$"):
                fm.eigh(a)
        values, vectors = fm.eigh([[1.0, 7.0], [value, 1.0]])
        assert np.isnan(values).all()
        assert np.isnan(vectors).all()
        assert fm.eigh([[value]]).eigenvectors == 1
        np.testing.assert_array_equal(fm.eigh([[value]]).eigenvalues, [value])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_warns(name: str) -> None:
    """NumPy's det warns of an invalid value; ours takes NaN for what it is."""
    a = np.array([[np.nan, 1e308], [1e308, 1e308]])
    with np.errstate(all="raise"):
        getattr(fm, name)(*([a, a] if name == "solve" else [a]))


# ---- layouts ----


def layouts(a: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """The same values, held in every way that NumPy knows."""
    yield frozen(a)
    yield np.asfortranarray(a)
    yield a.astype(a.dtype.newbyteorder())
    yield a[::-1, ::-1].copy()[::-1, ::-1]
    shifted = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    shifted[:] = a
    yield shifted
    fields = np.zeros(a.shape, [("flag", "i1"), ("value", a.dtype)])
    fields["value"] = a
    yield fields["value"]
    spread = np.zeros((*a.shape, 3), a.dtype)
    spread[..., 1] = a
    yield spread[..., 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_layouts(name: str, dtype: Any) -> None:
    a = (np.random.default_rng(0).standard_normal((7, 3, 3)) + 2 * np.eye(3)).astype(dtype)

    def call(matrices: Any) -> tuple[Any, ...]:
        if name == "solve":
            return (fm.solve(matrices, matrices[..., :1]),)
        result = getattr(fm, name)(matrices)
        return tuple(result) if name == "eigh" else (result,)

    for other in layouts(a):
        before = other.copy()
        for part, expected in zip(call(other), call(a), strict=True):
            np.testing.assert_array_equal(part, expected)
        np.testing.assert_array_equal(other, before)


def test_one_matrix_for_many_vectors() -> None:
    random = np.random.default_rng(1)
    a, b = random.standard_normal((4, 4)), random.standard_normal((1000, 4, 1))
    together = fm.solve(a, b)
    assert together.shape == (1000, 4, 1)
    np.testing.assert_array_equal(together, fm.solve(np.broadcast_to(a, (1000, 4, 4)), b))
    np.testing.assert_array_equal(together[17], fm.solve(a, b[17]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_a_matrix_alone_is_that_of_a_stack(name: str, dtype: Any) -> None:
    """Bit for bit, though alone it goes past the checks."""
    for n in (1, 2, 3, 4, 7, 16):
        a = np.random.default_rng(n).standard_normal((1200, n, n)).astype(dtype)

        def call(matrices: Any, n: int = n, name: str = name) -> tuple[Any, ...]:
            if name == "solve":
                return (fm.solve(matrices, np.ones((n, 2), dtype)),)
            result = getattr(fm, name)(matrices)
            return tuple(result) if name == "eigh" else (result,)

        for alone, together in zip(call(a[999]), call(a), strict=True):
            np.testing.assert_array_equal(alone, together[999])


@given(
    n=st.integers(1, SMALL_ROWS),
    left=st.sampled_from([(), (1,), (3,), (2, 1), (2, 3)]),
    right=st.sampled_from([(), (1,), (3,), (2, 1), (2, 3)]),
    columns=st.integers(1, 4),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_broadcasting(
    n: int, left: tuple[int, ...], right: tuple[int, ...], columns: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    a = random.standard_normal((*left, n, n)) + 3 * np.eye(n)
    b = random.standard_normal((*right, n, columns))
    x = fm.solve(a, b)
    assert x.shape == (*np.broadcast_shapes(left, right), n, columns)
    np.testing.assert_allclose(a @ x, np.broadcast_to(b, x.shape), atol=1e-9)


# ---- change_of_basis ----


def test_change_of_basis() -> None:
    random = np.random.default_rng(2)
    a, basis = random.standard_normal((2, 20, 4, 4))
    other = fm.change_of_basis(a, basis)
    coordinates = random.standard_normal((20, 4, 1))
    np.testing.assert_allclose(basis @ (other @ coordinates), a @ (basis @ coordinates), rtol=1e-8)
    np.testing.assert_allclose(fm.change_of_basis(other, fm.inv(basis)), a, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(fm.det(other), fm.det(a), rtol=1e-8)
    np.testing.assert_allclose(
        np.trace(other, axis1=1, axis2=2), np.trace(a, axis1=1, axis2=2), rtol=1e-7
    )
    np.testing.assert_array_equal(
        fm.change_of_basis(a[0], basis)[3], fm.change_of_basis(a[0], basis[3])
    )


def test_eigenvectors_are_the_basis_in_which_the_matrix_is_diagonal() -> None:
    a = np.array([[2, 1, 0], [1, 2, 1], [0, 1, 2]])
    values, vectors = fm.eigh(a)
    np.testing.assert_allclose(fm.change_of_basis(a, vectors), np.diag(values), atol=1e-14)


def test_change_of_basis_refuses_what_is_no_basis() -> None:
    with pytest.raises(LinAlgError, match="Singular matrix"):
        fm.change_of_basis(np.eye(2), [[1, 2], [2, 4]])
    with pytest.raises(ValueError, match="a: expected at least 2 dimensions, got 1"):
        fm.change_of_basis([1, 2], np.eye(2))
    with pytest.raises(LinAlgError, match="square"):
        fm.change_of_basis(np.eye(2), [[1, 2, 3], [4, 5, 6]])
    with pytest.raises(ValueError, match="basis: expected 3 rows"):
        fm.change_of_basis(np.eye(3), np.eye(2))
