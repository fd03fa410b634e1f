"""The kernels on many small matrices, on every backend and CPU level.

Errors are measured in extended precision where the machine has it. Bounds are normwise backward
errors: c n rounding errors of float64, and one of the type of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import STREAMED, TEAM_WORK, assert_same_for_all_threads, frozen
from numpy.typing import NDArray
from products import LAYOUTS

from fastmml._kernels import SMALL_ROWS, Kernels

Array = NDArray[Any]

#: Rounding errors per row that a stable method may make: 0.1 to 1 are seen, 4 in orthogonality.
FACTOR = 8
SIZES = (1, 2, 3, 4, 5, 7, 8, 11, 16)
DTYPES = (np.float64, np.float32)


def precision(n: int, dtype: Any) -> float:
    """Relative error that results of this type may have."""
    return float(FACTOR * n * np.finfo(np.float64).eps + np.finfo(dtype).eps)


def largest_sum(matrices: Array) -> Array:
    """Norms: the largest sum of sizes in a row."""
    return np.abs(matrices).sum(axis=-1).max(axis=-1)


# ---- matrices ----


def rotated(values: Array, random: np.random.Generator) -> Array:
    """Matrices of these singular values."""
    n = values.shape[-1]
    left, right = np.linalg.qr(random.standard_normal((2, *values.shape, n)))[0]
    return np.asarray((left * values[..., None, :]) @ right)


def hilbert(n: int) -> Array:
    return 1 / (1 + np.add.outer(np.arange(n), np.arange(n)))


def families(n: int, count: int, seed: int = 0) -> dict[str, Array]:
    """Stacks of nonsingular matrices, easy and hard; all are within the range of float32."""
    random = np.random.default_rng(seed)
    normal = random.standard_normal((count, n, n))
    steps = np.arange(n) / max(n - 1, 1)
    rows = random.permuted(np.tile(np.arange(n), (count, 1)), axis=1)
    return {
        "random": normal,
        "ill-conditioned": rotated(np.tile(10.0 ** (-12 * steps), (count, 1)), random),
        "graded": normal * 10.0 ** (-np.add.outer(np.arange(n), np.arange(n)) / 2),
        "rows of all sizes": normal * 10.0 ** random.integers(-15, 16, (count, n, 1)),
        "columns of all sizes": normal * 10.0 ** random.integers(-15, 16, (count, 1, n)),
        "hilbert": np.tile(hilbert(n), (count, 1, 1)),
        "identity": np.tile(np.eye(n), (count, 1, 1)),
        "permutation": np.eye(n)[rows],
        "integers": random.integers(-3, 4, (count, n, n)) + 10.0 * np.eye(n)[rows],
        "orthogonal": np.linalg.qr(normal)[0],
        "tiny pivot": np.where(np.eye(n, dtype=bool), 1e-17, 1 + normal / 8) if n > 1 else normal,
    }


FAMILIES = tuple(families(2, 1))


# ---- calls ----


def solve(kernels: Kernels, a: Array, b: Array, threads: int = 2) -> tuple[Array, bool]:
    x = np.full(b.shape, np.nan, b.dtype)
    return x, kernels.small_solve(a, b, x, threads)


def invert(kernels: Kernels, a: Array, threads: int = 2) -> tuple[Array, bool]:
    x = np.full(a.shape, np.nan, a.dtype)
    return x, kernels.small_inverse(a, x, threads)


def determine(kernels: Kernels, a: Array, threads: int = 2) -> tuple[Array]:
    det = np.full(len(a), np.nan, a.dtype)
    kernels.small_det(a, det, threads)
    return (det,)


def decompose(
    kernels: Kernels, a: Array, upper: bool = True, threads: int = 2
) -> tuple[Array, Array, bool]:
    values, vectors = np.full(a.shape[:2], np.nan, a.dtype), np.full(a.shape, np.nan, a.dtype)
    return values, vectors, kernels.small_eigh(a, upper, values, vectors, threads)


def assert_solves(a: Array, b: Array, x: Array) -> None:
    """Each column is the solution of a system near to its own."""
    wide, right, solution = (array.astype(np.longdouble) for array in (a, b, x))
    residual = np.abs(wide @ solution - right).max(axis=-2)
    scale = largest_sum(wide)[:, None] * np.abs(solution).max(axis=-2)
    assert (residual <= precision(a.shape[-1], a.dtype) * scale).all()


def assert_decomposes(a: Array, values: Array, vectors: Array) -> None:
    """Eigenvalues and orthogonal eigenvectors of symmetric matrices near to these."""
    wide, v = a.astype(np.longdouble), vectors.astype(np.longdouble)
    n = a.shape[-1]
    allowed = precision(n, a.dtype) * math.sqrt(n)
    scale = np.sqrt((wide**2).sum(axis=(-2, -1)))
    assert (np.diff(values) >= 0).all()
    residual = np.abs(wide @ v - v * values[:, None, :]).max(axis=(-2, -1))
    assert (residual <= allowed * scale).all()
    product = v.swapaxes(-2, -1) @ v
    assert (np.abs(product - np.eye(n)) <= allowed).all()


def symmetric(a: Array) -> Array:
    """The upper triangle, mirrored."""
    return np.asarray(np.triu(a) + np.triu(a, 1).swapaxes(-2, -1))


# ---- laws ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_solve_and_inverse(variant: Kernels, family: str, dtype: Any) -> None:
    for n in SIZES:
        a = frozen(families(n, 11)[family].astype(dtype))
        for columns in (1, 2, 5, 16, 17):
            b = np.random.default_rng(columns).standard_normal((11, n, columns)).astype(dtype)
            x, singular = solve(variant, a, frozen(b))
            assert not singular
            assert_solves(a, b, x)
        x, singular = invert(variant, a)
        assert not singular
        assert_solves(a, np.broadcast_to(np.eye(n), a.shape), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_eigh(variant: Kernels, family: str, dtype: Any) -> None:
    for n in SIZES[1:]:
        a = families(n, 11)[family].astype(dtype)
        values, vectors, failed = decompose(variant, frozen(a))
        assert not failed
        assert_decomposes(symmetric(a), values, vectors)
        lower = decompose(variant, a.swapaxes(1, 2), upper=False)
        assert lower[0].tobytes() == values.tobytes()
        assert lower[1].tobytes() == vectors.tobytes()


@pytest.mark.parametrize("scale", [1e-308, 1e-290, 1e-150, 1e150, 1e290, 1e307])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 16])
def test_scales_near_the_limits_of_doubles(variant: Kernels, n: int, scale: float) -> None:
    a = np.ldexp(families(n, 5)["random"], int(np.log2(scale)))
    b = np.ldexp(np.random.default_rng(1).standard_normal((5, n, 1)), int(np.log2(scale)))
    assert_solves(a, b, solve(variant, a, b)[0])
    if n > 1:
        values, vectors, failed = decompose(variant, a)
        assert not failed
        plain = decompose(variant, families(n, 5)["random"])
        if scale > 1e-300:  # otherwise entries are rounded to subnormal numbers
            assert vectors.tobytes() == plain[1].tobytes()
            assert values.tobytes() == np.ldexp(plain[0], int(np.log2(scale))).tobytes()


def test_eigh_of_numbers_beside_the_limits_of_doubles(variant: Kernels) -> None:
    most, least = np.finfo(float).max, np.finfo(float).smallest_subnormal
    a = np.array([np.diag([most, -most, 0]), np.full((3, 3), least), np.zeros((3, 3))])
    values, vectors, failed = decompose(variant, a)
    assert not failed
    assert values.tolist() == [[-most, 0, most], [0, 0, 3 * least], [0, 0, 0]]
    assert np.allclose(vectors.swapaxes(1, 2) @ vectors, np.eye(3), atol=1e-15)


def exact_det(matrix: Array) -> Fraction:
    """Elimination in fractions."""
    rows = [[Fraction(float(value)) for value in row] for row in matrix]
    det = Fraction(1)
    while rows:
        pivot = next((row for row in rows if row[0]), None)
        if pivot is None:
            return Fraction(0)
        det *= pivot[0] * (-1) ** rows.index(pivot)
        rows.remove(pivot)
        rows = [
            [value - row[0] / pivot[0] * above for value, above in zip(row, pivot, strict=True)][1:]
            for row in rows
        ]
    return det


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_det(variant: Kernels, family: str, dtype: Any) -> None:
    for n in SIZES:
        a = families(n, 3)[family].astype(dtype)
        (dets,) = determine(variant, frozen(a))
        limits = np.finfo(dtype)
        for matrix, det in zip(a, dets, strict=True):
            exact = exact_det(matrix)
            if abs(exact) > float(limits.max):
                assert det == math.copysign(math.inf, exact)
                continue
            rows = np.abs(matrix.astype(float)).sum(axis=1)
            hadamard = Fraction(math.prod(Fraction(float(row)) for row in rows))
            error = Fraction(precision(n, np.float64)) * hadamard
            error += Fraction(float(limits.eps)) * abs(exact)
            error += Fraction(float(limits.smallest_subnormal))
            assert abs(Fraction(float(det)) - exact) <= error


def cofactors(matrix: Array) -> Array:
    """Sizes of the derivatives of a determinant by each entry."""
    n = len(matrix)
    return np.array(
        [
            [abs(float(exact_det(np.delete(np.delete(matrix, i, 0), j, 1)))) for j in range(n)]
            for i in range(n)
        ]
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [3, 4, 5])
def test_det_is_that_of_a_matrix_nearby(variant: Kernels, n: int, dtype: Any) -> None:
    """Also where every product of n entries is far larger: beside matrices of rank 1."""
    random = np.random.default_rng(n)
    left, right = random.standard_normal((2, 20, n))
    a = left[:, :, None] * right[:, None, :] + 1e-6 * random.standard_normal((20, n, n))
    a = a.astype(dtype)
    for matrix, det in zip(a, determine(variant, a)[0], strict=True):
        exact = exact_det(matrix)
        near = precision(n, np.float64) * np.abs(matrix).max() * cofactors(matrix).sum()
        error = abs(float(Fraction(float(det)) - exact))
        assert error <= 2 * near + float(np.finfo(dtype).eps) * abs(float(exact))


def test_det_of_few_integers_is_exact(variant: Kernels) -> None:
    a = np.array([[[2, 1], [4, 3]], [[0, 1], [1, 0]], [[1, 2], [2, 4]], [[-1, 0], [0, 1]]], float)
    assert determine(variant, a)[0].tolist() == [2, -1, 0, -1]


def test_det_overflows_only_at_the_end(variant: Kernels) -> None:
    diagonals = np.array(
        [
            [1e200, 1e200, 1e-200, 1e-200],
            [1e-200, 1e-200, 1e200, 1e200],
            [1e-320, 1e300, 1.0, 1e10],
            [1e-200, -1e-200, 1.0, 1.0],
            [1e200, -1e200, 1.0, 1.0],
            [1e-100, 1e-100, 1e-115, 1.0],
            [1e-200, 1e-200, math.inf, 1.0],
            [1e-200, 1e-200, math.nan, 1.0],
            [math.inf, 0.0, 1.0, 1.0],
        ]
    )
    dets = determine(variant, np.where(np.eye(4, dtype=bool), diagonals[:, None, :], 0))[0]
    expected = [1, 1, 1e-320 * 1e300 * 1e10, 0, -math.inf, 1e-315, math.inf, math.nan, 0]
    np.testing.assert_allclose(dets, expected, rtol=1e-8)
    np.testing.assert_allclose(dets[:3], expected[:3], rtol=1e-15)
    assert np.signbit(dets[3])
    assert not np.signbit(dets[8])


def test_pivots_are_the_first_of_largest_size(variant: Kernels) -> None:
    """As LAPACK's, so that the same matrices are singular."""
    a = np.array([[[1, 1, 1], [-1, 1, 3], [1, 0, 2]], [[0, 1, 2], [4, 4, 4], [-4, 1, 0]]], float)
    x, singular = solve(variant, a, np.tile(np.eye(3), (2, 1, 1)))
    assert not singular
    np.testing.assert_allclose(x, np.linalg.inv(a), rtol=1e-15, atol=1e-16)


