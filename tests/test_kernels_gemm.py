"""The kernels of matrix products, on every backend and CPU level."""

from __future__ import annotations

import numpy as np
import pytest
from laws import STREAMED, THREADS, after_line, assert_same_for_all_threads
from numpy.lib.stride_tricks import sliding_window_view
from products import (
    LAYOUTS,
    adjoint,
    assert_product,
    exact_integers,
    ill_scaled,
    operand,
    repeated,
    strassen_bound,
)

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels

#: Sizes that meet every edge of tiles and vectors, and every way to multiply.
SIZES = [
    (1, 1, 1),
    (2, 3, 4),
    (4, 4, 4),
    (7, 5, 3),
    (8, 16, 32),
    (9, 17, 33),
    (3, 300, 50),
    (65, 33, 70),
    (70, 260, 65),
    (1, 40, 33),
    (33, 40, 1),
    (1, 1500, 1),
    (5, 2000, 3),
]


class Subclass(np.ndarray):
    """What kernels leave to NumPy to unpack."""


KERNEL_DTYPES = ["d", "f", "D", "F", "Q", "I", "H"]
LAYOUTS_READ = ["C", "Fortran", "strided", "every second"]


def multiply(variant: Kernels, a: np.ndarray, b: np.ndarray, threads: int = 2) -> np.ndarray:
    out = np.full((*a.shape[:-1], b.shape[-1]), 77, a.dtype)
    variant.matmul(a, b, out, threads)
    return out


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_product(variant: Kernels, size: tuple[int, int, int], dtype: str) -> None:
    m, k, n = size
    a, b = operand((m, k), dtype, 1), operand((k, n), dtype, 2)
    for left in LAYOUTS_READ:
        for right in LAYOUTS_READ:
            x, y = LAYOUTS[left](a), LAYOUTS[right](b)
            assert_product(multiply(variant, x, y), a, b)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_large_products_are_packed(variant: Kernels, dtype: str) -> None:
    m, k, n = 530, 521, 560
    rows = np.random.default_rng(1).integers(m, size=20)
    a, b = operand((m, k), dtype, 3), operand((k, n), dtype, 4)
    for x, y in ((a, b), (np.asfortranarray(a), repeated(b))):
        assert_product(multiply(variant, x, y)[rows], a[rows], b)


@pytest.mark.parametrize("dtype", ["d", "f", "Q", "F"])
def test_large_products_with_part_of_the_same_matrix(variant: Kernels, dtype: str) -> None:
    x = operand((620, 550), dtype, 46)
    for rows, columns in ((620, 520), (520, 620), (620, 620)):
        a, b = x[:rows], x[:columns].T
        assert_product(multiply(variant, a, b)[::40], a[::40], b)


def test_few_columns_of_a_large_b(variant: Kernels) -> None:
    a, b = operand((150, 12000), "d", 30), operand((12000, 30), "d", 31)
    assert_product(multiply(variant, a, b)[::10], a[::10], b)


@pytest.mark.parametrize("dtype", ["d", "f", "D", "I"])
@pytest.mark.parametrize("rows", [1, 5, 8, 19, 32])
def test_few_rows_by_a_large_b(variant: Kernels, rows: int, dtype: str) -> None:
    """B is read where it lies, with gaps between its rows, too; threads change no bit."""
    whole = operand((1100, 1990), dtype, 50)
    b = whole[:, 3:1910]
    for a in (operand((rows, 1100), dtype, 51), operand((1100, rows), dtype, 52).T):
        found = multiply(variant, a, b, 1)
        assert_product(found[:, ::60], a, b[:, ::60])
        np.testing.assert_array_equal(multiply(variant, a, b, 3), found)
        out = np.full((rows, 1990), 77, dtype)
        variant.matmul(a, b, out[:, 5:1912], 2)
        np.testing.assert_array_equal(out[:, 5:1912], found)
        assert (out[:, :5] == 77).all()
        assert (out[:, 1912:] == 77).all()


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_long_sums_are_cut(variant: Kernels, dtype: str) -> None:
    a, b = operand((16, 20000), dtype, 27), operand((20000, 8), dtype, 28)
    assert_product(multiply(variant, a, b), a, b)
    assert_product(multiply(variant, np.asfortranarray(a), np.asfortranarray(b)), a, b)


