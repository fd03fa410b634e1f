"""`fastmml.lstsq` does what `numpy.linalg.lstsq` does, on real data as exactly."""

from __future__ import annotations

import importlib
import json
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laws import THREADS, least_squares
from test_orthogonal import conditioned

import fastmml as fm
from fastmml import _backend, orthogonal
from fastmml._kernels import Kernels
from fastmml._residuals import improved

Array = Any


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(orthogonal, "_LEAST_WORK", 0)  # small matrices take every way
    with _backend.use_kernels(variant):
        yield


@pytest.mark.parametrize("condition", [1, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("columns", [(), (3,), (9,)])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_solutions_are_backward_stable(
    condition: float, columns: tuple[int, ...], dtype: Any
) -> None:
    a = conditioned(500, 7, condition, dtype)
    x = np.random.default_rng(1).normal(size=(7, *columns))
    b = a @ x
    found = fm.lstsq(a, b)
    assert found.rank == 7
    assert found.x.shape == x.shape
    assert np.linalg.norm(found.x - x) <= 1e-14 * condition * np.linalg.norm(x)
    # The residual of a consistent system is of rounding errors alone, whatever the condition.
    assert np.linalg.norm(b - a @ found.x) <= 1e-14 * np.linalg.norm(x)
    expected = np.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(found.singular_values, expected, atol=1e-14)


@pytest.mark.parametrize("shape", [(200, 5), (200, 1), (9, 5), (4, 6)])
@pytest.mark.parametrize("dtypes", ["dd", "ff", "df", "fd", "di", "id", "DD", "dD", "Df", "FF"])
@pytest.mark.parametrize("columns", [(), (1,), (4,)])
def test_everything_that_numpy_returns(
    shape: tuple[int, int], dtypes: str, columns: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(2)
    a = (9 * rng.normal(size=shape)).astype(dtypes[0])
    b = (9 * rng.normal(size=(shape[0], *columns))).astype(dtypes[1])
    found, expected = fm.lstsq(a, b), np.linalg.lstsq(a, b)
    tolerance = 1e-3 if dtypes in ("ff", "FF") else 1e-10
    assert found.rank == expected[2]
    both = (found.x, found.residuals, found.singular_values), (*expected[:2], expected[3])
    for ours, theirs in zip(*both, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rank", [40, 7])
@pytest.mark.parametrize("dtypes", ["dd", "ff", "DD", "dD"])
@pytest.mark.parametrize(
    ("shape", "columns"),
    [((60, 40), ()), ((60, 40), (3,)), ((40, 60), ()), ((40, 60), (3,)), ((40, 40), (12,))],
)
def test_the_same_by_one_factorisation(
    shape: tuple[int, int], columns: tuple[int, ...], dtypes: str, rank: int
) -> None:
    rng = np.random.default_rng(4)
    a = (rng.integers(-9, 9, (shape[0], rank)) @ rng.integers(-9, 9, (rank, shape[1]))).astype(
        dtypes[0]
    )
    if dtypes[0] == "D":
        a = a * (1 + 2j)
    b = rng.normal(size=(shape[0], *columns)).astype(dtypes[1])
    found, expected = fm.lstsq(a, b), np.linalg.lstsq(a, b)
    assert found.rank == expected[2]
    both = (found.x, found.residuals, found.singular_values), (*expected[:2], expected[3])
    for ours, theirs in zip(*both, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        size = np.abs(theirs).max(initial=0)
        np.testing.assert_allclose(
            ours, theirs, rtol=0, atol=size * (1e-4 if dtypes == "ff" else 1e-9)
        )


@pytest.mark.parametrize("scale", [1e-150, 1e150])
@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_one_factorisation_of_any_scale(shape: tuple[int, int], scale: float) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=shape), rng.normal(size=shape[0])
    expected = np.linalg.lstsq(a, b)[0]
    np.testing.assert_allclose(fm.lstsq(a * scale, b).x * scale, expected, rtol=1e-10)
    np.testing.assert_allclose(fm.lstsq(a * scale, b * scale).x, expected, rtol=1e-10)


@pytest.mark.parametrize("dtypes", ["bb", "BB", "hH", "??", "fb", "Bf"])
@pytest.mark.parametrize("shape", [(200, 5), (9, 5)])
@pytest.mark.parametrize("options", [{}, {"alpha": 1}, {"refine": True}])
def test_whole_numbers_count_as_float64(
    shape: tuple[int, int], dtypes: str, options: dict[str, Any]
) -> None:
    a, b = np.random.default_rng(2).integers(0, 2, size=shape), np.arange(shape[0]) % 2
    found = fm.lstsq(a.astype(dtypes[0]), b.astype(dtypes[1]), **options)
    expected = fm.lstsq(a.astype(float), b.astype(float), **options)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("condition", [100, 1e6, 1e9, 1e13])
@pytest.mark.parametrize("columns", [1, 5])
def test_residuals_are_orthogonal_to_the_columns(
    condition: float, columns: int, dtype: Any
) -> None:
    """The error of a backward stable solution, as LAPACK's own tests measure it."""
    rng, eps = np.random.default_rng(9), float(np.finfo(dtype).eps)
    a = conditioned(4000, 20, condition, dtype)
    b = a @ rng.normal(size=(20, columns)).astype(dtype) + rng.normal(size=(4000, columns))
    b = b.astype(dtype)
    found = fm.lstsq(a, b, 0)
    rest = b.astype(np.complex128) - a.astype(np.complex128) @ found.x
    ratio = np.linalg.norm(a.conj().T @ rest, 2) / np.linalg.norm(a, 2) / eps
    size = np.linalg.norm(b, 2) + np.linalg.norm(a, 2) * np.linalg.norm(found.x, 2)
    assert ratio <= 100 * size


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs a wider type")
@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("condition", [1e3, 1e6, 1e9])
@pytest.mark.parametrize("columns", [(), (2,)])
def test_errors_are_smaller_than_lapacks(
    condition: float, columns: tuple[int, ...], noise: float
) -> None:
    ours, theirs = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        a = conditioned(3000, 10, condition, np.float64, seed) * 3000**0.5
        b = a @ rng.normal(size=(10, *columns)) + noise * rng.normal(size=(3000, *columns))
        known, found = least_squares(a, b), fm.lstsq(a, b)
        for x, errors in ((found.x, ours), (np.linalg.lstsq(a, b)[0], theirs)):
            errors.append(np.linalg.norm((x - known).astype(float)))
        rest = np.linalg.norm(np.atleast_2d((b - a @ found.x).T), axis=1) ** 2
        np.testing.assert_allclose(found.residuals, rest, rtol=1e-10 if noise else 2)
    assert max(ours) <= 0.1 * max(theirs) + 2 * np.finfo(float).eps


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs a wider type")
@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("condition", [1e3, 1e6, 1e9])
def test_complex_errors_are_smaller_than_lapacks(condition: float, noise: float) -> None:
    ours, theirs = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        a = conditioned(2000, 8, condition, np.complex128, seed) * 2000**0.5
        b = a @ (rng.normal(size=8) + 1j) + noise * (rng.normal(size=2000) + 1j)
        real = np.block([[a.real, -a.imag], [a.imag, a.real]])
        parts = least_squares(real, np.concatenate([b.real, b.imag]))
        known = parts[:8] + 1j * parts[8:]
        for x, errors in ((fm.lstsq(a, b).x, ours), (np.linalg.lstsq(a, b)[0], theirs)):
            errors.append(np.linalg.norm((x - known).astype(complex)))
    assert max(ours) <= (0.5 if noise else 0.1) * max(theirs) + 2 * np.finfo(float).eps


@pytest.mark.parametrize("scale", [1e9, 1e11])
@pytest.mark.parametrize("noise", [1e-6, 1])
@pytest.mark.parametrize("refine", [False, True])
def test_a_step_that_does_not_help_is_not_taken(
    scale: float, noise: float, refine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Array] = []

    def spied(data: Any, mean: Any, coef: Array, *others: Any) -> Any:
        starts.append(coef[:, 0])
        return improved(data, mean, coef, *others)

    monkeypatch.setattr("fastmml.least_squares.improved", spied)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(100, 6)), noise * rng.normal(size=100)
        a[:2] *= scale  # fewer large rows than columns: what they leave open the others tell
        b += a @ rng.normal(size=6)
        exact = reference(a, b)
        found = fm.lstsq(a, b, 1e-16, refine=refine).x
        before, after = (float(np.linalg.norm((x - exact).astype(float)))
                         for x in (starts[-1], found))  # fmt: skip
        assert after <= 4 * before + 1e-15 * np.linalg.norm(exact.astype(float))
    assert len(starts) == 12


@pytest.mark.parametrize("condition", [1, 1e3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.int64])
def test_small_matrices(dtype: Any, condition: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orthogonal, "_LEAST_WORK", 200 * 5 * 5)
    a = (1e8 * conditioned(200, 5, condition, np.float64)).astype(dtype)
    b = a @ np.arange(5).astype(dtype)
    found, expected = fm.lstsq(a, b), np.linalg.lstsq(a, b)
    assert found.rank == expected[2] == 5
    rtol = 20 * condition * np.finfo(found.x.dtype).eps
    np.testing.assert_allclose(found.x, expected[0], rtol=rtol, atol=5 * rtol)
    np.testing.assert_allclose(found.singular_values, expected[3], atol=rtol * expected[3][0])


def test_no_array_of_the_size_of_the_matrix_is_made() -> None:
    a = conditioned(80_000, 40, 1e7, np.float64)
    b = np.ones(len(a))
    fm.lstsq(a, b)  # imports, and compiles
    tracemalloc.start()
    fm.lstsq(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < a.nbytes / 4 or _backend.kernels().name == "numba"


@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
def test_threads_give_the_same_bits(dtype: Any) -> None:
    a = conditioned(20_000, 9, 1e4, dtype)
    b = a[:, ::-4] * 3 + 1
    results = []
    for threads in THREADS:
        with fm.threads(threads):
            results.append(fm.lstsq(a, b))
    for found in results[1:]:
        np.testing.assert_array_equal(found.x, results[0].x)
        np.testing.assert_array_equal(found.singular_values, results[0].singular_values)


@pytest.mark.parametrize("rcond", [None, -1, -0.5, 1e-3])
def test_least_norm_where_columns_are_dependent(rcond: float | None) -> None:
    a = np.random.default_rng(3).normal(size=(300, 6))
    a[:, 4] = a[:, 1] + a[:, 2]
    if rcond == 1e-3:  # else nothing but the norm of x would be certain
        a[:, 5] = a[:, 0] + 1e-5 * a[:, 5]
    b = np.random.default_rng(4).normal(size=300)
    found, expected = fm.lstsq(a, b, rcond), np.linalg.lstsq(a, b, rcond)
    assert found.rank == expected[2]
    if rcond is None or rcond > 0:
        assert found.residuals.shape == (0,)
        np.testing.assert_allclose(found.x, expected[0], rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones(3), np.ones(3)),
        (np.ones((30, 2)), np.ones(29)),
        (np.ones((30, 2)), np.ones((30, 2, 1))),
        (np.ones((30, 2), np.float16), np.ones(30)),
    ],
)
def test_refuses_what_numpy_refuses(a: Any, b: Any) -> None:
    with pytest.raises((np.linalg.LinAlgError, TypeError)) as expected:
        np.linalg.lstsq(a, b)
    with pytest.raises(expected.type, match=None):
        fm.lstsq(a, b)


def test_numpys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = importlib.import_module("numpy.linalg.tests.test_linalg")
    monkeypatch.setattr(theirs.linalg, "lstsq", fm.lstsq)
    suite = theirs.TestLstsq()
    suite.test_sq_cases()
    suite.test_nonsq_cases()
    suite.test_rcond()
    suite.test_incompatible_dims()
    for sizes in ((4, 2, 2), (0, 4, 1), (0, 4, 2), (4, 0, 1), (4, 0, 2), (4, 2, 0), (0, 0, 0)):
        suite.test_empty_a_b(*sizes)


def design(model: str, degree: int, x: Array) -> Array:
    """The matrix of a regression on these observations."""
    if model == "poly":
        return x[:, :1] ** np.arange(degree + 1.0)
    return np.column_stack([np.ones(len(x)), x]) if model == "cols" else x


def digits(found: Array, exact: Array) -> float:
    """How many decimal digits of the least exact coefficient are right."""
    errors = np.abs(found - exact) / np.where(exact == 0, 1, np.abs(exact))
    return float(-np.log10(max(errors.max(), np.finfo(float).eps)))


def test_nist_data_sets(data_folder: Path) -> None:
    path = data_folder / "nist-strd-linear" / "linear_exact.json"
    if not path.exists():
        pytest.skip(f"no {path.parent.name}/{path.name} in the data folder")
    for name, data in json.loads(path.read_text()).items():
        y, x = np.array(data["y"], float), np.array(data["x"], float)
        a, exact = design(data["model"], data.get("degree", 0), x), np.array(data["coef"], float)
        ours, theirs = fm.lstsq(a, y).x, np.linalg.lstsq(a, y)[0]
        assert digits(ours, exact) >= digits(theirs, exact) - 0.5, name


# ---- ridge regression and refinement ----


@pytest.mark.parametrize("shape", [(200, 5), (9, 5), (4, 6)])
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F", "l"])
@pytest.mark.parametrize("columns", [(), (3,)])
@pytest.mark.parametrize("alpha", [1e-3, 1, 1e6])
def test_ridge_is_least_squares_with_more_rows(
    shape: tuple[int, int], dtype: str, columns: tuple[int, ...], alpha: float
) -> None:
    rng = np.random.default_rng(5)
    a, b = (9 * rng.normal(size=s) for s in (shape, (shape[0], *columns)))
    a, b = (x.astype(dtype) for x in (a, b))
    below, zeros = np.sqrt(alpha) * np.eye(shape[1]), np.zeros((shape[1], *columns))
    expected = np.linalg.lstsq(np.vstack([a, below]), np.concatenate([b, zeros]))[0]
    tolerance = 1e-3 if dtype in "fF" else 1e-10
    for refine in (False, True):
        found = fm.lstsq(a, b, alpha=alpha, refine=refine)
        np.testing.assert_allclose(found.x, expected, rtol=tolerance, atol=tolerance / 1e3)
        assert found.x.dtype == (np.float64 if dtype == "l" else dtype)
        assert found.rank == min(shape)
        plain = np.linalg.svd(a, compute_uv=False)
        np.testing.assert_allclose(found.singular_values, plain, rtol=1e-4)
        if shape[0] > shape[1]:
            rest = np.linalg.norm(np.atleast_2d((b - a @ found.x).T), axis=1) ** 2
            np.testing.assert_allclose(found.residuals, rest, rtol=1e-3)


def test_ridge_of_dependent_columns() -> None:
    a = np.ones((100, 2))
    found = fm.lstsq(a, 3 * np.ones(100), alpha=50)
    np.testing.assert_allclose(found.x, [300 / 250, 300 / 250])
    assert found.rank == 1
    assert fm.lstsq(np.zeros((30, 2)), np.ones(30), alpha=1).x.tolist() == [0, 0]


@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e11])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(400, 8), (12, 8)])
@pytest.mark.parametrize("noise", [0.0, 1e-3, 1.0])
def test_refined_solutions_are_right_to_rounding(
    condition: float, dtype: Any, shape: tuple[int, int], noise: float
) -> None:
    eps, wide = np.finfo(dtype).eps, 2.0**-72
    if dtype == np.float32:
        condition = condition**0.38
    a = conditioned(*shape, condition, dtype)
    # Whole multiples of a power of two, so that the exact solution and its residual are known.
    a = np.round(a * 2**16) / dtype(2**16) if condition <= 1e4 and dtype == np.float64 else a
    x = np.round(np.random.default_rng(6).normal(size=8) * 64).astype(dtype)
    b = (a.astype(np.longdouble) @ x).astype(dtype)
    b += dtype(noise) * np.random.default_rng(7).normal(size=len(b)).astype(dtype)
    exact = reference(a, b)
    found = fm.lstsq(a, b, 0, refine=True).x
    plain = fm.lstsq(a, b, 0).x
    size = np.linalg.norm(exact.astype(float))
    error = np.linalg.norm((found - exact).astype(float)) / size
    rest = np.linalg.norm((b - a.astype(np.longdouble) @ exact).astype(float))
    part = rest / (np.linalg.norm(a, 2) * size)
    bound = wide * (condition + condition**2 * part)
    assert error <= 2 * eps + 100 * bound
    before = np.linalg.norm((plain - exact).astype(float)) / size
    assert error <= max(before, 2 * eps, bound)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