def subnormal_systems() -> tuple[Array, Array]:
    a = np.array([np.diag([1e-310, 1.0]), [[0, 3e-310], [1e-310, 1e-310]]])
    return a, a @ np.array([[1.0], [2.0]])


def test_solve_with_subnormal_pivots(variant: Kernels) -> None:
    a, b = subnormal_systems()
    np.testing.assert_allclose(solve(variant, a, b)[0], [[[1.0], [2.0]]] * 2, rtol=1e-12)


# ---- singular matrices, NaN ----


def singular_matrices(n: int) -> dict[str, Array]:
    random = np.random.default_rng(n)
    whole = random.integers(-2, 3, (n, n)).astype(float)
    column, row = whole.copy(), whole.copy()
    column[:, n // 2], row[n // 2] = 0, 0
    return {"zero": np.zeros((n, n)), "column": column, "row": row, "ones": np.ones((n, n))}


@pytest.mark.parametrize("n", [2, 3, 4, 8, 16])
def test_one_singular_matrix_shows(variant: Kernels, n: int) -> None:
    for matrix in singular_matrices(n).values():
        for place in (0, 7, 16):
            a = families(n, 17)["random"]
            a[place] = matrix
            assert solve(variant, a, np.ones((17, n, 1)))[1]
            assert invert(variant, a)[1]
            dets = determine(variant, a)[0]
            assert dets[place] == 0
            assert (np.delete(dets, place) != 0).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("n", [2, 3, 4, 8, 16])
def test_what_is_not_finite_stays_in_its_matrix(variant: Kernels, n: int, value: float) -> None:
    whole = families(n, 19)["random"]
    sick = whole.copy()
    sick[9, n // 2, n - 1] = sick[9, n - 1, n // 2] = value
    b = np.ones((19, n, 1))
    others = np.arange(19) != 9
    for run in (
        lambda a: solve(variant, a, b)[:1],
        lambda a: invert(variant, a)[:1],
        lambda a: determine(variant, a),
        lambda a: decompose(variant, a)[:2],
    ):
        for healthy, mixed in zip(run(whole), run(sick), strict=True):
            assert healthy[others].tobytes() == mixed[others].tobytes()
    values, vectors, failed = decompose(variant, sick)
    assert failed
    assert np.isnan(values[9]).all()
    assert np.isnan(vectors[9]).all()
    if math.isnan(value):
        assert np.isnan(solve(variant, sick, b)[0][9]).all()
        assert np.isnan(determine(variant, sick)[0][9])


def test_nan_is_a_pivot_only_in_its_place(variant: Kernels) -> None:
    """As in LAPACK: nothing is larger than NaN, and NaN is larger than nothing."""
    nan = math.nan
    a = np.array([[[nan, 1], [0, 0]], [[0, 1], [nan, 1]], [[0, nan], [0, 1]], [[1, 0], [0, nan]]])
    singular = [solve(variant, matrix[None], np.ones((1, 2, 1)))[1] for matrix in a]
    assert singular == [False, True, True, False]
    np.testing.assert_array_equal(determine(variant, a)[0], [nan, 0, 0, nan])


# ---- what must not matter ----

CALLS: dict[str, Callable[[Kernels, Array, int], tuple[Array, ...]]] = {
    "solve": lambda kernels, a, threads: solve(kernels, a, a[:, :, :1], threads)[:1],
    "inverse": lambda kernels, a, threads: invert(kernels, a, threads)[:1],
    "det": determine,
    "eigh": lambda kernels, a, threads: decompose(kernels, a, True, threads)[:2],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_neighbours_do_not_matter(variant: Kernels, name: str, dtype: Any) -> None:
    """The bits of a result are the same alone and anywhere in any batch."""
    random = np.random.default_rng(5)
    for n in (2, 3, 4, 5, 8, 13):
        pool = np.concatenate(list(families(n, 2).values())).astype(dtype)
        alone = [CALLS[name](variant, pool[i : i + 1], 1) for i in range(len(pool))]
        for batch in (2, 3, 7, 8, 9, 15, 16, 17):
            chosen = random.integers(len(pool), size=batch)
            together = CALLS[name](variant, pool[chosen], 1)
            for i, parts in enumerate(zip(*together, strict=True)):
                for part, expected in zip(parts, alone[chosen[i]], strict=True):
                    assert part.tobytes() == expected[0].tobytes()


@pytest.mark.parametrize("n", [1, 3, 16])
@pytest.mark.parametrize("name", CALLS)
def test_threads_do_not_matter(variant: Kernels, name: str, n: int) -> None:
    if name == "eigh" and n == 1:
        pytest.skip("small_eigh takes two rows and more")
    a = np.random.default_rng(0).normal(size=(TEAM_WORK // n**3 + 9, n, n))
    assert_same_for_all_threads(lambda threads: CALLS[name](variant, a, threads))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_strides_do_not_matter(variant: Kernels, name: str, dtype: Any) -> None:
    for n in (2, 3, 8):
        a = families(n, 9)["random"].astype(dtype)
        wide = np.full((18, 3 * n, 2 * n), np.nan, dtype)
        wide[::2, ::3, ::2] = a
        views = (
            a.swapaxes(1, 2).copy().swapaxes(1, 2),
            wide[::2, ::3, ::2],
            a[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
            np.asfortranarray(a),
            frozen(a),
        )
        expected = CALLS[name](variant, a, 1)
        for view in views:
            np.testing.assert_array_equal(view, a)
            for part, wanted in zip(CALLS[name](variant, view, 1), expected, strict=True):
                assert part.tobytes() == wanted.tobytes()
        same = np.broadcast_to(a[0], a.shape)
        for part, wanted in zip(CALLS[name](variant, same, 1), expected, strict=True):
            assert (part == wanted[0]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [3, 8, 16])
def test_results_past_the_caches_are_the_same(variant: Kernels, n: int, dtype: Any) -> None:
    count = STREAMED // (n * n * np.dtype(dtype).itemsize) + 5
    some = families(n, 999)["random"].astype(dtype)
    a = some[np.arange(count) % len(some)]
    for expected, call in (
        (invert(variant, some)[0], lambda x, threads: variant.small_inverse(a, x, threads)),
        (solve(variant, some, some)[0], lambda x, threads: variant.small_solve(a, a, x, threads)),
    ):
        memory = np.empty(a.size + 2, dtype)
        memory[[0, -1]] = 7
        x = memory[1:-1].reshape(a.shape)  # starts within a line
        for threads in (1, 2):
            x[:] = np.nan
            assert not call(x, threads)
            np.testing.assert_array_equal(x, expected[np.arange(count) % len(some)])
        assert (memory[[0, -1]] == 7).all()


# ---- few matrices, past the checks of the public functions ----

PLAIN: dict[str, Callable[[Kernels, Any], Any]] = {
    "solve": lambda kernels, a: kernels.small_solve_plain(a, a[..., :1]),
    "inverse": lambda kernels, a: kernels.small_inverse_plain(a),
    "det": lambda kernels, a: kernels.small_det_plain(a),
    "eigh": lambda kernels, a: kernels.small_eigh_plain(a, True),
}


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_plain_calls_give_the_same_or_are_left(variant: Kernels, name: str, dtype: Any) -> None:
    for n in (2, 3, 8, 16):
        a = families(n, 4)["random"].astype(dtype)
        together = CALLS[name](variant, a, 1)
        for layout in ("C", "Fortran", "strided", "read-only"):
            found = PLAIN[name](variant, LAYOUTS[layout](a))
            alone = PLAIN[name](variant, LAYOUTS[layout](a[2]))
            if variant.name == "numba":
                assert found is alone is None
                continue
            parts, single = (x if name == "eigh" else (x,) for x in (found, alone))
            for part, one, wanted in zip(parts, single, together, strict=True):
                assert (part.dtype, part.shape, one.shape) == (
                    dtype,
                    wanted.shape,
                    wanted.shape[1:],
                )
                assert part.tobytes() == wanted.tobytes()
                assert one.tobytes() == wanted[2].tobytes()


@pytest.mark.parametrize("name", CALLS)
def test_plain_calls_leave_what_they_cannot_read(variant: Kernels, name: str) -> None:
    a = families(3, 4)["random"]
    left = [
        *(a.astype(dtype) for dtype in (">f8", np.int64, np.complex128, np.longdouble)),
        *(LAYOUTS[layout](a) for layout in ("misaligned", "field")),
        a.view(Subclass),
        a[:, :2],
        a[0, 0],
        a[None],
        a[:0],
        np.ones((200, 3, 3)),
        np.ones((17, 17)),
    ]
    assert [PLAIN[name](variant, x) for x in left] == [None] * len(left)
    if name == "solve":
        others = [a[..., :1].astype(np.float32), a[:3], a[:, :2], a[0], a[0, 0], a.tolist()]
        assert [variant.small_solve_plain(a, b) for b in others] == [None] * len(others)
    else:
        assert PLAIN[name](variant, a.tolist()) is None


def test_plain_calls_leave_what_is_to_be_refused(variant: Kernels) -> None:
    assert variant.small_solve_plain(np.ones((3, 3)), np.ones(3)) is None
    assert variant.small_inverse_plain(np.ones((3, 3))) is None
    assert variant.small_det_plain(np.ones((3, 3))) in (0, None)
    assert variant.small_eigh_plain(np.full((3, 3), math.nan), True) is None
    assert variant.small_eigh_plain(np.ones((1, 1)), True) is None


@given(
    n=st.integers(1, SMALL_ROWS),
    batch=st.integers(1, 20),
    columns=st.integers(1, 20),
    seed=st.integers(0, 999),
    single=st.booleans(),
    family=st.sampled_from(FAMILIES),
)
@settings(deadline=None, max_examples=60)
def test_laws(
    variant: Kernels, n: int, batch: int, columns: int, seed: int, single: bool, family: str
) -> None:
    dtype = np.float32 if single else np.float64
    a = families(n, batch, seed)[family].astype(dtype)
    b = np.random.default_rng(seed).standard_normal((batch, n, columns)).astype(dtype)
    x, singular = solve(variant, a, b)
    if not singular:
        assert_solves(a, b, x)
        assert_solves(a, np.broadcast_to(np.eye(n), a.shape), invert(variant, a)[0])
    if n > 1:
        values, vectors, _ = decompose(variant, a)
        assert_decomposes(symmetric(a), values, vectors)
        scale = np.abs(a.astype(float)).max(axis=(1, 2))
        trace = np.trace(a.astype(float), axis1=1, axis2=2)
        error = np.abs(values.astype(float).sum(axis=1) - trace)
        assert (error <= n * n * precision(n, dtype) * scale).all()
