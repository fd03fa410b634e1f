"""`fastmml.matmul` does what `numpy.matmul` does."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from products import DTYPES, LAYOUTS, assert_product, gamma, operand, strassen_bound

import fastmml as fm
from fastmml import _backend, _strassen
from fastmml._kernels import Kernels


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


# ---- shapes ----

SHAPES = [
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (6, 4, 5)),
    ((7, 1, 3, 4), (1, 6, 4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((0,), (0,)),
    ((0, 3, 4), (4, 5)),
    ((2, 3, 0), (0,)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_shapes(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = operand(left, "d", 1), operand(right, "d", 2)
    result, expected = fm.matmul(a, b), np.matmul(a, b)
    assert type(result) is type(expected)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ((3, 4), (5, 6), "b: expected 4 rows, as many as a has columns, got 5"),
        ((3, 4), (5,), "b: expected 4 rows"),
        ((3,), (4, 5), "b: expected 3 rows"),
        ((2, 3, 4), (3, 4, 5), "b: expected a stack of matrices that broadcasts"),
        ((), (3, 4), "a: expected at least 1 dimension, got a scalar"),
        ((3, 4), (), "b: expected at least 1 dimension, got a scalar"),
    ],
)
def test_wrong_shapes(left: tuple[int, ...], right: tuple[int, ...], message: str) -> None:
    a, b = np.ones(left), np.ones(right)
    with pytest.raises(ValueError, match="operand"):
        np.matmul(a, b)
    with pytest.raises(ValueError, match=message):
        fm.matmul(a, b)


# ---- types ----


@pytest.mark.parametrize("right", DTYPES)
@pytest.mark.parametrize("left", DTYPES)
def test_every_pair_of_types(left: str, right: str) -> None:
    a, b = operand((3, 4), left, 3), operand((4, 5), right, 4)
    if np.result_type(a, b).kind not in "biu":
        a, b = (x.astype(np.int8).astype(x.dtype) if x.dtype.kind in "iu" else x for x in (a, b))
    result = fm.matmul(a, b)
    assert result.dtype == np.matmul(a, b).dtype
    assert_product(result, a, b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_larger_products_of_every_type(dtype: str) -> None:
    a, b = operand((40, 300), dtype, 5), operand((300, 35), dtype, 6)
    assert_product(fm.matmul(a, b), a, b)


def test_bool_results_are_truth_values() -> None:
    a = np.ones((3, 5000), bool)
    assert set(fm.matmul(a, a.T).view(np.uint8).ravel().tolist()) == {1}


def test_bools_of_any_bytes_count_once() -> None:
    truths = np.array([[2, 0], [3, 1]], np.uint8).view(bool)
    whole = np.array([[1, 2], [3, 4]], np.int8)
    found = fm.matmul(truths, whole, dtype=np.int32)
    np.testing.assert_array_equal(found, [[1, 2], [4, 6]])


def test_stacks_of_bools() -> None:
    for m, k, n in ((3, 4, 5), (40, 35, 50)):
        a, b = operand((6, m, k), "?", 31), operand((k, n), "?", 32)
        assert_product(fm.matmul(a, b), a, b)
        assert_product(fm.matmul(a, b[:, 0]), a, b[:, 0])
        out = np.zeros((6, n, m), bool).swapaxes(1, 2)
        assert fm.matmul(a, b, out) is out
        assert_product(out, a, b)


@pytest.mark.parametrize("number", ["g", "G", "O", "U3", "S3", "M8[s]", "m8[s]", "V4"])
def test_types_without_kernels_are_refused(number: str) -> None:
    a, b = np.zeros((2, 2), number), np.ones((2, 2))
    for x, y in ((a, a), (a, b), (b, a)):
        with pytest.raises(TypeError):
            fm.matmul(x, y)


@pytest.mark.parametrize(
    ("left", "asked"), [("b", "i"), ("d", "f"), ("f", "d"), ("i", "f"), ("d", "D"), ("B", "b")]
)
def test_dtype(left: str, asked: str) -> None:
    a, b = operand((3, 4), left, 7), operand((4, 5), left, 8)
    result, expected = fm.matmul(a, b, dtype=asked), np.matmul(a, b, dtype=asked)
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("right", "?bBhH")
@pytest.mark.parametrize("left", "?bBhi")
def test_sums_of_32_bits(left: str, right: str) -> None:
    for asked in "iI":
        for shapes in (
            ((3, 5), (5, 4)),
            ((5,), (5, 2)),
            ((3, 40, 33), (33, 37)),
            ((2, 3, 4), (4, 5)),
        ):
            a, b = operand(shapes[0], left, 8), operand(shapes[1], right, 9)
            if not all(np.can_cast(x, asked, "same_kind") for x in (a, b)):
                continue
            for x, y in ((a, b), (LAYOUTS["big-endian"](a), b), (a[..., ::-1], b)):
                result, expected = (f(x, y, dtype=asked) for f in (fm.matmul, np.matmul))
                np.testing.assert_array_equal(result, expected, strict=True)


@pytest.mark.parametrize("layout", ["C", "Fortran", "strided", "misaligned"])
def test_sums_of_32_bits_in_given_memory(layout: str) -> None:
    a, b = operand((2, 35, 40), "b", 10), operand((40, 33), "B", 11)
    expected = np.matmul(a, b, dtype="i")
    out = LAYOUTS[layout](np.zeros((2, 35, 33), "i"))
    assert fm.matmul(a, b, out, dtype="i") is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(fm.matmul(a, b, np.zeros((2, 35, 33)), dtype="i"), expected)
    column = np.zeros(105, "i")[::3]
    fm.matmul(a[1], b[:, 2], column, dtype="i")
    np.testing.assert_array_equal(column, expected[1, :, 2])
    row = np.zeros((1, 99), "i")[:, ::3]
    fm.matmul(a[1, 3:4], b, row, dtype="i")
    np.testing.assert_array_equal(row, expected[1, 3:4])


def test_dtype_that_values_do_not_cast_to() -> None:
    a = np.ones((2, 2))
    with pytest.raises(TypeError, match="Cannot cast"):
        np.matmul(a, a, dtype=np.int64)
    with pytest.raises(TypeError, match="a: expected a dtype that casts to int64, got float64"):
        fm.matmul(a, a, dtype=np.int64)
    with pytest.raises(TypeError, match="dtype: expected bool, integers of at most 64 bits"):
        fm.matmul(a, a, dtype=object)


def test_lists() -> None:
    assert fm.matmul([[1, 2], [3, 4]], [1, 1]).tolist() == [3, 7]
    assert fm.matmul([1.5, 2], [2, 4]) == 11.0


# ---- layouts ----


@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_layouts(left: str, right: str) -> None:
    for dtype in ("d", "F", "h", "b"):
        for m, k, n in ((5, 6, 7), (1, 6, 7), (5, 6, 1)):
            a, b = operand((2, m, k), dtype, 9), operand((2, k, n), dtype, 10)
            x, y = LAYOUTS[left](a), LAYOUTS[right](b)
            before = x.tobytes(), y.tobytes()
            assert_product(fm.matmul(x, y), a, b)
            assert_product(fm.matmul(x[0], y[1]), a[0], b[1])
            assert (x.tobytes(), y.tobytes()) == before


def test_zero_strides() -> None:
    a = np.broadcast_to(operand((1, 6), "d", 11), (5, 6))
    b = np.broadcast_to(operand((6, 1), "d", 12), (6, 7))
    assert_product(fm.matmul(a, b), a, b)
    assert_product(fm.matmul(b.T, a.T), b.T, a.T)


def test_subclasses_are_plain_arrays() -> None:
    a = operand((3, 3), "d", 13)
    for other in (np.ma.masked_array(a), a.view(np.recarray)):
        assert type(fm.matmul(other, a)) is np.ndarray
        assert_product(fm.matmul(other, a), a, a)
    with pytest.raises(ValueError, match="b: expected no masked numbers, got"):
        fm.matmul(a, np.ma.masked_array(a, a > 0))


# ---- out ----


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["d", "D", "H", "b", "e", "?"])
def test_out(layout: str, dtype: str) -> None:
    if layout == "read-only":
        pytest.skip("tested below")
    for left, right in SHAPES:
        a, b = operand(left, dtype, 14), operand(right, dtype, 15)
        expected = np.asarray(fm.matmul(a, b))
        blank = np.full(expected.shape, 1, dtype)
        out = LAYOUTS[layout](blank) if blank.ndim > 1 and blank.size else blank
        assert fm.matmul(a, b, out) is out
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
        assert fm.matmul(a, b, out=(out,)) is out


def test_out_of_another_type() -> None:
    a = operand((4, 4), "f", 16)
    out = np.empty((4, 4), np.complex128)
    fm.matmul(a, a, out)
    np.testing.assert_array_equal(out, fm.matmul(a, a))
    with pytest.raises(TypeError, match="out: expected a dtype that float32 casts to, got int64"):
        fm.matmul(a, a, np.empty((4, 4), np.int64))


def test_out_of_more_matrices() -> None:
    a, b = operand((3, 4), "d", 17), operand((4, 5), "d", 18)
    out, expected = np.empty((2, 3, 5)), np.empty((2, 3, 5))
    fm.matmul(a, b, out)
    np.matmul(a, b, expected)
    np.testing.assert_allclose(out, expected, rtol=1e-13)


@pytest.mark.parametrize("shape", [(3, 4), (5,), (3, 5, 1), (0, 3, 5), (1, 5)])
def test_out_of_a_wrong_shape(shape: tuple[int, ...]) -> None:
    a, b = np.ones((3, 4)), np.ones((4, 5))
    out = np.full(shape, 7.0)
    if shape != (0, 3, 5):
        with pytest.raises(ValueError, match=r"out: expected shape \(3, 5\), .*non-broadcastable"):
            fm.matmul(a, b, out)
    assert np.all(out == 7)
    with pytest.raises(ValueError, match="non-broadcastable"):
        fm.matmul(np.ones((0, 1, 1)), np.ones((0, 1, 1)), np.ones((1, 1, 1)))


def test_out_that_cannot_be_written() -> None:
    a, out = np.ones((3, 3)), np.zeros((3, 3))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out: expected a writeable array, got a read-only one"):
        fm.matmul(a, a, out)
    with pytest.raises(TypeError, match="out: expected an array, got list"):
        fm.matmul(a, a, [[0.0] * 3] * 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["d", "f", "D", "i", "?"])
def test_out_overlaps_the_operands(dtype: str) -> None:
    a, b = operand((6, 6), dtype, 19), operand((6, 6), dtype, 20)
    expected = fm.matmul(a, b)
    for shared in range(2):
        pair = [a.copy(), b.copy()]
        fm.matmul(*pair, out=pair[shared])
        np.testing.assert_array_equal(pair[shared], expected)
    memory = operand((12, 6), dtype, 21)
    expected = fm.matmul(memory[:6], memory[6:])
    fm.matmul(memory[:6], memory[6:], out=memory[3:9])
    np.testing.assert_array_equal(memory[3:9], expected)


# ---- laws ----


def reversed_or_not(x: np.ndarray, flips: int) -> np.ndarray:
    """The same numbers, stored backwards along some axes."""
    for axis in range(x.ndim):
        if flips >> axis & 1:
            x = np.flip(np.flip(x, axis).copy(), axis)
    return x


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(0, 40)] * 3),
    stack=st.lists(st.integers(0, 3), max_size=2),
    dtype=st.sampled_from(DTYPES),
    flips=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    turned=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 1000),
)
def test_any_product(
    sizes: tuple[int, int, int],
    stack: list[int],
    dtype: str,
    flips: tuple[int, int],
    turned: tuple[bool, bool],
    seed: int,
) -> None:
    m, k, n = sizes
    a, b = operand((*stack, m, k), dtype, seed), operand((*stack[1:], k, n), dtype, seed + 1)
    x, y = reversed_or_not(a, flips[0]), reversed_or_not(b, flips[1])
    x = LAYOUTS["Fortran"](x) if turned[0] else x
    y = LAYOUTS["Fortran"](y) if turned[1] else y
    assert_product(fm.matmul(x, y), a, b)


@settings(max_examples=20, deadline=None)
@given(sizes=st.tuples(*[st.integers(1, 60)] * 3), seed=st.integers(0, 1000))
def test_identity_and_transposition(sizes: tuple[int, int, int], seed: int) -> None:
    m, k, n = sizes
    a, b = operand((m, k), "d", seed), operand((k, n), "d", seed + 1)
    np.testing.assert_array_equal(fm.matmul(a, np.eye(k)), a)
    np.testing.assert_array_equal(fm.matmul(np.eye(k), b), b)
    np.testing.assert_allclose(fm.matmul(b.T, a.T), fm.matmul(a, b).T, rtol=1e-12, atol=1e-12)


def test_same_bits_on_any_number_of_threads() -> None:
    a, b = operand((300, 200), "f", 22), operand((200, 250), "f", 23)
    results = []
    for num_threads in (1, 2, 3, 8):
        with fm.threads(num_threads):
            results.append(fm.matmul(a, b).tobytes())
    assert set(results) == {results[0]}


# ---- Strassen's algorithm ----


@pytest.fixture
def small_cutoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut matrices of 16 rows and more."""
    monkeypatch.setattr(_strassen, "CUTOFF", 8)


