"""`fastmml.InnerProduct` and projections: within the bounds of the docstrings, in rationals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from laws import THREADS
from numpy.typing import NDArray

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels

mpmath = pytest.importorskip("mpmath")

Array = NDArray[Any]
DTYPES = ["d", "f", "D", "F"]
U = 2.0**-53
#: Rounding of results, by the code of the element type.
LAST = {"d": 0.0, "D": 0.0, "f": 2.0**-24, "F": 2.0**-24}


@pytest.fixture(autouse=True)
def on_both_backends(backend: Kernels) -> Iterator[None]:
    with _backend.use_kernels(backend):
        yield


def normal(shape: tuple[int, ...], dtype: str = "d", seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype in "DF" else x).astype(dtype)


def definite(n: int, dtype: str = "d", condition: float = 100.0, seed: int = 1) -> Array:
    """Eigenvalues from 1 down to 1 / condition; exactly symmetric."""
    q = np.linalg.qr(normal((n, n), dtype.lower() if dtype in "df" else "D", seed).astype("D")).Q
    q = q if dtype in "DF" else np.linalg.qr(normal((n, n), "d", seed)).Q
    a = ((q * np.geomspace(1, 1 / condition, n)) @ q.conj().T).astype(dtype)
    return np.asarray((a + a.conj().T) / 2).astype(dtype)


def smallest(a: Array) -> float:
    """The smallest eigenvalue of a matrix scaled to ones on its diagonal."""
    scale = 1 / np.sqrt(np.diagonal(a).real.astype(float))
    return float(np.linalg.eigvalsh(a * scale[:, None] * scale)[0])


def exact(x: Array) -> Any:
    """The same numbers, to be computed with in 60 digits."""
    mpmath.mp.dps = 60
    convert = mpmath.mpc if x.dtype.kind == "c" else mpmath.mpf
    return mpmath.matrix([[convert(v) for v in row] for row in np.atleast_2d(x).tolist()])


def exact_inner(a: Array | None, x: Array, y: Array) -> Any:
    column = exact(y).T
    return (exact(x.conj()) * (column if a is None else exact(a) * column))[0]


def exact_norm(a: Array | None, x: Array) -> Any:
    return mpmath.sqrt(mpmath.re(exact_inner(a, x, x)))


def exact_angle(a: Array | None, x: Array, y: Array) -> Any:
    cosine = mpmath.re(exact_inner(a, x, y)) / exact_norm(a, x) / exact_norm(a, y)
    return mpmath.acos(max(-1, min(1, cosine)))


def length_bound(a: Array | None, n: int, dtype: str) -> float:
    """The relative bound of the docstring."""
    bound = (n / 2 + 4) * U if a is None else 3 * n * (n + 1) * U / smallest(a)
    return bound * (2 if dtype in "DF" else 1) + LAST[dtype]


def angle_bound(a: Array | None, n: int, dtype: str) -> float:
    bound = (n + 8) * U if a is None else 8 * n * (n + 1) * U / smallest(a)
    return bound * (2 if dtype in "DF" else 1) + 4 * LAST[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("condition", [None, 1.0, 1e3, 1e10])
@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_bounds(n: int, condition: float | None, dtype: str) -> None:
    if condition == 1e10 and dtype in "fF":
        pytest.skip("more than float32 can hold")
    a = None if condition is None else definite(n, dtype, condition)
    product = fm.InnerProduct(a)
    x, y = normal((5, n), dtype, 2), normal((5, n), dtype, 3)
    inner, norm = product.inner(x, y), product.norm(x)
    distance, angle = product.distance(x, y), product.angle(x, y)
    real = np.dtype(dtype.lower())
    assert [part.dtype for part in (inner, norm, distance, angle)] == [x.dtype, real, real, real]
    sizes, wide = np.abs(np.eye(n) if a is None else a), np.result_type(x, np.float64)
    for i in range(5):
        most = (2 * n + 3) * U * float(np.abs(x[i]) @ sizes @ np.abs(y[i]))
        most *= 2 if dtype in "DF" else 1
        known = exact_inner(a, x[i], y[i])
        assert abs(known - complex(inner[i])) <= most + 2 * LAST[dtype] * abs(known)
        bound = length_bound(a, n, dtype)
        known = exact_norm(a, x[i])
        assert abs(known - float(norm[i])) <= bound * known
        known = exact_norm(a, x[i].astype(wide) - y[i].astype(wide))
        assert abs(known - float(distance[i])) <= bound * known
        known = exact_angle(a, x[i], y[i])
        assert abs(known - float(angle[i])) <= angle_bound(a, n, dtype)


@pytest.mark.parametrize("condition", [None, 100.0])
@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("size", [1e-3, 1e-8, 1e-12, 1e-15])
@pytest.mark.parametrize("sign", [1, -1])
def test_nearly_parallel_and_opposite(
    sign: int, size: float, dtype: str, condition: float | None
) -> None:
    a = None if condition is None else definite(6, dtype, condition)
    x = normal((6,), dtype, 4)
    y = sign * 3 * (x + size * normal((6,), dtype, 5))
    known = exact_angle(a, x, y)
    found = float(fm.InnerProduct(a).angle(x, y))
    assert abs(known - found) <= angle_bound(a, 6, dtype)
    assert 0 <= found <= math.pi


def test_angles_below_the_rounding_error() -> None:
    found = fm.InnerProduct().angle([1.0, 0.0], [[1.0, 1e-30], [-1.0, 1e-30], [2.0, 0.0]])
    np.testing.assert_allclose(found, [1e-30, math.pi, 0], rtol=1e-15)


NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False)
VECTORS = st.lists(NUMBERS, min_size=3, max_size=3).map(np.array)


@settings(max_examples=60, deadline=None)
@given(x=VECTORS, y=VECTORS, factor=st.lists(VECTORS, min_size=3, max_size=3).map(np.array))
def test_laws(x: Array, y: Array, factor: Array) -> None:
    product = fm.InnerProduct(factor @ factor.T / 100 + np.eye(3))
    least = smallest(product.matrix)
    assume(least > 1e-6)
    unit = 40 * U / least
    a, b = product.norm(x), product.norm(y)
    size = float(np.abs(x) @ np.abs(product.matrix) @ np.abs(y))
    assert abs(product.inner(x, y) - product.inner(y, x)) <= 20 * U * size
    assert abs(product.inner(x, y)) <= a * b * (1 + unit) + 20 * U * size
    assert product.distance(x, y) == product.distance(y, x)
    assert product.distance(x, y) <= (a + b) * (1 + unit)
    assert product.distance(x, x) == 0
    assert product.norm(-2 * x) == 2 * a
    if a > 0 and b > 0:
        angle = float(product.angle(x, y))
        assert abs(math.cos(angle) * a * b - product.inner(x, y)) <= 200 * unit * a * b
        assert product.angle(y, x) == angle
        assert product.angle(4 * x, y) == angle
        assert abs(float(product.angle(x, -y)) + angle - math.pi) <= 200 * unit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-30, 1e30, 1e200, 1e306])
@pytest.mark.parametrize("with_matrix", [False, True])
def test_lengths_of_any_size(dtype: str, size: float, with_matrix: bool) -> None:
    if dtype in "fF" and size not in (1e-30, 1e30):
        pytest.skip("more than float32 can hold")
    a = definite(4, dtype) if with_matrix else None
    product, x = fm.InnerProduct(a), normal((3, 4), dtype, 6)
    x[1] = 0
    large = (x * x.real.dtype.type(size)).astype(dtype)
    expected = [exact_norm(a, row) for row in large]
    bound = length_bound(a, 4, dtype)
    for found in (product.norm(large), product.distance(large, 0 * large)):
        for one, known in zip(found, expected, strict=True):
            assert abs(known - float(one)) <= bound * known + 5e-324
    alone = product.norm(large[0]), product.distance(large[0], 0 * large[0])
    np.testing.assert_allclose(np.array(alone, float), float(expected[0]), rtol=2 * bound)
    mixed = np.where([[True], [False], [False]], large, x)
    near = product.angle(mixed[[0, 2]], x[[0, 2]])
    assert np.all(near <= (1e-3 if size == 1e-320 else 1e-5 if dtype in "fF" else 1e-14))


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
def test_matrices_of_any_size(size: float) -> None:
    units, x = np.array([8.0, 1, 1, 0.25]), normal((3, 4), seed=7)
    a = definite(4) * units[:, np.newaxis] * units
    product, large = fm.InnerProduct(a), fm.InnerProduct(a * size)
    np.testing.assert_allclose(large.norm(x) / math.sqrt(size), product.norm(x), rtol=1e-13)
    np.testing.assert_allclose(large.norm(x / size), product.norm(x) / math.sqrt(size), rtol=1e-13)
    np.testing.assert_allclose(large.angle(x, x[::-1]), product.angle(x, x[::-1]), rtol=1e-13)
    basis, points = normal((4, 2), seed=8), normal((4, 3), seed=9)
    found, expected = large.project(points, basis), product.project(points, basis)
    np.testing.assert_allclose(found.projection, expected.projection, rtol=1e-12)
    np.testing.assert_allclose(found.distance / math.sqrt(size), expected.distance, rtol=1e-12)


def test_units_far_apart() -> None:
    """Meters and light years: the diagonal may span all of float64."""
    product = fm.InnerProduct(np.diag([1e-300, 1.0, 1e300]))
    np.testing.assert_allclose(product.norm([3e150, 0.0, 4e-150]), 5, rtol=1e-15)
    np.testing.assert_allclose(product.norm([3e-50, 0.0, 4e-320]), 4e-320 * 1e150, rtol=1e-15)
    assert product.norm([3e-151, 0.0, 1e300]) == math.inf
    np.testing.assert_allclose(product.angle([1e150, 1.0, 0], [0, 1.0, 0]), math.pi / 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("with_matrix", [False, True])
def test_broadcasting(dtype: str, with_matrix: bool) -> None:
    product = fm.InnerProduct(definite(5, dtype) if with_matrix else None)
    x, y = normal((4, 1, 5), dtype, 1), normal((3, 5), dtype, 2)
    for method in (product.inner, product.distance, product.angle):
        for first, second in ((x, y), (y, x)):
            found = method(first, second)
            assert found.shape == (4, 3)
            left, right = np.broadcast_arrays(first, second)
            for i, j in np.ndindex(4, 3):
                one = method(left[i, j], right[i, j])
                assert one.shape == ()
                np.testing.assert_allclose(found[i, j], one, rtol=1e-5)
    assert product.norm(x).shape == (4, 1)
    assert product.norm(np.empty((2, 0, 5), dtype)).shape == (2, 0)
    for empty in (fm.InnerProduct(), fm.InnerProduct(np.empty((0, 0)))):
        np.testing.assert_array_equal(empty.norm(np.empty((2, 0))), [0, 0])
        np.testing.assert_array_equal(empty.inner(np.empty((2, 0)), np.empty(0)), [0, 0])
    strided = np.asfortranarray(np.repeat(normal((6, 10), dtype), 2, axis=1))[::-2, ::4]
    np.testing.assert_allclose(product.norm(strided), product.norm(strided.copy()), rtol=1e-6)
    swapped = strided.astype(strided.dtype.newbyteorder())
    np.testing.assert_allclose(product.inner(swapped, y), product.inner(strided, y), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("with_matrix", [False, True])
@pytest.mark.parametrize("shape", [(7, 999, 30), (40_000, 3), (3, 50_000), (300, 400)])
def test_many_vectors(shape: tuple[int, ...], with_matrix: bool, dtype: str) -> None:
    """Pieces give what each vector alone gives, up to rounding."""
    n = shape[-1]
    if with_matrix and n > 400:
        pytest.skip("too large a matrix")
    product = fm.InnerProduct(definite(n, dtype) if with_matrix else None)
    x, y = normal(shape, dtype, 1), normal(shape, dtype, 2)
    x[..., -1, :] = 0
    some = np.linspace(0, math.prod(shape[:-1]) - 1, 7).astype(int)
    for found, method, pair in (
        (product.norm(x), product.norm, (x,)),
        (product.distance(x, y), product.distance, (x, y)),
        (product.angle(x, y), product.angle, (x, y)),
    ):
        assert found.shape == shape[:-1]
        assert found.dtype == np.dtype(dtype.lower())
        few = method(*(part.reshape(-1, n)[some] for part in pair))
        np.testing.assert_allclose(found.ravel()[some], few, rtol=1e-5)


def test_whole_numbers_are_exact() -> None:
    a = np.array([[4, 1, -2], [1, 5, 0], [-2, 0, 9]])
    product, rng = fm.InnerProduct(a), np.random.default_rng(0)
    x, y = rng.integers(-1000, 1000, (2, 20, 3))
    assert (product.inner(x, y) == np.einsum("ij,jk,ik->i", x, a, y)).all()
    assert (product.gram(x.T) == x @ a @ x.T).all()
    assert product.gram(x.T).dtype == np.float64
    assert fm.InnerProduct().inner(np.uint8([200]), np.uint8([201])) == 200 * 201
    assert fm.InnerProduct().distance(np.uint8([1]), np.uint8([3])) == 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_gram(dtype: str) -> None:
    a, x = definite(5, dtype), normal((5, 7), dtype, 1)
    for matrix in (None, a):
        product = fm.InnerProduct(matrix)
        found = product.gram(x)
        assert found.dtype == x.dtype
        np.testing.assert_array_equal(found, found.conj().T)
        expected = product.inner(x.T[:, None], x.T)
        np.testing.assert_allclose(found, expected, atol=1e-14 if dtype in "dD" else 1e-6)


def test_no_directions() -> None:
    angles = fm.InnerProduct(np.eye(2)).angle([[0.0, 0.0], [1.0, 0.0], [np.nan, 1.0]], [1.0, 0.0])
    np.testing.assert_array_equal(angles, [np.nan, 0, np.nan])
    assert fm.InnerProduct().norm([1.0, np.inf]) == np.inf
    assert np.isnan(fm.InnerProduct().norm([1.0, np.nan]))


def test_an_inverse_is_symmetric_enough() -> None:
    a = np.linalg.inv(definite(20, condition=1e6))
    assert (a != a.T).any()
    matrix = fm.InnerProduct(a).matrix
    np.testing.assert_array_equal(matrix, (a + a.T) / 2)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1


def test_the_matrix_is_a_copy() -> None:
    a = np.eye(2)
    product = fm.InnerProduct(a)
    a[0, 0] = 9
    assert product.norm([1.0, 0.0]) == 1
    assert a.flags.writeable


def test_threads_give_the_same_bits(backend: Kernels) -> None:
    if backend.name == "numba":
        pytest.skip("BLAS has threads of its own")
    product, x = fm.InnerProduct(definite(60)), normal((3000, 60))
    results = []
    for threads in THREADS:
        with fm.threads(threads):
            results.append(product.angle(x, x[::-1]).tobytes() + product.norm(x).tobytes())
    assert len(set(results)) == 1


# ---- projections ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("points", [(40,), (40, 3)])
@pytest.mark.parametrize("condition", [1.0, 1e4])
@pytest.mark.parametrize("with_origin", [False, True])
def test_what_is_left_is_orthogonal(
    dtype: str, points: tuple[int, ...], condition: float, with_origin: bool
) -> None:
    product = fm.InnerProduct(definite(40, dtype, 1e3))
    x, basis = normal(points, dtype, 1), normal((40, 4), dtype, 2)
    basis[:, 3] = basis[:, 0] + basis[:, 3] / np.float32(condition)
    origin = normal((40,), dtype, 3) if with_origin else None
    coordinates, projection, distance = product.project(x, basis, origin)
    assert coordinates.dtype == projection.dtype == x.dtype
    assert (coordinates.shape, projection.shape) == ((4, *points[1:]), points)
    unit = 1e-12 if dtype in "dD" else 1e-5
    left = (x - projection).T
    along = product.inner(np.moveaxis(np.broadcast_to(basis, (*points[1:], 40, 4)), -1, 0), left)
    lengths = product.norm(basis.T).reshape(4, *[1] * left[..., 0].ndim) * product.norm(x.T)
    assert np.all(np.abs(along) <= 10 * unit * lengths)
    shift = 0 if origin is None else origin.reshape(40, *[1] * (len(points) - 1))
    inside = (basis @ coordinates + shift).astype(dtype)
    np.testing.assert_allclose(inside, projection, atol=unit * condition * 10)
    np.testing.assert_allclose(distance, product.norm(left), rtol=10 * unit)
    again = product.project(projection, basis, origin)
    np.testing.assert_allclose(again.projection, projection, atol=100 * unit)
    assert np.all(again.distance <= 100 * unit)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_identity_is_the_standard_product(dtype: str) -> None:
    x, basis, origin = normal((9, 2), dtype, 1), normal((9, 3), dtype, 2), normal((9,), dtype, 3)
    known = fm.project(x, basis, origin)
    for product in (fm.InnerProduct(), fm.InnerProduct(np.eye(9, dtype=dtype))):
        for found, expected in zip(product.project(x, basis, origin), known, strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype in "fF" else 1e-11)


@settings(max_examples=40, deadline=None)
@given(
    basis=st.lists(st.integers(-9, 9), min_size=8, max_size=8),
    x=st.lists(st.integers(-9, 9), min_size=4, max_size=4),
    origin=st.lists(st.integers(-9, 9), min_size=4, max_size=4),
)
def test_affine_subspaces_in_rationals(basis: list[int], x: list[int], origin: list[int]) -> None:
    """The normal equations, solved in 60 digits."""
    b = np.array(basis).reshape(4, 2)
    assume(np.linalg.matrix_rank(b) == 2)
    a = np.array([[4, 1, -2, 0], [1, 5, 0, 1], [-2, 0, 9, 2], [0, 1, 2, 3]])
    left, columns = exact(b).T * exact(a), exact(np.array(x) - np.array(origin)).T
    coordinates = mpmath.lu_solve(left * exact(b), left * columns)
    known = exact(b) * coordinates + exact(np.array(origin)).T
    found = fm.InnerProduct(a).project(x, b, origin)
    np.testing.assert_allclose(found.projection, np.array(known.tolist(), float)[:, 0], atol=1e-12)
    np.testing.assert_allclose(
        found.coordinates, np.array(coordinates.tolist(), float)[:, 0], atol=1e-9
    )


@pytest.mark.parametrize("points", [(6,), (6, 3)])
def test_projections_in_any_units(points: tuple[int, ...]) -> None:
    """Grams in place of kilograms, and light years in place of meters, change nothing else."""
    a, basis, x = definite(6), normal((6, 2), seed=1), normal(points, seed=2)
    units = 2.0 ** np.array([300, -300, 10, 0, 3, -20])
    column = units.reshape(6, *[1] * (x.ndim - 1))
    known = fm.InnerProduct(a).project(x, basis)
    product = fm.InnerProduct(a * units[:, np.newaxis] * units)
    found = product.project(x / column, basis / units[:, np.newaxis])
    np.testing.assert_allclose(found.projection * column, known.projection, rtol=1e-12)
    np.testing.assert_allclose(found.coordinates, known.coordinates, rtol=1e-12)
    np.testing.assert_allclose(found.distance, known.distance, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("points", [(6,), (6, 3)])
@pytest.mark.parametrize("far", [-774, -400, 600])
@pytest.mark.parametrize("with_matrix", [False, True])
def test_projections_onto_vectors_of_any_size(
    with_matrix: bool, far: int, points: tuple[int, ...], dtype: str
) -> None:
    """Whole numbers times powers of two, subnormal ones among them: no digit is lost."""
    units = np.ldexp(1.0, [300, -300, 10, 0, 3, -20] if with_matrix else [300] * 6)
    matrix = definite(6, dtype) * units[:, np.newaxis] * units if with_matrix else None
    product = fm.InnerProduct(matrix)
    basis = np.rint(99 * normal((6, 2), dtype, 1)) / units[:, np.newaxis]
    x = (np.rint(99 * normal(points, dtype, 2)).T / units).T
    known, found = product.project(x, basis), product.project(x, basis * 2.0**far)
    np.testing.assert_array_equal(found.projection, known.projection)
    np.testing.assert_array_equal(found.distance, known.distance)
    np.testing.assert_array_equal(found.coordinates * 2.0**far, known.coordinates)
    together = product.project(x * 2.0**far, basis * 2.0**far)
    np.testing.assert_allclose(together.coordinates, known.coordinates, rtol=1e-14)
    expected = known.projection * 2.0**far
    np.testing.assert_allclose(together.projection, expected, rtol=1e-14, atol=2.0**-1073)
    expected = known.distance * 2.0**far
    np.testing.assert_allclose(together.distance, expected, rtol=1e-14, atol=2.0**-1073)


def test_distances_far_below_the_point() -> None:
    for product in (fm.InnerProduct(), fm.InnerProduct(np.eye(2))):
        found = product.project([1.0, 1e-200], [[1.0], [0.0]])
        assert found.distance == 1e-200


def test_a_point_is_a_subspace() -> None:
    """Its basis has no vectors."""
    for product in (fm.InnerProduct(), fm.InnerProduct(np.eye(3))):
        found = product.project([1.0, 2.0, 3.0], np.empty((3, 0)), [1.0, 2.0, 1.0])
        assert found.coordinates.shape == (0,)
        np.testing.assert_array_equal(found.projection, [1, 2, 1])
        assert found.distance == 2


def test_small_whole_numbers_do_not_wrap_around() -> None:
    found = fm.project(np.uint8([1, 2]), np.uint8([[1], [0]]), np.uint8([3, 0]))
    np.testing.assert_allclose(found.coordinates, [-2])
    np.testing.assert_allclose(found.projection, [1, 0])


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "shape": (lambda: fm.InnerProduct(np.ones((2, 3))), ValueError, r"matrix: expected shape \(n"),
    "vector": (lambda: fm.InnerProduct([1.0]), ValueError, "matrix: expected shape"),
    "nan": (lambda: fm.InnerProduct([[np.nan]]), ValueError, "matrix: expected finite"),
    "text": (lambda: fm.InnerProduct([["a"]]), TypeError, "matrix: expected whole numbers"),
    "half": (lambda: fm.InnerProduct(np.eye(2, dtype="e")), TypeError, "matrix: expected whole"),
    "asymmetric": (lambda: fm.InnerProduct([[2, 1], [0, 2]]), ValueError, "matrix: expected a sym"),
    "complex": (lambda: fm.InnerProduct([[2, 1j], [1j, 2]]), ValueError, "matrix: expected a Herm"),
    "diagonal": (
        lambda: fm.InnerProduct([[0.0, 0.0], [0.0, 1.0]]),
        np.linalg.LinAlgError,
        "matrix: expected a positive definite matrix, got 0.0 on its diagonal",
    ),
    "not real": (lambda: fm.InnerProduct([[1j]]), np.linalg.LinAlgError, "positive definite"),
    "indefinite": (
        lambda: fm.InnerProduct([[1, 2], [2, 1]]),
        np.linalg.LinAlgError,
        "matrix: expected a positive definite",
    ),
    "far from it": (
        lambda: fm.InnerProduct([[1e-300, 1e300], [1e300, 1e-300]]),
        np.linalg.LinAlgError,
        "matrix: expected a positive definite",
    ),
    "singular": (lambda: fm.InnerProduct(np.ones((3, 3))), np.linalg.LinAlgError, "positive def"),
    "size": (
        lambda: fm.InnerProduct(np.eye(3)).norm([1, 2]),
        ValueError,
        "x: expected vectors of 3 numbers, got 2",
    ),
    "sizes": (lambda: fm.InnerProduct().inner([1, 2], [1]), ValueError, "y: expected vectors of 2"),
    "scalar": (lambda: fm.InnerProduct().norm(1.0), ValueError, "x: expected at least 1 dim"),
    "longdouble": (lambda: fm.InnerProduct().norm(np.ones(2, "g")), TypeError, "x: expected whole"),
    "axes": (
        lambda: fm.InnerProduct().angle(np.ones((2, 3)), np.ones((3, 3))),
        ValueError,
        r"y: expected axes that broadcast with those of x, got shapes \(2, 3\) and \(3, 3\)",
    ),
    "gram": (lambda: fm.InnerProduct().gram([1.0]), ValueError, "x: expected 2 dimensions"),
    "points": (
        lambda: fm.InnerProduct(np.eye(3)).project([1, 2], [[1], [2]]),
        ValueError,
        "x: expected vectors of 3 numbers, got 2",
    ),
    "basis": (lambda: fm.InnerProduct().project([1, 2], [1, 2]), ValueError, "basis: expected 2"),
    "origin": (lambda: fm.project([1, 2], [[1], [2]], [1]), ValueError, r"origin: expected .*\(2,"),
    "dependent": (
        lambda: fm.InnerProduct(np.eye(2)).project([1, 2], [[1, 2], [1, 2]]),
        np.linalg.LinAlgError,
        "basis: expected linearly independent",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        call()