@pytest.mark.parametrize("powers", [(-700, -700), (-900, 0), (700, 600), (900, 900), (0, -1000)])
@pytest.mark.parametrize("alpha", [0.0, 1e-6])
def test_refined_solutions_of_any_size(dtype: Any, powers: tuple[int, int], alpha: float) -> None:
    power, other = (p // 10 if dtype == np.float32 else p for p in powers)
    if alpha:
        power //= 2  # whose square is that of alpha
    rng = np.random.default_rng(10)
    a = conditioned(60, 6, 1e4 if dtype != np.float32 else 100, dtype)
    b = rng.normal(size=(60, 2)).astype(dtype)
    expected = fm.lstsq(a, b, alpha=alpha, refine=True)
    large, right = a * dtype(2.0**power), b * dtype(2.0**other)
    with np.errstate(over="ignore", under="ignore"):
        found = fm.lstsq(large, right, alpha=np.ldexp(alpha, 2 * power), refine=True)
        np.testing.assert_array_equal(found.x, expected.x * dtype(2.0 ** (other - power)))
    np.testing.assert_array_equal(found.singular_values, expected.singular_values * 2.0**power)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("power", [0, -60, 60])
@pytest.mark.parametrize("alpha", [1e-300, 1e-100, 1e-30, 1.0, 1e30, 1e100, 1e300])
def test_refined_with_any_alpha(dtype: Any, rank: int, power: int, alpha: float) -> None:
    rng = np.random.default_rng(12)
    a = rng.integers(-9, 9, size=(20, 4)).astype(dtype) * dtype(2.0**power)
    if rank == 3:
        a[:, 3] = a[:, 0] + a[:, 1]
    b = rng.normal(size=20).astype(dtype)
    square = float(np.abs(a).max()) ** 2
    if rank == 3 and alpha < 1e-20 * square:
        with pytest.raises(np.linalg.LinAlgError, match="alpha that makes up for it, got rank 3"):
            fm.lstsq(a, b, alpha=alpha, refine=True)
        return
    found, plain = fm.lstsq(a, b, alpha=alpha, refine=True), np.linalg.svd(a, compute_uv=False)
    assert found.rank == rank
    assert found.x.dtype == found.singular_values.dtype == found.residuals.dtype == dtype
    np.testing.assert_allclose(found.singular_values, plain, atol=4e-6 * plain[0])
    exact, limits = reference(a, b, alpha).astype(float), np.finfo(dtype)
    error = np.linalg.norm((found.x - exact).astype(float) / np.abs(exact).max())
    loss = 2.0**-72 * square / alpha if rank == 3 else 0
    assert error <= 4 * limits.eps + loss or np.abs(exact).max() < limits.tiny


@pytest.mark.parametrize("bad", [2.0**600, np.nan])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_columns_are_refined_apart(bad: float, alpha: float) -> None:
    a, b = conditioned(100, 6, 1e6, np.float64), np.random.default_rng(8).normal(size=(100, 3))
    alone = fm.lstsq(a, b, alpha=alpha, refine=True).x
    b[:, 1] *= bad
    with np.errstate(all="ignore"):
        found = fm.lstsq(a, b, alpha=alpha, refine=True).x
    np.testing.assert_allclose(found[:, ::2], alone[:, ::2], rtol=1e-14)
    np.testing.assert_allclose(found[:, 1], alone[:, 1] * bad, rtol=1e-14)


def reference(a: Array, b: Array, alpha: float = 0.0) -> Array:
    """The solution in rational numbers."""
    rows = [[Fraction(float(v)) for v in row] for row in np.column_stack([a, b])]
    n = a.shape[1]
    system = [[sum(r[i] * r[j] for r in rows) for j in range(n + 1)] for i in range(n)]
    for i in range(n):
        system[i][i] += Fraction(alpha)
    for i in range(n):
        for k in range(i + 1, n):
            factor = system[k][i] / system[i][i]
            system[k] = [u - factor * v for u, v in zip(system[k], system[i], strict=True)]
    x: list[Fraction] = [Fraction(0)] * n
    for i in reversed(range(n)):
        rest = system[i][n] - sum(system[i][j] * x[j] for j in range(i + 1, n))
        x[i] = rest / system[i][i]
    return np.array([np.longdouble(float(v)) for v in x])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a, b: fm.lstsq(a, b, alpha=-1), ValueError, "alpha: expected a finite number"),
        (lambda a, b: fm.lstsq(a, b, alpha=np.inf), ValueError, "alpha: expected a finite number"),
        (lambda a, b: fm.lstsq(a, b, np.nan), ValueError, "rcond: expected a number, got NaN"),
        (lambda a, b: fm.lstsq(a.T, b[:2], np.nan), ValueError, "rcond: expected a number, got"),
        (lambda a, b: fm.lstsq(a, b, alpha="1"), TypeError, "alpha: expected a number"),
        (lambda a, b: fm.lstsq(a, b, refine=True), np.linalg.LinAlgError, "got rank 1 of 2"),
        (lambda a, b: fm.lstsq(a, b[:3], alpha=1), np.linalg.LinAlgError, None),
        (lambda a, b: fm.lstsq(a[0], b, alpha=1), np.linalg.LinAlgError, None),
        (lambda a, b: fm.lstsq(a.astype("e"), b, alpha=1), TypeError, None),
    ],
)
def test_wrong_options_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(np.ones((50, 2)), np.ones(50))