def test_how_often_matrices_are_cut() -> None:
    sizes = [(1023, 4096, 4096), (1024, 5000, 9000), (2047, 2047, 2047), (9000, 9000, 2048)]
    assert [_strassen.halvings(*size) for size in sizes] == [0, 1, 1, 2]


@pytest.mark.usefixtures("small_cutoff")
@pytest.mark.parametrize("dtype", [*DTYPES])
@pytest.mark.parametrize(
    ("left", "right"), [*SHAPES, ((3, 33, 18), (18, 40)), ((35, 32), (32, 65))]
)
def test_strassen(left: tuple[int, ...], right: tuple[int, ...], dtype: str) -> None:
    a, b = operand(left, dtype, 24), operand(right, dtype, 25)
    result, expected = fm.matmul(a, b, algorithm="strassen"), fm.matmul(a, b)
    assert type(result) is type(expected)
    assert result.dtype == expected.dtype
    if a.dtype.kind in "biu":
        np.testing.assert_array_equal(result, expected)
        return
    tolerance = {"e": 2e-2, "f": 1e-4, "F": 1e-4}.get(dtype, 1e-12)
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("small_cutoff")
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_strassen_of_any_layout(left: str, right: str) -> None:
    a, b = operand((2, 33, 40), "l", 26), operand((2, 40, 37), "l", 27)
    x, y, expected = LAYOUTS[left](a), LAYOUTS[right](b), fm.matmul(a, b)
    np.testing.assert_array_equal(fm.matmul(x, y, algorithm="strassen"), expected)
    for out in (np.empty((2, 33, 37), int), np.empty((2, 37, 33), int).swapaxes(1, 2)):
        assert fm.matmul(x, y, out, algorithm="strassen") is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.usefixtures("small_cutoff")