@pytest.mark.parametrize("dtype", ["d", "f", "D", "F"])
def test_numbers_of_all_sizes(variant: Kernels, dtype: str) -> None:
    a, b = ill_scaled((30, 500), dtype, 5), ill_scaled((500, 40), dtype, 6)
    assert_product(multiply(variant, a, b), a, b)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_sums_of_no_terms_are_zero(variant: Kernels, dtype: str) -> None:
    for shape in ((3, 4), (2, 3, 4), (2, 0, 4)):
        a, b = np.empty((*shape[:-1], 0), dtype), np.empty((*shape[:-2], 0, 4), dtype)
        np.testing.assert_array_equal(multiply(variant, a, b), np.zeros(shape, dtype))


@pytest.mark.parametrize("dtype", ["d", "f", "Q", "D"])
@pytest.mark.parametrize(
    "size", [(2, 2, 2), (4, 4, 4), (5, 3, 6), (1, 7, 9), (9, 7, 1), (17, 9, 20)]
)
def test_stacks(variant: Kernels, size: tuple[int, int, int], dtype: str) -> None:
    m, k, n = size
    a, b = operand((3, 5, m, k), dtype, 7), operand((3, 5, k, n), dtype, 8)
    assert_product(multiply(variant, a, b), a, b)
    for x, y in (
        (np.broadcast_to(a[1, 2], a.shape), b),
        (a, np.broadcast_to(b[1, 2], b.shape)),
        (np.broadcast_to(a[:, :1], a.shape), np.broadcast_to(b[0], b.shape)),
        (a[::-1], b[:, ::-1]),
    ):
        assert_product(multiply(variant, x, y), x, y)


@pytest.mark.parametrize("dtype", ["d", "f", "Q", "I", "H"])
@pytest.mark.parametrize(
    "size", [(2, 2, 2), (1, 3, 2), (3, 2, 1), (3, 3, 3), (2, 4, 3), (4, 2, 4), (4, 4, 4), (5, 4, 3)]
)
def test_stacks_of_matrices_that_fit_vectors(
    variant: Kernels, size: tuple[int, int, int], dtype: str
) -> None:
    m, k, n = size
    for count in (1, 2, 7, 35):
        a, b = operand((count, m, k), dtype, 48), operand((count, k, n), dtype, 49)
        spread = (np.broadcast_to(a[0], a.shape), np.broadcast_to(b[0], b.shape))
        lefts = [*(LAYOUTS[name](a) for name in LAYOUTS_READ), a[::-1], spread[0]]
        rights = [*(LAYOUTS[name](b) for name in LAYOUTS_READ), b[::-1], spread[1]]
        for x in lefts:
            for y in rights:
                assert_product(multiply(variant, x, y), x, y)
        wide = np.full((count, m * n + 1), 77, dtype)
        variant.matmul(a, b, wide[:, 1:].reshape(count, m, n), 2)
        assert_product(wide[:, 1:].reshape(count, m, n), a, b)
        assert (wide[:, 0] == 77).all()


@pytest.mark.parametrize("size", [(9, 2, 1), (13, 4, 1), (1, 4, 9), (3, 4, 3)])
def test_the_last_products_of_a_stack_are_the_same_bits(
    variant: Kernels, size: tuple[int, int, int]
) -> None:
    m, k, n = size
    a, b = operand((m + k - 1,), "f", 52), operand((k + n - 1,), "f", 53)
    count = 2**20 // (m * k * n) + 4  # a thread's work, and a few
    left = sliding_window_view(np.tile(a, (count, 1)), k, axis=1)
    right = sliding_window_view(np.tile(b, (count, 1)), n, axis=1)
    out = multiply(variant, left, right).view("I")
    np.testing.assert_array_equal(out, np.broadcast_to(out[0], out.shape))


