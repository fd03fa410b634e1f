"""`fastmml.PCA`: scikit-learn's estimator, right at any mean, with the error that it minimises."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmml as fm
from fastmml import _backend
from fastmml._kernels import Kernels
from fastmml.decomposition import operators, projection

sklearn = pytest.importorskip("sklearn", "1.6")
base = pytest.importorskip("sklearn.base")
reference = pytest.importorskip("sklearn.decomposition")
estimator_checks = pytest.importorskip("sklearn.utils.estimator_checks")

Array = Any
FLOATS = [np.float64, np.float32]
SOLVERS = ["covariance_eigh", "gram_eigh", "full"]
#: Relative errors that are allowed: of float32 and of float64 data.
LIMIT = {"f": 1e-5, "d": 1e-12}


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


def data(
    rows: int = 200, columns: int = 6, dtype: Any = np.float64, offset: float = 3.0, seed: int = 0
) -> Array:
    """Variances fall from 1 to a tenth, in random directions."""
    rng, rank = np.random.default_rng(seed), min(rows, columns)
    turn = np.linalg.qr(rng.normal(size=(columns, rank))).Q
    scale = np.geomspace(1, 0.3, rank)
    return ((rng.normal(size=(rows, rank)) * scale) @ turn.T + offset).astype(dtype)


def svd(x: Array) -> tuple[Array, Array]:
    """Variances and components of the centred data in float64."""
    wide = x.astype(np.longdouble)
    centred = (wide - wide.mean(axis=0)).astype(np.float64)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    return values**2 / (len(x) - 1), vectors


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_scikit_learns_own_checks(whiten: bool, solver: str) -> None:
    model = fm.PCA(whiten=whiten, svd_solver=solver)
    for check in estimator_checks.check_estimator(model, on_fail=None):
        assert check["status"] in ("passed", "skipped"), check


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_components", [None, 0, 1, 4, 0.3, 0.9, 0.999999])
@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("shape", [(200, 6), (30, 30), (8, 40), (2, 5), (5, 1)])
def test_scikit_learns_results(
    solver: str, n_components: Any, whiten: bool, shape: tuple[int, int]
) -> None:
    if isinstance(n_components, int) and n_components > min(shape):
        pytest.skip("more than there are")
    x, new = data(*shape), data(20, shape[1], seed=1)
    ours = fm.PCA(n_components, whiten=whiten, svd_solver=solver).fit(x)
    theirs = reference.PCA(n_components, whiten=whiten, svd_solver="full").fit(x)
    model = reference.PCA(n_components, svd_solver="full").fit(x)  # scikit-learn whitens it
    kept = min(len(theirs.components_), shape[0] - 1)  # the last one of few rows has no variance
    assert ours.n_components_ == theirs.n_components_
    assert ours.n_samples_ == theirs.n_samples_
    for name in ("explained_variance_", "singular_values_", "explained_variance_ratio_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-7)
    np.testing.assert_allclose(ours.mean_, theirs.mean_)
    np.testing.assert_allclose(ours.components_[:kept], theirs.components_[:kept], atol=1e-9)
    np.testing.assert_allclose(
        ours.components_ @ ours.components_.T, np.eye(ours.n_components_), atol=1e-12
    )
    np.testing.assert_allclose(ours.noise_variance_, theirs.noise_variance_, atol=1e-12)
    coordinates = ours.transform(new)
    np.testing.assert_allclose(coordinates[:, :kept], theirs.transform(new)[:, :kept], atol=1e-8)
    np.testing.assert_allclose(ours.fit_transform(x), ours.transform(x), atol=1e-12)
    if kept == len(theirs.components_):
        known = theirs.inverse_transform(coordinates) if len(theirs.components_) else theirs.mean_
        np.testing.assert_allclose(ours.inverse_transform(coordinates) - known, 0, atol=1e-9)
        np.testing.assert_allclose(ours.get_covariance(), model.get_covariance(), atol=1e-12)
    if shape == (200, 6):
        np.testing.assert_allclose(ours.get_precision(), model.get_precision(), rtol=1e-9)
        np.testing.assert_allclose(ours.score_samples(new), model.score_samples(new), rtol=1e-9)
        np.testing.assert_allclose(ours.score(x), model.score(x), rtol=1e-9)


@pytest.mark.parametrize(("rows", "rank"), [(100, 2), (500, 4), (60, 1)])
def test_minkas_guess(rows: int, rank: int) -> None:
    rng = np.random.default_rng(rank)
    x = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, 8)) * 3
    x += 0.1 * rng.normal(size=x.shape)
    ours, theirs = fm.PCA("mle").fit(x), reference.PCA("mle").fit(x)
    assert ours.n_components_ == theirs.n_components_ == rank


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize("shape", [(400, 12), (200, 40), (12, 400), (40, 200)])
def test_a_mean_of_10000_spreads(
    dtype: Any, solver: str, offset: float, shape: tuple[int, int]
) -> None:
    x = data(*shape, dtype, offset)
    limit, kept = LIMIT[x.dtype.char], min(shape) // 2
    variances, components = svd(x)
    model = fm.PCA(kept, svd_solver=solver).fit(x)
    np.testing.assert_allclose(model.explained_variance_, variances[:kept], rtol=limit)
    assert model.components_.dtype == dtype
    gaps = np.abs(variances[:kept, None] - variances).copy()
    gaps[np.arange(kept), np.arange(kept)] = np.inf
    turned = 1 - np.abs(np.einsum("ij,ij->i", model.components_, components[:kept]))
    assert (turned <= (limit * variances[0] / gaps.min(axis=1)) ** 2 + limit).all()
    assert (np.take_along_axis(
        model.components_, np.abs(model.components_).argmax(axis=1)[:, None], axis=1
    ) > 0).all()  # fmt: skip
    coordinates = (x - x.mean(axis=0, dtype=np.float64)) @ model.components_.T.astype(np.float64)
    found = model.transform(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, coordinates, atol=limit * 20)
    np.testing.assert_allclose(
        model.inverse_transform(found), x.mean(0, np.float64) + coordinates @ model.components_,
        rtol=limit, atol=limit * 20,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(300, 9), (9, 300)])
def test_the_error_that_is_minimised(dtype: Any, solver: str, shape: tuple[int, int]) -> None:
    x = data(*shape, dtype, 100)
    wide = x.astype(np.float64)
    for kept in (0, 1, 3, 9):
        model = fm.PCA(kept, svd_solver=solver).fit(x)
        errors = model.reconstruction_errors(x)
        assert errors.dtype == np.float64
        assert errors.shape == (len(x),)
        centred = wide - wide.mean(axis=0)
        basis = model.components_.astype(np.float64)
        expected = ((centred - centred @ basis.T @ basis) ** 2).sum(axis=1)
        limit = LIMIT[x.dtype.char] * (centred**2).sum(axis=1).max()
        np.testing.assert_allclose(errors, expected, atol=limit)
        np.testing.assert_allclose(model.reconstruction_error_, expected.mean(), atol=limit)
        for whiten in (False, True)[: 2 if kept < 9 else 1]:  # the last of 9 rows has no variance
            found = fm.PCA(kept, svd_solver=solver, whiten=whiten).fit(x)
            coordinates, squared = found.project(x)
            np.testing.assert_allclose(coordinates, found.transform(x), rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(squared, errors)
        best = svd(x)[0][kept:].sum() * (len(x) - 1) / len(x)
        np.testing.assert_allclose(model.reconstruction_error_, best, atol=limit)


@pytest.mark.parametrize("dtype", FLOATS)
def test_slabs_and_pieces_are_the_whole(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = data(11, 1200, dtype, 1e3)
    whole = fm.PCA(6).fit(x)
    expected = whole.transform(x), whole.reconstruction_errors(x), whole.score_samples(x)
    monkeypatch.setattr(operators, "PIECE", 1)
    monkeypatch.setattr(projection, "_PIECE", 3600)
    parts = fm.PCA(6).fit(x)
    atol = 20 * LIMIT[x.dtype.char]
    np.testing.assert_allclose(parts.components_, whole.components_, atol=atol)
    np.testing.assert_allclose(parts.transform(x), expected[0], atol=atol)
    np.testing.assert_allclose(parts.reconstruction_errors(x), expected[1], atol=atol)
    np.testing.assert_allclose(parts.score_samples(x), expected[2], rtol=1e3 * LIMIT[x.dtype.char])


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(2, 60),
    columns=st.integers(1, 60),
    rank=st.integers(0, 8),
    seed=st.integers(0, 99),
    solver=st.sampled_from(["auto", *SOLVERS]),
    dtype=st.sampled_from(FLOATS),
)
def test_any_rank(rows: int, columns: int, rank: int, seed: int, solver: str, dtype: Any) -> None:
    """Components are orthonormal also where there is no variance left."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns)) + 5).astype(dtype)
    model = fm.PCA(svd_solver=solver).fit(x)
    basis = model.components_.astype(np.float64)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(
        basis @ basis.T, np.eye(min(rows, columns)), atol=10 * eps * (10 + max(rows, columns))
    )
    values = np.linalg.svd(x - x.mean(axis=0, dtype=np.float64), compute_uv=False)
    largest = float(values.max(initial=0)) + 5 * eps * rows
    np.testing.assert_allclose(model.singular_values_**2, values**2, atol=100 * eps * largest**2)
    back = model.inverse_transform(model.transform(x))
    np.testing.assert_allclose(back, x, atol=200 * eps * (np.abs(x).max() + largest))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_single_precision_of_any_size(solver: str, scale: float) -> None:
    x = (data(50, 9) * scale).astype(np.float32)
    model, wide = fm.PCA(3, svd_solver=solver).fit(x), fm.PCA(3).fit(x.astype(np.float64))
    np.testing.assert_allclose(model.explained_variance_, wide.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(model.components_, wide.components_, atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_any_layout_and_type(solver: str) -> None:
    x = data(90, 7)
    expected = fm.PCA(3, svd_solver=solver).fit(x)
    wide = np.zeros((180, 14))
    wide[::2, ::2] = x
    for other in (np.asfortranarray(x), wide[::2, ::2], x.astype(">f8"), x.tolist()):
        model = fm.PCA(3, svd_solver=solver).fit(other)
        np.testing.assert_allclose(model.components_, expected.components_, atol=1e-12)
        np.testing.assert_allclose(model.transform(other), expected.transform(x), atol=1e-12)
    whole = np.round(x * 10).astype(np.int16)
    found = fm.PCA(3, svd_solver=solver).fit(whole)
    same = fm.PCA(3, svd_solver=solver).fit(whole * 1.0)
    np.testing.assert_array_equal(found.components_, same.components_)
    kept = x.copy()
    fm.PCA(svd_solver=solver).fit(x).transform(x)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_in_and_frames_out(library: str) -> None:
    frames = pytest.importorskip(library)
    x = data(30, 3)
    frame = frames.DataFrame(dict(zip("abc", x.T, strict=True)))
    model = fm.PCA(2).set_output(transform=library).fit(frame)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    found = model.transform(frame)
    assert isinstance(found, frames.DataFrame)
    assert list(found.columns) == ["pca0", "pca1"]
    np.testing.assert_allclose(found.to_numpy(), fm.PCA(2).fit_transform(x), atol=1e-12)
    assert isinstance(model.fit_transform(frame), frames.DataFrame)
    assert model.get_feature_names_out().tolist() == ["pca0", "pca1"]
    coordinates, errors = model.project(frame)
    np.testing.assert_allclose(coordinates, found.to_numpy())
    np.testing.assert_allclose(errors, model.reconstruction_errors(frame))


def test_it_is_cloned_pickled_searched_and_piped() -> None:
    x = data(100, 5)
    model = base.clone(fm.PCA(2, whiten=True))
    assert model.get_params().keys() == reference.PCA().get_params().keys()
    again = pickle.loads(pickle.dumps(model.fit(x)))
    np.testing.assert_array_equal(again.transform(x), model.transform(x))
    pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline(
        fm.PCA(), fm.LinearRegression()
    )
    search = pytest.importorskip("sklearn.model_selection").GridSearchCV(
        pipeline, {"pca__n_components": [1, 5]}
    )
    assert search.fit(x, x.sum(axis=1)).best_params_ == {"pca__n_components": 5}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fm.PCA(7).fit(x), "n_components: expected an int from 0 to min(m, n) = 6"),
        (lambda x: fm.PCA(-1).fit(x), "n_components: expected"),
        (lambda x: fm.PCA(1.5).fit(x), "n_components: expected"),
        (lambda x: fm.PCA(True).fit(x), "n_components: expected"),
        (lambda x: fm.PCA("mle").fit(x.T), "n_components: expected"),
        (lambda x: fm.PCA(svd_solver="svd").fit(x), "svd_solver: expected one of 'auto', 'full'"),
        (lambda x: fm.PCA(svd_solver="arpack", tol=-1).fit(x), "tol: expected a finite number"),
        (lambda x: fm.PCA(iterated_power="a").fit(x), "iterated_power: expected one of 'auto'"),
        (lambda x: fm.PCA(iterated_power=-1).fit(x), "iterated_power: expected an int of at least"),
        (lambda x: fm.PCA(n_oversamples=0).fit(x), "n_oversamples: expected an int of at least 1"),
        (lambda x: fm.PCA(power_iteration_normalizer="x").fit(x), "power_iteration_normalizer: ex"),
        (lambda x: fm.PCA(random_state=-1).fit(x), "random_state: expected None, an int from 0"),
        (lambda x: fm.PCA(whiten=2).fit(x), "whiten: expected one of True, False, got 2"),
        (
            lambda x: fm.PCA(6, svd_solver="arpack").fit(x),
            "n_components: expected an int from 1 to 5",
        ),
        (
            lambda x: fm.PCA(0, svd_solver="randomized").fit(x),
            "n_components: expected an int",
        ),
        (
            lambda x: fm.PCA("mle", svd_solver="arpack").fit(x),
            "n_components: expected an int",
        ),
        (lambda x: fm.PCA(0.5, svd_solver="arpack").fit(x), "n_components: expected an int"),
        (lambda x: fm.PCA().fit(x[:1]), "minimum of 2 is required|at least 2 rows"),
        (lambda x: fm.PCA().fit(x * [1, np.nan, 1, 1, 1, 1]), "X: expected finite numbers"),
        (lambda x: fm.PCA().fit(x.T * np.inf), "X: expected finite numbers"),
        (lambda x: fm.PCA().fit(x).transform(x * np.inf), "X: expected finite numbers"),
        (lambda x: fm.PCA().fit(x).project(x * np.nan), "X: expected finite numbers"),
        (lambda x: fm.PCA(2).fit(x).score(x * np.nan), "X: expected finite numbers"),
        (lambda x: fm.PCA().fit(x * 1e300), "X: expected numbers whose squares are finite"),
        (lambda x: fm.PCA(2).fit(x).inverse_transform(x), "X: expected shape (m, 2), a column"),
        (lambda x: fm.PCA().fit(x).transform(x[:, :3]), "3 features"),
        (lambda x: fm.PCA().fit(x * [1, 1, 0, 1, 1, 1]).score(x), "Singular matrix"),
    ],
)
def test_messages(call: Any, message: str) -> None:
    patterns = "|".join(map(re.escape, message.split("|")))
    with pytest.raises(ValueError, match=patterns):
        call(data())


