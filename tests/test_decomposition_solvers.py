"""The solvers of `fastmml.PCA`: as accurate as they say, sparse data, and which one is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same_for_all_threads

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels
from fastmml.decomposition import choice, iterative, krylov, operators, options, solvers
from fastmml.decomposition.number import Number
from fastmml.decomposition.operators import DenseRows, SparseRows

Array = Any
FLOATS = [np.float64, np.float32]
SOLVERS = ["covariance_eigh", "gram_eigh", "full", "arpack", "randomized", "auto"]
SPARSE_SOLVERS = ["covariance_eigh", "gram_eigh", "arpack", "randomized", "auto"]
LIMIT = {"f": 1e-5, "d": 1e-12}


@pytest.fixture(autouse=True)
def on_both_backends(backend: Kernels) -> Iterator[None]:
    with _backend.use_kernels(backend):
        yield


@pytest.fixture(params=[0, 1024])
def iterations(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small data are iterated on, too, by their columns or, where these are more, by their rows."""
    calls = []
    eigenpairs = iterative.eigenpairs

    def counted(*args: Any) -> Any:
        calls.append(args)
        return eigenpairs(*args)

    monkeypatch.setattr(operators, "FEW_ROWS", request.param)
    monkeypatch.setattr(krylov, "LEAST_SIZE", 0)
    monkeypatch.setattr(krylov, "BLOCKS", 3)
    for name in ("_SPARSE_BLOCK", "_DENSE_BLOCK", "_WIDE_BLOCK"):
        monkeypatch.setattr(iterative, name, 8)
    monkeypatch.setattr(iterative, "eigenpairs", counted)
    yield
    arguments = request.node.callspec.params
    assert calls or arguments.get("solver") not in ("arpack", "randomized")


def spectrum(m: int, n: int, lengths: Array, dtype: Any = np.float64, offset: float = 0) -> Array:
    """Data with these singular values, in random directions, around a mean."""
    random, k = np.random.default_rng(m + n), len(lengths)
    left = random.standard_normal((m, k))
    left = np.linalg.qr(left - left.mean(axis=0)).Q
    right = np.linalg.qr(random.standard_normal((n, k))).Q
    return ((left * lengths) @ right.T + offset).astype(dtype)


def svd(x: Array) -> tuple[Array, Array]:
    """Variances and components of the data in float64."""
    wide = x.astype(np.longdouble)
    _, values, vectors = np.linalg.svd(
        (wide - wide.mean(axis=0)).astype(float), full_matrices=False
    )
    return values**2 / (len(x) - 1), vectors