@pytest.mark.parametrize("dtype", ["d", "f"])
def test_nan_stays_in_its_matrix(variant: Kernels, dtype: str) -> None:
    a, b = operand((35, 2, 2), dtype, 50), operand((35, 2, 2), dtype, 51)
    a[4, 1, 0], b[6, 0, 1] = np.nan, np.inf
    expected = np.zeros((35, 2, 2), bool)
    expected[4, 1] = expected[6, :, 1] = True
    np.testing.assert_array_equal(~np.isfinite(multiply(variant, a, b)), expected)


def test_stack_of_large_matrices(variant: Kernels) -> None:
    a, b = operand((2, 170, 165), "d", 9), operand((2, 165, 160), "d", 10)
    assert_product(multiply(variant, a, b), a, b)


@pytest.mark.parametrize("dtype", ["d", "I", "F"])
def test_many_small_products(variant: Kernels, dtype: str) -> None:
    """So many that threads share them."""
    a, b = operand((60_000, 9, 8), dtype, 11), operand((60_000, 8, 7), dtype, 12)
    result = multiply(variant, a, b)
    chosen = slice(None, None, 997)
    assert_product(result[chosen], a[chosen], b[chosen])
    assert_product(result[-3:], a[-3:], b[-3:])


@pytest.mark.parametrize("start", [0, 16])
@pytest.mark.parametrize("dtype", ["d", "f", "F", "I"])
@pytest.mark.parametrize("size", [(8, 8, 8), (16, 9, 16), (16, 20, 32), (5, 3, 7)])
def test_stacks_larger_than_the_caches(
    variant: Kernels, size: tuple[int, int, int], dtype: str, start: int
) -> None:
    """Both halves, which are not, have the same bits."""
    m, k, n = size
    count = 5 + STREAMED // (m * n * np.dtype(dtype).itemsize)
    a, b = operand((count, m, k), dtype, 31), operand((count, k, n), dtype, 32)
    out = after_line((count, m, n), dtype, start)
    half = count // 2
    for threads in (1, 2):
        out[...] = 77
        variant.matmul(a, b, out, threads)
        np.testing.assert_array_equal(out[:half], multiply(variant, a[:half], b[:half]))
        np.testing.assert_array_equal(out[half:], multiply(variant, a[half:], b[half:]))
    assert_product(out[::997], a[::997], b[::997])