def test_strassen_in_place() -> None:
    a = operand((40, 40), "d", 28)
    expected = fm.matmul(a, a, algorithm="strassen")
    assert fm.matmul(a, a, out=a, algorithm="strassen") is a
    np.testing.assert_array_equal(a, expected)


def test_strassen_errs_by_its_own_bound() -> None:
    """Elements of a small row are lost beside large ones; the largest hold their bound."""
    a, b = operand((1030, 1024), "f", 29), operand((1024, 1025), "f", 30)
    a[0] *= 1e-6
    exact, result = a.astype("d") @ b.astype("d"), fm.matmul(a, b, algorithm="strassen")
    error = np.abs(result - exact)
    assert error.max() <= strassen_bound(a, b, 1)
    bound = gamma(1024, "f") * (np.abs(a).astype("d") @ np.abs(b))
    assert (error > bound)[0].any()
    assert (np.abs(fm.matmul(a, b) - exact) <= bound).all()


def test_infinities_spread_by_strassen() -> None:
    a = np.ones((1024, 1024), "f")
    a[0, 0] = np.inf
    assert np.isnan(fm.matmul(a, a, algorithm="strassen")[600:]).any()
    assert np.isposinf(fm.matmul(a, a)[0]).all()


@pytest.mark.parametrize("algorithm", ["winograd", "Strassen", "", None])
def test_unknown_algorithms(algorithm: Any) -> None:
    message = r"algorithm: expected one of \('classical', 'strassen'\), got"
    with pytest.raises(ValueError, match=message):
        fm.matmul(np.eye(2), np.eye(2), algorithm=algorithm)