def sines(found: Array, components: Array) -> Array:
    """Of the angles between rows."""
    wide = found.astype(float)
    inside = np.einsum("ij,ij->i", wide, components)[:, np.newaxis] * components
    return np.linalg.norm(wide - inside, axis=1) / np.linalg.norm(wide, axis=1)


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("offset", [0, 1e3])
@pytest.mark.parametrize("shape", [(400, 150), (150, 400)])
def test_variances_and_errors(
    dtype: Any, solver: str, offset: float, shape: tuple[int, int]
) -> None:
    x = spectrum(*shape, np.geomspace(30, 0.3, 140), dtype, offset)
    variances, components = svd(x)
    model = fm.PCA(6, svd_solver=solver).fit(x)
    np.testing.assert_allclose(model.explained_variance_, variances[:6], rtol=LIMIT[x.dtype.char])
    total = variances.sum()
    np.testing.assert_allclose(model.explained_variance_ratio_, variances[:6] / total, rtol=1e-5)
    np.testing.assert_allclose(model.noise_variance_, variances[6:].sum() / 144, rtol=1e-4)
    wrong = sines(model.components_, components[:6])
    assert model.components_error_.shape == (6,)
    assert model.components_error_.dtype == np.float64
    assert (wrong <= model.components_error_).all()
    assert (model.components_error_ < (1e-2 if dtype == np.float32 else 1e-10)).all()


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(300, 120), (120, 300)])
def test_errors_of_a_cluster_are_large(dtype: Any, solver: str, shape: tuple[int, int]) -> None:
    lengths = np.concatenate([[9, 8, 5, 5 + 1e-9, 5 - 1e-9, 3], np.geomspace(1, 0.01, 80)])
    x = spectrum(*shape, lengths, dtype)
    components = svd(x)[1]
    model = fm.PCA(6, svd_solver=solver).fit(x)
    errors = model.components_error_
    assert (sines(model.components_, components[:6]) <= errors).all()
    assert (errors[2:5] > 1e-6).all()
    assert (errors[[0, 1, 5]] < 1e-4).all()


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(300, 120), (120, 300)])
def test_errors_where_no_variance_is_left(solver: str, shape: tuple[int, int]) -> None:
    x = spectrum(*shape, np.array([5.0, 4.0, 3.0]))
    model = fm.PCA(5, svd_solver=solver).fit(x)
    assert (model.components_error_[:3] < 1e-12).all()
    assert (model.components_error_[3:] > 1e-2).all()
    basis = model.components_
    np.testing.assert_allclose(basis @ basis.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(model.singular_values_, [5, 4, 3, 0, 0], atol=1e-6)


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("solver", ["arpack", "randomized", "gram_eigh"])
def test_more_equal_values_than_a_block_has_vectors(
    solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = np.concatenate([np.full(30, 3.0), np.geomspace(2, 0.1, 100)])
    x = spectrum(400, 260, lengths)
    model = fm.PCA(25, svd_solver=solver).fit(x)
    np.testing.assert_allclose(model.singular_values_, 3, rtol=1e-10)


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("scale", [1e-140, 1e-100, 1e-60, 1e60, 1e100, 1e140])
@pytest.mark.parametrize("shape", [(300, 120), (120, 300)])
def test_numbers_of_any_size(solver: str, scale: float, shape: tuple[int, int]) -> None:
    x = spectrum(*shape, np.geomspace(9, 0.1, 100))
    model = fm.PCA(4, svd_solver=solver).fit(x * scale)
    expected, components = svd(x)
    np.testing.assert_allclose(model.singular_values_, np.sqrt(expected[:4] * (len(x) - 1)) * scale)
    assert (sines(model.components_, components[:4]) <= model.components_error_).all()
    assert (model.components_error_ < 1e-10).all()


@pytest.mark.usefixtures("iterations")
def test_as_many_iterations_as_are_asked_for() -> None:
    x = np.random.default_rng(0).standard_normal((600, 400))
    variances = svd(x)[0][:5]
    model = fm.PCA(5, svd_solver="randomized", iterated_power=1).fit(x)
    wrong = np.abs(model.explained_variance_ / variances - 1).max()
    assert wrong > 1e-3
    assert (model.components_error_ > 1e-2).any()
    exact = fm.PCA(5, svd_solver="randomized").fit(x)
    np.testing.assert_allclose(exact.explained_variance_, variances, rtol=1e-12)


class Counted(krylov.Symmetric):
    """Counts products with vectors."""

    count = 0

    def apply(self, b: Array) -> Array:
        self.count += len(b)
        return super().apply(b)


@pytest.mark.parametrize("power", [2, 80])
def test_iterations_end_where_they_have_converged(power: int) -> None:
    """Three blocks fewer would not do, in the first basis (80) and after restarts."""

    def found(products: int) -> tuple[krylov.Found, int]:
        operator = Counted(np.diag(np.linspace(0.5, 1, 900) ** power))
        limits = krylov.Limits(1e-10, products, is_patient=True)
        return krylov.largest(operator, 10, 8, limits, np.random.RandomState(0)), operator.count

    result, count = found(100_000)
    assert result.is_converged
    assert (count > 138) == (power == 2)
    assert not found(count - 3 * 8)[0].is_converged


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("solver", ["arpack", "randomized"])
def test_iterations_that_fail_give_way_to_an_exact_solver(
    solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).standard_normal((300, 200))
    monkeypatch.setattr("fastmml.decomposition.options._MOST_STEPS", 1)
    monkeypatch.setattr("fastmml.decomposition.options._LEAST_STEPS", 40)
    model = fm.PCA(3, svd_solver=solver).fit(x)
    np.testing.assert_allclose(model.explained_variance_, svd(x)[0][:3], rtol=1e-12)


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("solver", ["arpack", "randomized"])
def test_random_state_and_threads_leave_no_trace(solver: str) -> None:
    x = spectrum(300, 200, np.geomspace(5, 0.1, 100))
    fits = [fm.PCA(4, svd_solver=solver, random_state=3).fit(x) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].components_, fits[1].components_)
    other = fm.PCA(4, svd_solver=solver, random_state=np.random.RandomState(4)).fit(x)
    np.testing.assert_allclose(other.components_, fits[0].components_, atol=1e-10)

    def run(threads: int) -> tuple[Array, ...]:
        with fm.threads(threads):
            model = fm.PCA(4, svd_solver=solver).fit(x)
        return model.components_, model.explained_variance_

    assert_same_for_all_threads(run)


# ---- sparse data ----


def sparse(m: int, n: int, density: float, dtype: Any = np.float64, seed: int = 0) -> Any:
    """Random entries, of columns that fall in size; one column is full, around 100."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((m, n)) * (random.random((m, n)) < density)
    x *= np.geomspace(1, 0.2, n)
    x[:, 0] = random.standard_normal(m) + 100
    return sp.csr_array(x.astype(dtype))


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("solver", SPARSE_SOLVERS)
@pytest.mark.parametrize("shape", [(400, 130), (130, 400)])
def test_sparse_data(dtype: Any, solver: str, shape: tuple[int, int]) -> None:
    x = sparse(*shape, 0.1, dtype)
    variances, components = svd(x.toarray())
    model = fm.PCA(4, svd_solver=solver).fit(x)
    np.testing.assert_allclose(
        model.explained_variance_, variances[:4], rtol=LIMIT[dtype().dtype.char]
    )
    assert model.components_.dtype == dtype
    assert (sines(model.components_, components[:4]) <= model.components_error_).all()
    np.testing.assert_allclose(model.noise_variance_, variances[4:].mean(), rtol=1e-6)
    dense = fm.PCA(4, svd_solver="full").fit(x.toarray())
    atol = 1e-2 if dtype == np.float32 else 1e-8
    np.testing.assert_allclose(model.mean_, dense.mean_, atol=1e-5)
    found = model.transform(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, dense.transform(x.toarray()), atol=atol)
    errors = model.reconstruction_errors(x)
    np.testing.assert_allclose(errors, dense.reconstruction_errors(x.toarray()), atol=atol)
    np.testing.assert_allclose(errors.mean(), model.reconstruction_error_, rtol=1e-4)
    np.testing.assert_allclose(
        model.score_samples(x), dense.score_samples(x.toarray()), rtol=1e-3, atol=atol
    )


@pytest.mark.parametrize("n_components", [None, 0, 0.5, "mle"])
def test_sparse_data_of_any_number(n_components: Any) -> None:
    x = sparse(120, 15, 0.3)
    ours = fm.PCA(n_components, svd_solver="covariance_eigh").fit(x)
    dense = fm.PCA(n_components, svd_solver="full").fit(x.toarray())
    assert ours.n_components_ == dense.n_components_
    np.testing.assert_allclose(ours.explained_variance_, dense.explained_variance_, rtol=1e-9)


@pytest.mark.parametrize("solver", ["arpack", "gram_eigh"])
def test_any_format_and_type(solver: str) -> None:
    x = sparse(60, 30, 0.2)
    expected = fm.PCA(3, svd_solver=solver).fit(x)
    twice = sp.coo_array(
        (np.repeat(x.tocoo().data / 2, 2), tuple(np.repeat(part, 2) for part in x.tocoo().coords)),
        shape=x.shape,
    )
    others = [x.asformat(name) for name in ("csc", "coo", "lil", "dok", "bsr")]
    for other in (*others, sp.csr_matrix(x), twice, twice.tocsr()):
        model = fm.PCA(3, svd_solver=solver).fit(other)
        np.testing.assert_allclose(model.components_, expected.components_, atol=1e-9)
        np.testing.assert_allclose(model.transform(other), expected.transform(x), atol=1e-8)
    whole = (x * 10).astype(np.int16)
    model = fm.PCA(3, svd_solver=solver).fit(whole)
    same = fm.PCA(3, svd_solver=solver).fit(whole.astype(float))
    np.testing.assert_array_equal(model.components_, same.components_)


def test_sparse_data_are_never_made_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    x = sparse(300, 800, 0.01)
    for kind in (sp.csr_array, sp.csc_array):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(kind, name, lambda *_: pytest.fail("made dense"))
    model = fm.PCA(3, svd_solver="arpack").fit(x)
    model.transform(x)
    model.reconstruction_errors(x)
    model.score(x)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("solver", SPARSE_SOLVERS)
def test_sparse_data_that_are_no_numbers(wrong: float, solver: str) -> None:
    x = sparse(50, 20, 0.2)
    x.data[7] = wrong
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        fm.PCA(2, svd_solver=solver).fit(x)
    model = fm.PCA(2).fit(sparse(50, 20, 0.2))
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        model.transform(x)


def broken(part: str, at: int, value: int) -> Any:
    x = sparse(50, 20, 0.2).tocsr()
    getattr(x, part)[at] = value
    return x


@pytest.mark.parametrize(
    "matrix",
    [
        broken("indices", 5, 2_000_000),
        broken("indices", 5, -1),
        broken("indices", -1, 20),
        broken("indptr", 5, 10**7),
        broken("indptr", 5, -5),
        broken("indptr", 0, 3),
    ],
)
def test_broken_sparse_matrices(matrix: Any) -> None:
    model = fm.PCA(2).fit(sparse(50, 20, 0.2))
    for call in (fm.PCA(2).fit, model.transform, model.reconstruction_errors):
        with pytest.raises(ValueError, match="X: expected row pointers that rise, and indices"):
            call(matrix)


def test_strided_parts_of_sparse_matrices() -> None:
    x = sparse(50, 20, 0.2).tocsr()
    wide = np.repeat(x.data, 2)
    strided = sp.csr_array((wide[::2], x.indices.astype(np.int64), x.indptr), shape=x.shape)
    found, expected = fm.PCA(2).fit(strided), fm.PCA(2).fit(x)
    np.testing.assert_array_equal(found.components_, expected.components_)
    np.testing.assert_array_equal(found.transform(strided), expected.transform(x))


@pytest.mark.usefixtures("iterations")
@pytest.mark.parametrize("solver", ["covariance_eigh", "gram_eigh", "arpack"])
@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
def test_errors_where_sparse_data_have_a_large_mean(solver: str, offset: float) -> None:
    rng = np.random.default_rng(5)
    dense = sparse(300, 80, 0.1).toarray()
    dense[:, 0] = rng.normal(size=300) + offset
    model = fm.PCA(3, svd_solver=solver).fit(sp.csr_array(dense))
    assert (sines(model.components_, svd(dense)[1][:3]) <= model.components_error_).all()


@pytest.mark.usefixtures("iterations")
def test_large_sparse_data_are_not_squared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_MOST_STEPS", 0)
    monkeypatch.setattr(options, "_LEAST_STEPS", 60)
    monkeypatch.setattr(options, "_MOST_DENSE", 100)
    x = sp.diags_array([np.ones(400), -np.ones(399)], offsets=[0, 1], format="csr")
    with pytest.warns(RuntimeWarning, match="tol: iterations ended at residuals"):
        model = fm.PCA(10, svd_solver="arpack").fit(x)
    assert (model.components_error_ > 1e-3).any()


def test_a_sparse_matrix_has_no_full_solver() -> None:
    with pytest.raises(TypeError, match="X: expected a dense array for svd_solver='full'"):
        fm.PCA(2, svd_solver="full").fit(sparse(50, 20, 0.2))


# ---- operators and choice ----


def test_sparse_data_that_float32_would_lose_digits_of() -> None:
    x = sp.csr_array(sparse(9000, 31, 0.2, np.float32)[:, 1:])
    far, few = sp.csr_array(x.toarray() + 1000), sp.csr_array((9000, 3000), dtype=np.float32)
    heavy = sp.csr_array(np.ones((9000, 1), np.float32))
    single = (x, sp.hstack([few, x]).tocsr())
    double = (x.astype(np.float64), x * np.float32(1e-20), far, sp.hstack([few, x, heavy]).tocsr())
    for matrices, dtype in ((single, np.float32), (double, np.float64)):
        for matrix in matrices:
            assert SparseRows(matrix).number == dtype
            assert SparseRows(matrix.T.tocsr()).number == dtype


@pytest.mark.parametrize(("fall", "is_left"), [(0, True), (1, False), (1.5, True)])
def test_few_components_of_products_of_float32(
    fall: float, is_left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spectra that are flat, or so steep that float32 does not do, are left to LAPACK."""
    calls, by_lapack = [], solvers._by_lapack

    def counted(products: Array, count: int) -> Any:
        calls.append(count)
        return by_lapack(products, count)

    monkeypatch.setattr(solvers, "_by_lapack", counted)
    x = spectrum(1200, 600, np.arange(1, 601) ** -float(fall), np.float32)
    variances, components = svd(x)
    model = fm.PCA(30, svd_solver="covariance_eigh").fit(x)
    np.testing.assert_allclose(model.explained_variance_, variances[:30], rtol=1e-5)
    assert (sines(model.components_, components[:30]) <= model.components_error_).all()
    assert bool(calls) == is_left


@pytest.mark.parametrize("largest", [10.0, 1000.0])
def test_the_last_of_few_components_beside_near_ones(largest: float) -> None:
    """Iterations in float32 lose more than their products have."""
    lengths = np.sqrt(np.r_[np.geomspace(largest, 1, 10), np.geomspace(0.95, 0.1, 590)])
    x = spectrum(1200, 600, lengths, np.float32)
    _, components = svd(x)
    found = fm.PCA(10, svd_solver="covariance_eigh").fit(x).components_
    rounded = np.finfo(np.float32).eps / 2 * np.sqrt(largest)
    assert sines(found, components[:10]).max() <= rounded / 0.05


def test_what_float32_needed_leaves_memory_before_float64() -> None:
    rows = sp.random_array((400, 50), density=0.2, rng=0, dtype=np.float32, format="csr")
    data = SparseRows(rows)
    data.apply(np.ones((8, 50), np.float32))
    assert "_tall" in vars(data)
    assert data.in_double().number == np.float64
    assert "_tall" not in vars(data)


@pytest.mark.parametrize(("largest", "scale"), [(30, 1), (100, 1), (1000, 1), (1000, 1e-16)])
@pytest.mark.parametrize("shape", [(1100, 2000), (700, 3000)])
def test_components_beside_one_that_dominates(
    largest: float, scale: float, shape: tuple[int, int]
) -> None:
    """Float32 loses what is far below the largest eigenvalue, as a tolerance in its units does."""
    lengths = scale * np.r_[largest, np.geomspace(1, 0.5, 12), np.geomspace(0.3, 0.1, 300)]
    x = spectrum(*shape, lengths, np.float32)
    _, components = svd(x)
    for solver in ("auto", "arpack", "randomized", "gram_eigh"):
        model = fm.PCA(10, svd_solver=solver).fit(x)
        np.testing.assert_allclose(model.singular_values_, lengths[:10], rtol=1e-4)
        found = sines(model.components_, components[:10])
        assert (found <= model.components_error_).all()
        assert found.max() < 1e-2


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(2, 40),
    n=st.integers(1, 40),
    offset=st.sampled_from([0, 1e4]),
    dtype=st.sampled_from(FLOATS),
    piece=st.sampled_from([1, 100, 1 << 20]),
    seed=st.integers(0, 99),
)
def test_products_are_those_of_a_centred_copy(
    m: int, n: int, offset: float, dtype: Any, piece: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x = (random.standard_normal((m, n)) + offset).astype(dtype)
    centred = (x - x.mean(axis=0, dtype=np.longdouble)).astype(float)
    y = random.standard_normal((m, 3))
    before = operators.PIECE
    operators.PIECE = piece
    try:
        for data in (DenseRows(x), SparseRows(sp.csr_array(x))):
            b = random.standard_normal((data.size, 3)).T.astype(data.number)
            side = centred if data.size == n else centred.T
            atol = 1e-9 if data.number == np.float64 else 1e-3
            np.testing.assert_allclose(data.apply(b), b @ side.T @ side, rtol=atol, atol=atol)
            atol = 1e-9 if data.unit < 1e-10 else 1e-3
            np.testing.assert_allclose(data.transposed_times(y), centred.T @ y, atol=atol)
            np.testing.assert_allclose(data.total, (centred**2).sum(), rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(
                data.mean, x.mean(axis=0, dtype=np.longdouble), rtol=1e-7, atol=1e-7
            )
    finally:
        operators.PIECE = before


@pytest.mark.parametrize(
    ("shape", "k", "solver"),
    [
        ((60_000, 784), 50, "covariance_eigh"),
        ((100, 30), 2, "covariance_eigh"),
        ((30, 100), 2, "gram_eigh"),
        ((2000, 2000), None, "covariance_eigh"),
        ((20_000, 20_000), 10, "arpack"),
    ],
)
def test_the_choice(shape: tuple[int, int], k: int | None, solver: str) -> None:
    rows = np.broadcast_to(np.float32(0), shape)
    assert choice.choose(DenseRows(rows), Number(k, *shape), 10).solver == solver


@pytest.mark.parametrize(
    ("shape", "solver"),
    [((100_000, 20_000), "arpack"), ((100_000, 100), "covariance_eigh"), ((50, 900), "gram_eigh")],
)
def test_the_choice_for_sparse_data(shape: tuple[int, int], solver: str) -> None:
    random, count = np.random.default_rng(0), 20 * shape[0]
    places = random.integers(0, shape[0], count), random.integers(0, shape[1], count)
    x = sp.coo_array((np.ones(count), places), shape=shape)
    assert choice.choose(SparseRows(x), Number(10, *shape), 10).solver == solver


def test_residuals_after_fresh_restarts() -> None:
    rng = np.random.default_rng(1)
    values = np.sort(np.r_[np.full(20, 2.0), rng.uniform(0.2, 1.5, 1980)])[::-1]
    limits = krylov.Limits(1e-3, 20_000, is_patient=True)
    found = krylov.largest(
        krylov.Symmetric(np.diag(values)), 30, 8, limits, np.random.RandomState(1)
    )
    rest = found.vectors * values - found.values[:30, np.newaxis] * found.vectors
    assert (np.linalg.norm(rest, axis=1) <= 1.1 * found.residuals).all()