def test_nist_data_sets_refined(data_folder: Path) -> None:
    path = data_folder / "nist-strd-linear" / "linear_exact.json"
    if not path.exists():
        pytest.skip(f"no {path.parent.name}/{path.name} in the data folder")
    for name, data in json.loads(path.read_text()).items():
        y, x = np.array(data["y"], float), np.array(data["x"], float)
        a, exact = design(data["model"], data.get("degree", 0), x), np.array(data["coef"], float)
        found, plain = fm.lstsq(a, y, 0, refine=True).x, np.linalg.lstsq(a, y)[0]
        assert digits(found, exact) >= min(15, digits(plain, exact) + 1), name


@pytest.mark.parametrize("condition", [1, 8])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1, 1e-25, 1e25])
def test_normal_equations_are_as_exact(condition: float, dtype: Any, scale: float) -> None:
    rng, eps = np.random.default_rng(7), float(np.finfo(dtype).eps)
    scale = scale if dtype == np.float64 else scale**0.5
    a = conditioned(5000, 12, condition, np.float64)
    x = rng.normal(size=(12, 2))
    b = a @ x + 1e-3 * rng.normal(size=(5000, 2))
    a, b = (a * scale).astype(dtype), (b * scale).astype(dtype)
    found = fm.lstsq(a, b)
    expected = np.linalg.lstsq(a.astype(float), b.astype(float))
    assert found.rank == 12
    for ours, theirs in zip(found, expected, strict=True):
        assert np.shape(ours) == np.shape(theirs)
    tolerance = 20 * 12 * eps
    np.testing.assert_allclose(found.singular_values, expected[3], atol=tolerance * scale)
    assert np.linalg.norm(found.x - expected[0]) <= tolerance * condition * np.linalg.norm(x)
    # In float32 these are sums of squares of the rounding errors of b, too.
    np.testing.assert_allclose(found.residuals, expected[1], rtol=1e-9 if eps < 1e-10 else 1e-2)