def test_too_many_components_are_refused_at_the_first_chunk() -> None:
    chunks = iter([data()[:, :4]] * 3)
    with pytest.raises(ValueError, match="n_components: expected an int from 0 to min"):
        fm.PCA(5).fit(chunks)
    assert len(list(chunks)) == 2


def test_a_fit_that_raises_changes_nothing() -> None:
    x, wrong = data(), np.full((50, 4000), np.nan)
    pca = fm.PCA(2)
    for bad in (wrong, iter([wrong[:, :9]]), wrong[:1]):
        with pytest.raises(ValueError, match="X: expected"):
            pca.fit(bad)
        with pytest.raises(ValueError, match="not fitted|expected a call of fit"):
            pca.transform(x)
    expected, columns = pca.fit(x).transform(x), x.shape[1]
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        pca.fit(wrong)
    assert pca.n_features_in_ == columns
    np.testing.assert_array_equal(pca.transform(x), expected)
    pca.n_features_in_ = 4000
    for new in (np.ones((5, 4000)), iter([np.ones((5, 4000))])):
        with pytest.raises(ValueError, match=f"X: expected {columns} features"):
            pca.transform(new)


def test_masked_coordinates_are_not_uncovered() -> None:
    pca = fm.PCA(2).fit(data())
    with pytest.raises(ValueError, match="X: expected no masked numbers, got 1"):
        pca.inverse_transform(np.ma.masked_array(np.ones((2, 2)), [[0, 0], [0, 1]]))