@pytest.mark.parametrize("dtype", ["d", "f", "D", "I"])
@pytest.mark.parametrize(
    ("k", "n"), [(1, 1024), (16, 1040), (9, 1001), (20, 64), (7, 16), (60, 992), (9, 4201), (3, 5)]
)
def test_results_of_few_terms_larger_than_the_caches(
    variant: Kernels, k: int, n: int, dtype: str
) -> None:
    """Results have the same bits wherever they lie, and their neighbours stay."""
    m = 3 + STREAMED // (n * np.dtype(dtype).itemsize)
    a, b = operand((m, k), dtype, 33), operand((k, n), dtype, 34)
    expected = multiply(variant, a, b, 1)
    wide = after_line((m, n + 7), dtype, 0)
    wide[...] = 77
    for out in (after_line((m, n), dtype, 0), after_line((m, n), dtype, 16), wide[:, 3 : n + 3]):
        variant.matmul(a, b, out, 2)
        np.testing.assert_array_equal(out, expected)
    assert (wide[:, :3] == 77).all()
    assert (wide[:, n + 3 :] == 77).all()
    assert_product(expected[:: m // 50], a[:: m // 50], b)


@pytest.mark.parametrize("dtype", ["d", "H", "D"])
@pytest.mark.parametrize("size", [(5, 3, 6), (1, 7, 9), (9, 7, 1), (70, 300, 80)])
def test_outputs_of_other_layouts(variant: Kernels, size: tuple[int, int, int], dtype: str) -> None:
    m, k, n = size
    a, b = operand((4, m, k), dtype, 13), operand((4, k, n), dtype, 14)
    wide = np.full((4, 2 * m, n + 3), 77, dtype)
    tall = np.full((4, n + 1, m), 77, dtype)
    for out in (wide[:, ::-2, 1 : n + 1], tall[::-1, :n].swapaxes(1, 2)):
        variant.matmul(a, b, out, 2)
        assert_product(out, a, b)
    for memory, written in ((wide, 4 * m * n), (tall, 4 * m * n)):
        assert np.count_nonzero(memory != 77) <= written


@pytest.mark.parametrize(
    "size",
    [
        (1, 3000000, 1),
        (1, 1500, 1600),
        (1600, 1500, 1),
        (150, 140, 130),
        (100, 300, 113),
        (16, 20000, 8),
    ],
)
@pytest.mark.parametrize("layout", ["C", "Fortran"])
@pytest.mark.parametrize("dtype", ["d", "f", "D"])
def test_same_bits_on_any_number_of_threads(
    variant: Kernels, size: tuple[int, int, int], dtype: str, layout: str
) -> None:
    m, k, n = size
    a = LAYOUTS[layout](operand((m, k), dtype, 15))
    b = LAYOUTS[layout](operand((k, n), dtype, 16))
    assert_same_for_all_threads(lambda threads: (multiply(variant, a, b, threads),))


@pytest.mark.parametrize("dtype", ["d", "f", "I", "H"])
@pytest.mark.parametrize("vectors", [2, 4, 14])
def test_a_few_last_columns(variant: Kernels, dtype: str, vectors: int) -> None:
    lanes = 64 // np.dtype(dtype).itemsize
    for k, beyond in ((33, 1), (64, lanes // 4), (300, lanes // 4), (40, lanes // 4 + 1)):
        n = vectors * lanes + beyond
        a, b = operand((45, k), dtype, 50), operand((k, n), dtype, 51)
        for layout in ("C", "Fortran"):
            result = multiply(variant, a, LAYOUTS[layout](b))
            assert_product(result, a, b)
            stacked = multiply(variant, np.stack([a] * 3), np.stack([LAYOUTS[layout](b)] * 3))
            assert_product(stacked[1], a, b)
    assert_same_for_all_threads(
        lambda threads: (multiply(variant, np.tile(a, (20, 1)), b, threads),)
    )


@pytest.mark.parametrize("size", [(140, 300, 50), (140, 300, 67), (40, 64, 17), (20, 33, 65)])
def test_a_product_of_a_stack_has_the_bits_of_one_alone(
    variant: Kernels, size: tuple[int, int, int]
) -> None:
    if variant.name == "numba":
        pytest.skip("BLAS has threads of its own")
    m, k, n = size
    a, b = operand((m, k), "d", 52), operand((k, n), "d", 53)
    stacked = multiply(variant, np.stack([a] * 3), np.stack([b] * 3))
    np.testing.assert_array_equal(stacked[2], multiply(variant, a, b))


def test_same_bits_of_large_products(variant: Kernels) -> None:
    a, b = operand((520, 530), "d", 17), operand((530, 525), "d", 18)
    assert_same_for_all_threads(lambda threads: (multiply(variant, a, b, threads),))


@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize(
    "size", [(6, 5, 4), (20, 300, 30), (1, 50, 40), (40, 50, 1), (3, 17000, 2)]
)
def test_nan_and_infinities_reach_what_they_belong_to(
    variant: Kernels, size: tuple[int, int, int], dtype: str
) -> None:
    m, k, n = size
    a, b = operand((m, k), dtype, 19), operand((k, n), dtype, 20)
    a[m // 2, k // 2] = np.nan
    a[0, 1] = np.inf
    b[k // 3, n // 2] = -np.inf
    b[1, 0] = 0 if n > 1 else b[1, 0]
    with np.errstate(invalid="ignore"):
        expected = a.astype(np.longdouble) @ b.astype(np.longdouble)
    result = multiply(variant, a, b)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    infinite = np.isinf(expected)
    np.testing.assert_array_equal(result[infinite], expected[infinite].astype(dtype))


@pytest.mark.parametrize("dtype", ["D", "F"])
def test_complex_nan_and_infinities(variant: Kernels, dtype: str) -> None:
    a, b = operand((5, 9), dtype, 21), operand((9, 7), dtype, 22)
    a[1, 2] = complex(np.inf, 1)
    a[2, 3] = complex(0, np.nan)
    b[4, 5] = complex(1, -np.inf)
    with np.errstate(invalid="ignore"):  # by NumPy's loops: BLAS multiplies by 1 + 0i besides
        expected = a.astype(np.clongdouble) @ b.astype(np.clongdouble)
    result = multiply(variant, a, b)
    for part in ("real", "imag"):
        found, wanted = getattr(result, part), getattr(expected, part)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
        np.testing.assert_array_equal(np.isposinf(found), np.isposinf(wanted))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_bools(variant: Kernels, share: float) -> None:
    rng = np.random.default_rng(41)
    for m, k, n in ((1, 1, 1), (8, 9, 10), (3, 5, 0), (3, 0, 5), (61, 515, 64), (5, 70, 2500)):
        a, b = rng.random((m, k)) < share, rng.random((k, n)) < share
        expected = a.astype(int) @ b.astype(int) > 0
        for x in (a, np.asfortranarray(a), repeated(a)):
            for y in (b, np.asfortranarray(b), repeated(b)):
                out = np.full((m, n + 2), 7, np.uint8).view(bool)
                variant.matmul_bool(x, y, out[:, 1 : n + 1], 2)
                np.testing.assert_array_equal(out[:, 1 : n + 1].view(np.uint8), expected)
                assert (out[:, [0, -1]].view(np.uint8) == 7).all()


@pytest.mark.parametrize("size", [(130, 129, 700), (130, 64, 1200), (400, 600, 6000)])
def test_bools_of_rows_that_take_more_terms_than_others(
    variant: Kernels, size: tuple[int, int, int]
) -> None:
    m, k, n = size
    rng = np.random.default_rng(52)
    shares = rng.choice([0, 0.01, 0.2, 1], m)
    a, b = rng.random((m, k)) < shares[:, None], rng.random((k, n)) < 0.3
    b[:, n // 2] = 0
    b[-1, n // 2] = True
    expected = a.astype("f") @ b.astype("f") > 0
    for threads in THREADS:
        out = np.empty((m, n), bool)
        variant.matmul_bool(a, b, out, threads)
        np.testing.assert_array_equal(out, expected)


def test_bools_of_any_bytes(variant: Kernels) -> None:
    a, b = operand((70, 90), "B", 42) % 3 * 85, operand((90, 80), "B", 43) % 5 // 4 * 254
    for threads in THREADS:
        out = np.empty((70, 80), bool)
        variant.matmul_bool(a.view(bool), b.view(bool), out, threads)
        np.testing.assert_array_equal(out, (a != 0).astype(int) @ (b != 0).astype(int) > 0)


def test_plain_bools(variant: Kernels) -> None:
    a, b = operand((5, 6), "?", 44), operand((6, 7), "?", 45)
    result = variant.matmul_plain(a, b, None)
    if variant.name == "native":
        assert_product(result, a, b)
        assert_product(variant.matmul_plain(a[::2, ::-1], b[::-1], None), a[::2, ::-1], b[::-1])
    assert variant.matmul_plain(a, b, np.zeros((5, 7), bool)) is None
    left = [(a, b[1:]), (a, b[0]), (a[None], b), (a, b.astype("d")), (a.view(Subclass), b)]
    assert [variant.matmul_plain(x, y, None) for x, y in left] == [None] * len(left)


@pytest.mark.parametrize("dtype", "bB")
def test_plain_bytes(variant: Kernels, dtype: str) -> None:
    for k in (6, 70):
        a, b = operand((5, k), dtype, 48), operand((k, 7), dtype, 49)
        result = variant.matmul_plain(a, b, None)
        if variant.name == "native":
            assert result.dtype == dtype
            np.testing.assert_array_equal(result, a @ b)
            turned = variant.matmul_plain(b.T, a[:, ::-1].T[::-1], None)
            np.testing.assert_array_equal(turned, result.T)
        assert variant.matmul_plain(a, b, np.zeros((5, 7), dtype)) is None
        left = [(a, b[1:]), (a, b[0]), (a[None], b), (a, b.astype("h")), (a.view(Subclass), b)]
        assert [variant.matmul_plain(x, y, None) for x, y in left] == [None] * len(left)


@pytest.mark.parametrize("dtype", "bB")
@pytest.mark.parametrize("size", [(300, 1, 300), (9000, 8, 8), (2, 30_000, 2), (300, 40, 300)])
def test_bytes_of_any_shape(byte_variant: Kernels, size: tuple[int, int, int], dtype: str) -> None:
    m, k, n = size
    a, b = operand((m, k), dtype, 54), operand((k, n), dtype, 55)
    with _backend.use_kernels(byte_variant):
        np.testing.assert_array_equal(fm.matmul(a, b), a @ b)


@pytest.mark.parametrize("right", "?bBh")
@pytest.mark.parametrize("left", "?bBh")
def test_short_numbers(byte_variant: Kernels, left: str, right: str) -> None:
    for m, k, n in ((1, 1, 1), (8, 9, 10), (3, 5, 0), (5, 0, 3), (61, 1030, 35), (50, 63, 520)):
        a, b = operand((m, k), left, 39), operand((k, n), right, 40)
        expected = exact_integers(a.astype("I"), b.astype("I"))
        for x in (a, np.asfortranarray(a), repeated(a)):
            for y in (b, np.asfortranarray(b), repeated(b)):
                out = np.full((m, n + 2), 77, "I")
                byte_variant.matmul_short(x, y, out[:, 1 : n + 1], 2)
                np.testing.assert_array_equal(out[:, 1 : n + 1], expected)
                assert (out[:, [0, -1]] == 77).all()


@pytest.mark.parametrize("dtype", "bBh")
def test_plain_short_products_are_taken_or_left(variant: Kernels, dtype: str) -> None:
    a, b = operand((5, 6), dtype, 46), operand((6, 7), "b", 47)
    result = variant.matmul_short_plain(a, b, "int32")
    if variant.name == "native":
        assert result.dtype == np.int32
        expected = exact_integers(a.astype("I"), b.astype("I"))
        np.testing.assert_array_equal(result.view("I"), expected)
        turned = variant.matmul_short_plain(b.T[:, ::-1], a.T[::-1], np.int32)
        np.testing.assert_array_equal(turned, result.T)
    left = [(a, b[1:]), (a, b[0]), (a[None], b), (a, b.astype("i")), (a.view(Subclass), b)]
    left += [(a.tolist(), b), (a, b != 0), (a.astype(">h"), b)]
    assert [variant.matmul_short_plain(x, y, "i") for x, y in left] == [None] * len(left)
    dtypes = ["int64", "uint32", "int16", ">i4", float]
    assert [variant.matmul_short_plain(a, b, x) for x in dtypes] == [None] * len(dtypes)


@pytest.mark.parametrize("layout", ["C", "Fortran"])
def test_short_numbers_at_their_ends(byte_variant: Kernels, layout: str) -> None:
    lowest = LAYOUTS[layout](np.full((300, 300), -(2**15), "h"))
    for threads in THREADS:
        out = np.empty((300, 300), "I")
        byte_variant.matmul_short(lowest, lowest, out, threads)
        assert (out == 300 * 2**30 % 2**32).all()


@pytest.mark.parametrize("left", [("b", -128), ("b", 127), ("B", 255)], ids=str)
@pytest.mark.parametrize("right", [("b", -128), ("b", 127), ("B", 255)], ids=str)
def test_sums_of_bytes_wrap_around(
    byte_variant: Kernels, left: tuple[str, int], right: tuple[str, int]
) -> None:
    terms = 70001
    a = np.full((9, terms), left[1], left[0])
    b = np.full((terms, 18), right[1], right[0])
    out = np.empty((9, 18), "I")
    byte_variant.matmul_short(a, b, out, 2)
    assert (out == terms * left[1] * right[1] % 2**32).all()


def strassen(
    variant: Kernels, a: np.ndarray, b: np.ndarray, halvings: int, threads: int = 2
) -> np.ndarray:
    out = np.full((len(a), b.shape[1]), 77, a.dtype)
    variant.matmul_strassen(a, b, out, halvings, threads)
    return out


def assert_strassen(result: np.ndarray, a: np.ndarray, b: np.ndarray, halvings: int) -> None:
    """Whole numbers are exact, others within the bound for the largest elements."""
    if a.dtype.kind == "u":
        assert_product(result, a, b)
        return
    wide = np.clongdouble if a.dtype.kind == "c" else np.longdouble
    error = result - a.astype(wide) @ b.astype(wide)
    assert max(np.abs(error.real).max(), np.abs(error.imag).max()) <= strassen_bound(a, b, halvings)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
@pytest.mark.parametrize(
    ("size", "halvings"),
    [
        ((2, 2, 2), 1),
        ((5, 3, 2), 1),
        ((8, 9, 10), 3),
        ((64, 80, 48), 2),
        ((63, 70, 61), 2),
        ((161, 130, 145), 3),
        ((9, 17, 7), 0),
    ],
)
def test_strassen(variant: Kernels, size: tuple[int, int, int], halvings: int, dtype: str) -> None:
    m, k, n = size
    a, b = operand((m, k), dtype, 31), operand((k, n), dtype, 32)
    for left in (a, np.asfortranarray(a), a[::-1], np.asfortranarray(a)[:, ::-1]):
        for right in (b, np.asfortranarray(b)):
            assert_strassen(strassen(variant, left, right, halvings), left, right, halvings)


@pytest.mark.parametrize("dtype", ["d", "F", "H"])
def test_strassen_into_part_of_an_array(variant: Kernels, dtype: str) -> None:
    a, b = operand((40, 30), dtype, 33), operand((30, 50), dtype, 34)
    wide = np.full((90, 60), 77, dtype)
    variant.matmul_strassen(a, b, wide[88:8:-2, 3:53], 2, 2)
    np.testing.assert_array_equal(wide[88:8:-2, 3:53], strassen(variant, a, b, 2))
    wide[88:8:-2, 3:53] = 77
    assert (wide == 77).all()


@pytest.mark.parametrize("dtype", ["d", "f", "D"])
def test_strassen_of_repeated_rows(variant: Kernels, dtype: str) -> None:
    a, b = operand((1, 40), dtype, 35), operand((40, 1), dtype, 36)
    x, y = np.broadcast_to(a, (50, 40)), np.broadcast_to(b, (40, 30))
    assert_strassen(strassen(variant, x, y, 2), x, y, 2)


@pytest.mark.parametrize("dtype", ["d", "f", "D"])
def test_strassen_has_the_same_bits_on_any_number_of_threads(variant: Kernels, dtype: str) -> None:
    a, b = operand((530, 390), dtype, 37), np.asfortranarray(operand((390, 545), dtype, 38))
    assert_same_for_all_threads(lambda threads: (strassen(variant, a, b, 1, threads),))


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (50, 33), (300, 70), (17000, 12), (5, 0), (0, 5)])
def test_gram(variant: Kernels, size: tuple[int, int], dtype: str) -> None:
    x = operand(size, dtype, 23)
    for layout in LAYOUTS_READ:
        out = np.full((size[1], size[1]), 77, dtype)
        variant.gram(LAYOUTS[layout](x), out, 2)
        assert_product(out, adjoint(x), x)
        np.testing.assert_array_equal(out, adjoint(out))


@pytest.mark.parametrize("dtype", ["d", "F"])
def test_gram_of_many_columns(variant: Kernels, dtype: str) -> None:
    x = operand((280, 990), dtype, 24)
    grams = []
    for threads in THREADS:
        out = np.empty((990, 990), dtype)
        variant.gram(x, out, threads)
        grams.append(out.tobytes())
    assert_product(out[::50], adjoint(x)[::50], x)
    np.testing.assert_array_equal(out, adjoint(out))
    assert set(grams) == {grams[0]}


@pytest.mark.parametrize("dtype", ["Q", "I", "H"])
def test_whole_numbers_wrap_around(variant: Kernels, dtype: str) -> None:
    top = np.full((3, 5), np.iinfo(dtype).max, dtype)
    result = multiply(variant, top, top.T.copy())
    np.testing.assert_array_equal(result, exact_integers(top, top.T))
    assert result[0, 0] == 5  # (-1)(-1) five times


@pytest.mark.parametrize("dtype", ["d", "f"])
def test_plain_products_are_taken_or_left(variant: Kernels, dtype: str) -> None:
    a, b = operand((5, 6), dtype, 25), operand((6, 7), dtype, 26)
    result = variant.matmul_plain(a, b, None)
    if variant.name == "native":
        assert result is not None
        assert_product(result, a, b)
        assert_product(variant.matmul_plain(a, np.asfortranarray(b), None), a, b)
    left = [
        (a, b.astype(np.complex128)),
        (a, b[1:]),
        (a, b.tolist()),
        (a.astype(">f8"), b.astype(">f8")),
        (a.astype(np.int8), b.astype(np.uint8)),
        (a.astype(np.longdouble), b.astype(np.longdouble)),
        (a.view(Subclass), b),
        (LAYOUTS["misaligned"](a), b),
        (LAYOUTS["field"](a), b),
        (a, b[0, 0]),
        (np.ones((3, 5, 6), dtype), np.ones((2, 6, 7), dtype)),
    ]
    assert [variant.matmul_plain(x, y, None) for x, y in left] == [None] * len(left)


@pytest.mark.parametrize("dtype", ["d", "f", "D", "i"])
def test_plain_products_go_where_they_may(variant: Kernels, dtype: str) -> None:
    memory = np.ones(200, dtype)
    a, b = memory[:30].reshape(5, 6), memory[30:72].reshape(6, 7)[:, ::-1]
    out = memory[72:107].reshape(5, 7)
    result = variant.matmul_plain(a, b, out)
    if variant.name == "native":
        assert result is out
        np.testing.assert_array_equal(out, np.full((5, 7), 6, dtype))
        scalar = np.zeros((), dtype)
        assert variant.matmul_plain(a[0], b[:, 0], scalar) is scalar
        assert scalar == 6
    read_only = np.zeros((5, 7), dtype)
    read_only.flags.writeable = False
    left = [
        memory[71:106].reshape(5, 7),
        memory[29:64].reshape(5, 7),
        out[:4],
        out[None],
        out.T.copy().T,
        np.zeros((5, 7), np.dtype(dtype).newbyteorder(">")),
        np.zeros((5, 7), np.float16),
        out.view(Subclass),
        out.tolist(),
        (out,),
        read_only,
    ]
    assert [variant.matmul_plain(a, b, x) for x in left] == [None] * len(left)
    np.testing.assert_array_equal(memory[:72], np.ones(72, dtype))


def test_plain_gram_matrices_are_taken_or_left(variant: Kernels) -> None:
    x = operand((7, 5), "d", 29)
    result = variant.gram_plain(x)
    if variant.name == "native":
        assert result is not None
        assert_product(result, x.T, x)
    left = [x[0], x[None], x.tolist(), x.astype(">f8"), x.astype(bool), LAYOUTS["field"](x)]
    assert [variant.gram_plain(y) for y in left] == [None] * len(left)