# ---- NumPy's own tests ----

try:
    _theirs: Any = importlib.import_module("numpy._core.tests.test_multiarray")
except ImportError:  # NumPy was installed without its tests
    _theirs = None

if _theirs is not None:

    class TestNumpysOwn(_theirs.MatmulCommon):  # type: ignore[misc]
        """NumPy's tests of matmul, of the types that have kernels."""

        types = DTYPES
        matmul = staticmethod(fm.matmul)
        test_out_contiguous = _theirs.TestMatmul.test_out_contiguous
        test_matmul_bool = _theirs.TestMatmul.test_matmul_bool
        test_empty_out = _theirs.TestMatmul.test_empty_out


def test_bfloat16_is_summed_in_single_precision() -> None:
    ml_dtypes = importlib.import_module("ml_dtypes")
    a, b = operand((40, 300), "d", 1), operand((300, 30), "d", 2)
    a, b = a.astype(ml_dtypes.bfloat16), b.astype(ml_dtypes.bfloat16)
    exact, size = (
        a.astype(float) @ b.astype(float),
        np.abs(a.astype(float)) @ np.abs(b.astype(float)),
    )
    result = fm.matmul(a, b)
    assert result.dtype == a.dtype
    assert (np.abs(result - exact) <= 2.0**-8 * np.abs(exact) + gamma(300, "f") * size).all()
    assert fm.matmul(a, b.astype("f")).dtype == np.float32
    np.testing.assert_array_equal(fm.matmul(a, b, out=np.empty((40, 30), a.dtype)), result)
    other = fm.matmul(a[:, ::-1], b[::-1])
    assert (np.abs(other - exact) <= 2.0**-8 * np.abs(exact) + gamma(300, "f") * size).all()