#: Fits without scikit-learn, and prints what came out.
WITHOUT = """
import sys, json, numpy as np
sys.modules["sklearn"] = None
import fastmml as fm
x = np.random.default_rng(0).normal(size=(40, 4))
pca = fm.PCA(2).set_params(whiten=True)
try:
    pca.transform(x)
except fm.NotFittedError:
    found = pca.fit_transform(x)
try:
    import pandas
except ImportError:
    pass
else:
    frame = pandas.DataFrame(x, columns=list("abcd"))
    pca.fit(frame)
    assert pca.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    pca.transform(iter([frame]))
    for source in (frame[["a", "b", "d", "c"]], frame.rename(columns={"a": 1})):
        for wrong in (source, iter([source])):
            try:
                pca.transform(wrong)
            except (ValueError, TypeError):
                continue
            raise AssertionError("columns of other names")
    pca.fit(x)
    assert not hasattr(pca, "feature_names_in_")
print(json.dumps([repr(pca), found.tolist(), pca.get_feature_names_out().tolist()]))
"""


def test_without_scikit_learn() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], check=True, capture_output=True, text=True
    )
    text, found, names = json.loads(done.stdout.splitlines()[-1])
    assert text.startswith("PCA(n_components=2, copy=True, whiten=True, svd_solver='auto'")
    assert names == ["pca0", "pca1"]
    x = np.random.default_rng(0).normal(size=(40, 4))
    expected = fm.PCA(2, whiten=True).fit_transform(x)
    np.testing.assert_allclose(found, expected, atol=1e-12)