def test_nan_is_numpys() -> None:
    a, b = np.ones((50, 2)), np.ones(50)
    a[3, 1] = np.nan
    with np.errstate(all="ignore"), pytest.raises(np.linalg.LinAlgError):
        fm.lstsq(a, b)


@pytest.mark.parametrize("scale", [1e-25, 1e18])
@pytest.mark.parametrize("rows", [40, 3000])
def test_ridge_of_small_and_large_float32(scale: float, rows: int) -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.normal(size=shape) for shape in ((rows, 12), (rows,)))
    narrow = (a * scale).astype(np.float32), (b * scale).astype(np.float32)
    found = fm.lstsq(*narrow, alpha=1e4 * scale**2)
    expected = np.linalg.solve(a.T @ a + 1e4 * np.eye(12), a.T @ b)
    np.testing.assert_allclose(found.x, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("rows", [50, 4000])
def test_float32_has_its_own_limit(rows: int) -> None:
    a = np.random.default_rng(5).normal(size=(rows, 10)).astype(np.float32)
    a[:, 9] = np.float32(1.1) * a[:, 0] + np.float32(0.3) * a[:, 1]
    assert fm.lstsq(a, a[:, 0]).rank == 9


@pytest.mark.parametrize(("of_a", "of_b"), [(1e300, 1), (1, 1e200), (1e-300, 1)])
def test_residuals_where_products_are_out_of_range(of_a: float, of_b: float) -> None:
    rng = np.random.default_rng(0)
    a = np.linalg.qr(rng.standard_normal((5000, 20)))[0] * np.logspace(0, -3, 20)
    b = rng.standard_normal(5000)
    with np.errstate(over="ignore"):
        expected = np.linalg.lstsq(a, b)[1] * of_b * of_b
    np.testing.assert_allclose(fm.lstsq(a * of_a, b * of_b).residuals, expected, rtol=1e-10)
