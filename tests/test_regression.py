"""`fastmml.LinearRegression`: scikit-learn's estimator, exact as LAPACK, with standard errors."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from laws import THREADS, least_squares
from test_least_squares import digits
from test_orthogonal import conditioned

import fastmml as fm
from fastmml import _backend, _centred, _residuals
from fastmml._kernels import Kernels

sklearn = pytest.importorskip("sklearn", "1.6")
base = pytest.importorskip("sklearn.base")
linear_model = pytest.importorskip("sklearn.linear_model")
estimator_checks = pytest.importorskip("sklearn.utils.estimator_checks")

Array = Any


@pytest.fixture(autouse=True)
def on_every_variant(variant: Kernels) -> Iterator[None]:
    with _backend.use_kernels(variant):
        yield


def data(
    rows: int = 300, features: int = 4, targets: tuple[int, ...] = (), seed: int = 0
) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 2, size=(rows, features))
    y = x @ rng.normal(size=(features, *targets)) + rng.normal(5, 0.5, size=(rows, *targets))
    return x, y, rng.uniform(0, 2, size=rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_scikit_learns_own_checks(fit_intercept: bool) -> None:
    model = fm.LinearRegression(fit_intercept=fit_intercept)
    for check in estimator_checks.check_estimator(model, on_fail=None):
        assert check["status"] in ("passed", "skipped"), check


@pytest.mark.parametrize("targets", [(), (1,), (70,)])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("rows", [300, 9, 5, 3, 1])
def test_scikit_learns_results(
    targets: tuple[int, ...], fit_intercept: bool, weighted: bool, rows: int
) -> None:
    x, y, weights = data(rows, 4, targets)
    given = weights if weighted else None
    ours = fm.LinearRegression(fit_intercept=fit_intercept).fit(x, y, given)
    theirs = linear_model.LinearRegression(fit_intercept=fit_intercept).fit(x, y, given)
    for name in ("coef_", "intercept_"):
        found, expected = getattr(ours, name), getattr(theirs, name)
        assert np.shape(found) == np.shape(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    assert ours.rank_ == (0 if fit_intercept and rows == 1 else theirs.rank_)
    kept = theirs.singular_[: len(ours.singular_)]
    np.testing.assert_allclose(ours.singular_, kept, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-8, atol=1e-9)
    if rows > 1:
        assert abs(ours.score(x, y) - theirs.score(x, y)) < 1e-9


def lapack(x: Array, y: Array) -> Array:
    return scipy.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), cond=1e-16)[0]


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs a wider type")
@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("offset", [0, 1e6])
@pytest.mark.parametrize("condition", [1, 4, 30, 1e3, 1e5, 1e6, 1e9])
def test_errors_are_no_larger_than_lapacks(condition: float, offset: float, noise: float) -> None:
    ours, theirs = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = conditioned(2000, 8, condition, np.float64, seed) * 2000**0.5
        x = x + offset * rng.uniform(0.5, 1, size=8)
        y = x @ rng.normal(size=8) + noise * rng.normal(size=2000)
        wide = (v.astype(np.longdouble) for v in (x, y))
        known = least_squares(*(v - v.mean(axis=0) for v in wide))
        size = np.linalg.norm(known.astype(float))
        model = fm.LinearRegression(rcond=1e-16).fit(x, y)
        assert model.rank_ == 8
        ours.append(np.linalg.norm((model.coef_ - known).astype(float)) / size)
        theirs.append(np.linalg.norm((lapack(x, y) - known).astype(float)) / size)
    # Refined solutions have digits that LAPACK's lack.
    part = 1 if condition < 30 else 0.25
    assert max(ours) <= part * max(theirs) + 2 * np.finfo(float).eps


def test_many_targets_of_which_many_rows_count_nothing() -> None:
    rng = np.random.default_rng(3)
    x, y, weights = rng.normal(size=(40_000, 4)), rng.normal(size=(40_000, 9)), np.ones(40_000)
    x[:, 0] += 1e3 * x[:, 1]
    weights[:36_000] = 0
    model = fm.LinearRegression().fit(x, y, weights)
    used = fm.LinearRegression().fit(x[36_000:], y[36_000:])
    np.testing.assert_allclose(model.coef_, used.coef_, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("condition", [1, 1e3, 1e7])
def test_many_large_targets(condition: float) -> None:
    x = conditioned(300, 6, condition, np.float64)
    model = fm.LinearRegression().fit(x, x @ np.ones((6, 40)) * 1e200)
    np.testing.assert_allclose(model.coef_, np.full((40, 6), 1e200), rtol=1e-13 * condition)


def test_the_row_of_a_number_that_is_none() -> None:
    x = np.random.default_rng(0).normal(size=(300_000, 3))
    x[-5, 1] = np.inf
    with pytest.raises(ValueError, match=r"X: .* infinity in row 299995, column 1|X contains inf"):
        fm.LinearRegression().fit(x, x[:, 0])


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs a wider type")
@pytest.mark.parametrize("noise", [0, 2e-3, 1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("condition", [1, 30, 1e3, 3e4, 1e5, 1e6, 1e9])
def test_errors_of_many_targets(
    condition: float, fit_intercept: bool, weighted: bool, noise: float, monkeypatch: Any
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("residuals of many targets")

    monkeypatch.setattr(_residuals, "_step", refuse)
    ours, theirs = [], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        x = conditioned(400, 6, condition, np.float64, seed) * 400**0.5 + 3 * fit_intercept
        y = x @ rng.normal(size=(6, 260)) + noise * rng.normal(size=(400, 260))
        weights = rng.integers(1, 3, size=400) ** 2 if weighted else np.ones(400)
        wide = [v.astype(np.longdouble) for v in (x, y[:, ::37])]
        if fit_intercept:
            wide = [v - np.average(v, axis=0, weights=weights.astype(np.longdouble)) for v in wide]
        x_, y_ = (v * np.sqrt(weights)[:, None] for v in wide)
        known = least_squares(x_, y_)
        model = fm.LinearRegression(rcond=1e-16, fit_intercept=fit_intercept)
        model.fit(x, y, weights if weighted else None)
        size = np.linalg.norm(known.astype(float))
        ours.append(np.linalg.norm((model.coef_[::37].T - known).astype(float)) / size)
        plain = scipy.linalg.lstsq(x_.astype(float), y_.astype(float), cond=1e-16)[0]
        theirs.append(np.linalg.norm((plain - known).astype(float)) / size)
        chi2 = np.linalg.norm((y_ - x_ @ known).astype(float), axis=0) ** 2
        np.testing.assert_allclose(model.chi2_[::37], chi2, rtol=1e-8, atol=1e-18)
    assert max(ours) <= 5 * max(theirs) + 2 * np.finfo(float).eps


@pytest.mark.parametrize("condition", [1, 30, 1e3, 1e7])
@pytest.mark.parametrize("targets", [(), (2,)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_standard_errors(condition: float, targets: tuple[int, ...], fit_intercept: bool) -> None:
    x = conditioned(400, 3, condition, np.float64) * 20 + [1, 2, 3]
    rng = np.random.default_rng(1)
    y, weights = rng.normal(size=(400, *targets)), rng.uniform(0.5, 2, size=400)
    design = np.column_stack([np.ones(400), x]) if fit_intercept else x
    root = np.sqrt(weights)[:, None]
    inverse = np.linalg.pinv(design * root, rcond=1e-15)
    spread = np.linalg.norm(inverse, axis=1)
    model = fm.LinearRegression(fit_intercept=fit_intercept).fit(x, y, weights)
    rest = (y - model.predict(x)).reshape(400, -1)
    chi2 = (weights[:, None] * rest**2).sum(axis=0)
    dof = 400 - design.shape[1]
    assert model.dof_ == dof
    np.testing.assert_allclose(np.ravel(model.chi2_), chi2, rtol=1e-9)
    np.testing.assert_allclose(np.ravel(model.residual_variance_), chi2 / dof, rtol=1e-9)
    errors = np.atleast_2d(model.coef_std_error_)
    expected = np.sqrt(chi2 / dof)[:, None] * spread[-3:]
    np.testing.assert_allclose(errors, expected, rtol=1e-6)
    assert hasattr(model, "intercept_std_error_") == fit_intercept
    if fit_intercept:
        known = np.sqrt(chi2 / dof) * spread[0]
        np.testing.assert_allclose(np.ravel(model.intercept_std_error_), known, rtol=1e-6)


def test_known_errors_of_measurements() -> None:
    rng = np.random.default_rng(2)
    t, sigma = np.linspace(0, 10, 60), rng.uniform(0.1, 0.5, size=60)
    y = 2 - 3 * t + sigma * rng.normal(size=60)
    model = fm.LinearRegression().fit(t[:, None], y, sigma=sigma)
    known, covariance = scipy.optimize.curve_fit(
        lambda t, a, b: a + b * t, t, y, sigma=sigma, absolute_sigma=True
    )
    np.testing.assert_allclose([model.intercept_, *model.coef_], known, rtol=1e-6)
    errors = [model.intercept_std_error_, *model.coef_std_error_]
    np.testing.assert_allclose(errors, np.sqrt(np.diagonal(covariance)), rtol=1e-6)
    chi2 = (((y - model.predict(t[:, None])) / sigma) ** 2).sum()
    np.testing.assert_allclose(model.chi2_, chi2, rtol=1e-12)
    relative = fm.LinearRegression().fit(t[:, None], y, sigma**-2.0)
    scale = np.sqrt(model.chi2_ / 58)
    np.testing.assert_allclose(relative.coef_std_error_, scale * model.coef_std_error_)
    same = fm.LinearRegression().fit(t[:, None], y, sigma=0.3)
    plain = fm.LinearRegression().fit(t[:, None], y)
    np.testing.assert_allclose(same.coef_, plain.coef_, rtol=1e-12)
    np.testing.assert_allclose(same.chi2_, plain.chi2_ / 0.09, rtol=1e-9)


@pytest.mark.parametrize("condition", [1, 1e2, 1e4, 1e7])
def test_tiny_residuals_keep_their_digits(condition: float) -> None:
    x = conditioned(3000, 4, condition, np.float64) * 50
    noise = 1e-6 * np.random.default_rng(3).normal(size=3000)
    y = x @ np.ones(4) + noise
    design = np.column_stack([np.ones(3000), x])
    q = np.linalg.qr(design).Q
    expected = ((noise - q @ (q.T @ noise)) ** 2).sum()
    np.testing.assert_allclose(fm.LinearRegression().fit(x, y).chi2_, expected, rtol=1e-6)


@pytest.mark.parametrize("targets", [1, 20])
@pytest.mark.parametrize("part", [0.01, 0.6, 2])
def test_small_residuals_of_float32(targets: int, part: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 6))
    x[:, 5] = x[:, 4] + part * x[:, 5]
    y = x @ rng.normal(size=(6, targets)) + 0.01 * rng.normal(size=(5000, targets))
    x, y = x.astype(np.float32), y.astype(np.float32)
    design = np.column_stack([np.ones(5000), x]).astype(np.float64)
    expected = np.linalg.lstsq(design, y.astype(np.float64))[1]
    np.testing.assert_allclose(fm.LinearRegression().fit(x, y).chi2_, expected, rtol=1e-3)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("targets", [(), (2,)])
@pytest.mark.parametrize("known", [True, False])
def test_partial_fit_is_fit(fit_intercept: bool, targets: tuple[int, ...], known: bool) -> None:
    x, y, weights = data(700, 5, targets)
    x, y = x + 1e4, y + 1e6
    name, given = ("sigma", weights + 0.1) if known else ("sample_weight", weights)
    whole = fm.LinearRegression(fit_intercept=fit_intercept).fit(x, y, **{name: given})
    parts = fm.LinearRegression(fit_intercept=fit_intercept)
    for start in range(0, 700, 130):
        rows = slice(start, start + 130)
        parts.partial_fit(x[rows], y[rows], **{name: given[rows]})
        parts = pickle.loads(pickle.dumps(parts))
    for attribute, value in vars(whole).items():
        if attribute.endswith("_") and attribute != "_taken_":
            np.testing.assert_allclose(getattr(parts, attribute), value, rtol=1e-7, atol=1e-10)
    parts.fit(x, y, **{name: given})
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    parts.partial_fit(x[:20], y[:20])
    few = fm.LinearRegression(fit_intercept=fit_intercept).fit(x[:20], y[:20])
    np.testing.assert_allclose(parts.coef_, few.coef_, rtol=1e-7)


@pytest.mark.parametrize("factor", [1e-321, 1e-30, 1e80, 1e304])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("condition", [1, 1e7])
def test_weights_of_any_size(factor: float, fit_intercept: bool, condition: float) -> None:
    x = conditioned(400, 3, condition, np.float64) * 20 + [1, 2, 3]
    y, model = data(400)[1], fm.LinearRegression(fit_intercept=fit_intercept)
    known = vars(model.fit(x, y)).copy()
    for fit in (model.fit, model.partial_fit):
        fit(x, y, factor)
        for name in ("coef_", "intercept_", "coef_std_error_"):
            np.testing.assert_allclose(getattr(model, name), known[name], rtol=1e-6)
        np.testing.assert_allclose(model.chi2_, known["chi2_"] * factor, rtol=1e-6)
        np.testing.assert_allclose(model.singular_, known["singular_"] * factor**0.5, rtol=1e-6)
    single = fm.LinearRegression(fit_intercept=fit_intercept)
    x, y = x.astype(np.float32), y.astype(np.float32)
    expected = single.fit(x, y).coef_
    np.testing.assert_array_equal(
        single.fit(x, y, 4.0 ** round(np.log2(factor) / 2)).coef_, expected
    )


@pytest.mark.parametrize("sigma", [1e-140, 1e140])
def test_known_errors_of_any_size(sigma: float) -> None:
    x, y, _ = data(400)
    plain, model = fm.LinearRegression().fit(x, y, sigma=1), fm.LinearRegression()
    parts = fm.LinearRegression().partial_fit(x[:300], y[:300], sigma=sigma)
    for found in (model.fit(x, y, sigma=sigma), parts.partial_fit(x[300:], y[300:], sigma=sigma)):
        np.testing.assert_allclose(found.coef_, plain.coef_, rtol=1e-9)
        np.testing.assert_allclose(found.coef_std_error_, sigma * plain.coef_std_error_, rtol=1e-9)
        np.testing.assert_allclose(found.chi2_, plain.chi2_ / sigma**2, rtol=1e-9)


@pytest.mark.parametrize("order", [1, -1])
def test_chunks_with_weights_of_all_sizes(order: int) -> None:
    x, y, _ = data(400)
    weights = np.repeat([1e-20, 1, 3, 1e20], 100)[::order]
    whole, parts = fm.LinearRegression().fit(x, y, weights), fm.LinearRegression()
    for start in range(0, 400, 100):
        rows = slice(start, start + 100)
        given = None if weights[start] == 1 else weights[rows]
        parts.partial_fit(x[rows], y[rows], given)
    for name in ("coef_", "intercept_", "coef_std_error_", "chi2_"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-6)


def test_an_intercept_that_is_no_more() -> None:
    x, y, _ = data()
    model = fm.LinearRegression().fit(x, y).set_params(fit_intercept=False).fit(x, y)
    assert not hasattr(model, "intercept_std_error_")


@pytest.mark.parametrize("shapes", [((), (2,)), ((2,), ()), ((), (1,)), ((2,), (1,)), ((1,), (2,))])
def test_as_many_targets_in_all_calls(shapes: tuple[tuple[int, ...], ...]) -> None:
    x, first, _ = data(50, targets=shapes[0])
    model = fm.LinearRegression().partial_fit(x, first)
    before = model.coef_
    with pytest.raises(ValueError, match=r"y: expected shape \(m,.*as before, got shape \(m"):
        model.partial_fit(x, np.ones((50, *shapes[1])))
    np.testing.assert_allclose(model.partial_fit(x, first).coef_, before)


def test_dependent_and_constant_features() -> None:
    x, y, _ = data(200, 3)
    wide = np.column_stack([x, x[:, 0] + x[:, 1], np.full(200, 7.1), x[:, 2]])
    model = fm.LinearRegression().fit(wide, y)
    theirs = linear_model.LinearRegression().fit(wide, y)
    assert model.rank_ == theirs.rank_ == 3
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-12)
    assert np.isnan(model.coef_std_error_).all()
    constant = fm.LinearRegression().fit(np.column_stack([x, np.full(200, 0.1)]), y)
    plain = fm.LinearRegression().fit(x, y)
    np.testing.assert_allclose(constant.coef_, [*plain.coef_, 0], rtol=1e-14)
    np.testing.assert_allclose(constant.coef_std_error_, [*plain.coef_std_error_, np.nan])
    assert (constant.rank_, constant.dof_) == (3, plain.dof_)
    assert constant.singular_[-1] == 0
    only = fm.LinearRegression().fit(np.ones((50, 2)), y[:50])
    np.testing.assert_allclose([*only.coef_, only.intercept_], [0, 0, y[:50].mean()], atol=1e-12)


@pytest.mark.parametrize("rcond", [None, 1e-2])
def test_rcond_sets_the_rank(rcond: float | None) -> None:
    x, y, _ = data(200, 3)
    x[:, 2] = x[:, 0] + 1e-3 * x[:, 2]
    model = fm.LinearRegression(rcond=rcond).fit(x, y)
    assert model.rank_ == (3 if rcond is None else 2)
    parts = fm.LinearRegression(rcond=rcond).partial_fit(x[:90], y[:90]).partial_fit(x[90:], y[90:])
    np.testing.assert_allclose(parts.coef_, model.coef_, rtol=1e-6)


@pytest.mark.parametrize(
    "scales", [(1e-12, 1, 1e9), (1e-170, 1, 1), (1e160, 1, 1), (1e-160, 1, 1e150)]
)
@pytest.mark.parametrize("chunk", [100, 500])
def test_features_of_any_scale(scales: tuple[float, ...], chunk: int) -> None:
    x, y, _ = data(500, 3)
    plain = fm.LinearRegression().fit(x, y)
    model, scaled = fm.LinearRegression(), x * scales
    if chunk == 500:
        model.fit(scaled, y)
    for start in range(0, 500 * (chunk < 500), chunk):
        model.partial_fit(scaled[start : start + chunk], y[start : start + chunk])
    assert model.rank_ == 3
    np.testing.assert_allclose(model.coef_ * scales, plain.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.coef_std_error_ * scales, plain.coef_std_error_, rtol=1e-9)
    np.testing.assert_allclose(model.chi2_, plain.chi2_, rtol=1e-9)


def test_targets_of_any_scale() -> None:
    x, y, _ = data(500, 3)
    plain = fm.LinearRegression().fit(x, y)
    for scale in (1e-170, 1e-30, 1e100):
        model = fm.LinearRegression().fit(x, y * scale)
        np.testing.assert_allclose(model.coef_ / scale, plain.coef_, rtol=1e-9)
        single = fm.LinearRegression().fit((x * 1e-20).astype("f"), y.astype("f"))
        np.testing.assert_allclose(single.coef_ * 1e-20, plain.coef_, rtol=1e-5)


def test_a_provisional_mean_far_off() -> None:
    """The rows that it is taken from are nothing like the others."""
    x, y, _ = data(20_000, 2)
    rows = slice(None, None, len(x) // _centred.SAMPLE)
    x, y = x + 1e6, y.copy()
    x[rows] -= 1e6
    kept = np.ones(len(x))
    kept[rows] = 1e-3
    model = fm.LinearRegression().fit(x, y, kept)
    design = np.column_stack([np.ones(len(x)), x]) * np.sqrt(kept)[:, None]
    expected = np.linalg.lstsq(design, y * np.sqrt(kept))[0]
    np.testing.assert_allclose(model.coef_, expected[1:], rtol=1e-7)


@pytest.mark.parametrize("condition", [1, 20, 1e3])
@pytest.mark.parametrize("offset", [0, 1e3])
def test_single_precision(condition: float, offset: float) -> None:
    x = (conditioned(5000, 4, condition, np.float64) * 70 + offset).astype(np.float32)
    y = (x @ np.ones(4, np.float32)).astype(np.float32)
    model = fm.LinearRegression().fit(x, y)
    wide = fm.LinearRegression().fit(x.astype(np.float64), y.astype(np.float64))
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    eps = np.finfo(np.float32).eps
    error = np.linalg.norm(model.coef_ - wide.coef_) / np.linalg.norm(wide.coef_)
    assert error <= 16 * eps * condition
    assert model.predict(x).dtype == np.float32
    np.testing.assert_allclose(model.coef_std_error_, wide.coef_std_error_, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("types", ["fd", "df"])
def test_the_least_precise_rows_set_the_rank(types: str) -> None:
    x, y, _ = data(400)
    x[:, 3] = (x[:, 0] + 0.1 * x[:, 1]).astype(np.float32)
    model = fm.LinearRegression()
    for rows, dtype in zip((slice(200), slice(200, None)), types, strict=True):
        model.partial_fit(x[rows].astype(dtype), y[rows])
    assert model.rank_ == 3


def test_any_layout_and_type() -> None:
    x, y, _ = data(1000, 3)
    expected = fm.LinearRegression().fit(x, y).coef_
    wide = np.zeros((2000, 6))
    wide[::2, ::2] = x
    raw = np.empty(x.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(np.float64).reshape(x.shape)
    misaligned[:] = x
    for other in (np.asfortranarray(x), wide[::2, ::2], misaligned, x.astype(">f8"), x.tolist()):
        np.testing.assert_allclose(fm.LinearRegression().fit(other, y).coef_, expected, rtol=1e-12)
    whole = np.round(x).astype(np.int32)
    found = fm.LinearRegression().fit(whole, np.round(y).astype(np.int8))
    np.testing.assert_allclose(
        found.coef_, fm.LinearRegression().fit(whole * 1.0, np.round(y)).coef_
    )


def test_frames_keep_their_names() -> None:
    pandas = pytest.importorskip("pandas")
    x, y, _ = data(50, 2)
    model = fm.LinearRegression().fit(pandas.DataFrame(x, columns=["mass", "charge"]), y)
    assert model.feature_names_in_.tolist() == ["mass", "charge"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(pandas.DataFrame(x, columns=["charge", "mass"]))


@pytest.mark.parametrize("condition", [1, 100, 1e7])
def test_threads_give_the_same_bits(variant: Kernels, condition: float) -> None:
    if variant.name == "numba":
        pytest.skip("BLAS has threads of its own")
    x = conditioned(30_000, 6, condition, np.float64)
    y = x @ np.ones(6)
    results = []
    for threads in THREADS:
        with fm.threads(threads):
            results.append(fm.LinearRegression().fit(x, y).coef_)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_it_is_cloned_searched_and_piped() -> None:
    x, y, _ = data()
    model = base.clone(fm.LinearRegression(fit_intercept=False))
    assert model.get_params() == {"fit_intercept": False, "rcond": None}
    assert base.is_regressor(model)
    pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline(
        pytest.importorskip("sklearn.preprocessing").StandardScaler(), fm.LinearRegression()
    )
    search = pytest.importorskip("sklearn.model_selection").GridSearchCV(
        pipeline, {"linearregression__fit_intercept": [True, False]}
    )
    assert search.fit(x, y).best_params_ == {"linearregression__fit_intercept": True}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, y: m.fit(x, y, [1] * 10, 1.0), "sample_weight, sigma: expected at most one"),
        (lambda m, x, y: m.fit(x, y, -np.ones(10)), "sample_weight: expected finite numbers of at"),
        (
            lambda m, x, y: m.fit(x, y, np.ones(9)),
            r"sample_weight: expected a number or shape \(10",
        ),
        (lambda m, x, y: m.fit(x, y, np.zeros(10)), "sample_weight: expected a weight above zero"),
        (lambda m, x, y: m.fit(x, y, sigma=0), "sigma: expected finite numbers above 0"),
        (lambda m, x, y: m.fit(x, y, sigma=1e-310), "sigma: expected numbers whose inverse is fin"),
        (lambda m, x, y: m.set_params(rcond=-1).fit(x, y), "rcond: expected a finite number"),
        (lambda m, x, y: m.set_params(rcond=np.nan).fit(x, y), "rcond: expected a number, got NaN"),
        (lambda m, x, y: m.set_params(rcond=-1).partial_fit(x, y), "rcond: expected a finite num"),
        (lambda m, x, y: m.fit(x, y, sigma=np.inf), "sigma: expected finite numbers above 0"),
        (lambda m, x, y: m.fit(x * np.nan, y), "X: expected finite numbers, got NaN"),
        (lambda m, x, y: m.fit(np.repeat(x, 9, 1) * np.inf, y), "X: expected finite numbers"),
        (lambda m, x, y: m.partial_fit(x * np.nan, y), "X: expected finite numbers, got NaN"),
        (lambda m, x, y: m.partial_fit(x, y).partial_fit(x, y, sigma=1), "sigma: expected in all"),
        (
            lambda m, x, y: m.partial_fit(x, y).set_params(fit_intercept=False).partial_fit(x, y),
            "fit_intercept: expected as in the calls",
        ),
        (lambda m, x, y: m.fit(x, y).predict(x * np.inf), "X: expected finite numbers"),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    x, y, _ = data(10, 1)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        call(fm.LinearRegression(), x, y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_masked_targets_are_not_uncovered(method: str) -> None:
    x, y, _ = data(10, 1)
    masked = np.ma.masked_array(y, np.arange(10) == 3)
    with pytest.raises(ValueError, match="y: expected no masked numbers, got 1"):
        getattr(fm.LinearRegression(), method)(x, masked)


@pytest.mark.parametrize("size", [1.7e308, np.inf])
def test_calls_that_raise_change_nothing(size: float) -> None:
    x, y, _ = data(200, 3)
    bad = x[:100].copy()
    bad[-9:] = size
    model = fm.LinearRegression()
    for columns in (1, 3):  # a first call that fails leaves it unfitted
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"expected|converge"):
            model.partial_fit(bad[:, :columns], y[:100])
        with pytest.raises(ValueError, match="not fitted|expected a call of fit"):
            model.predict(x)
    model.partial_fit(x[:100], y[:100])
    before = model.predict(x)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"expected|converge"):
        model.partial_fit(bad, y[:100])
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        model.fit(np.full((50, 7), np.nan), y[:50])
    np.testing.assert_array_equal(model.predict(x), before)
    found = model.partial_fit(x[100:], y[100:])
    expected = fm.LinearRegression().fit(x, y)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-10)
    np.testing.assert_allclose(found.chi2_, expected.chi2_, rtol=1e-10)
    assert found.dof_ == expected.dof_


def test_nist_data_sets(data_folder: Path) -> None:
    path = data_folder / "nist-strd-linear" / "linear_exact.json"
    if not path.exists():
        pytest.skip(f"no {path.parent.name}/{path.name} in the data folder")
    for name, known in json.loads(path.read_text()).items():
        y, x = np.array(known["y"], float), np.array(known["x"], float)
        has_intercept = known["model"] in ("poly", "cols")
        if known["model"] == "poly":
            x = x[:, :1] ** np.arange(1.0, known["degree"] + 1)
        coef = np.array(known["coef"], float)
        model = fm.LinearRegression(fit_intercept=has_intercept, rcond=1e-16).fit(x, y)
        found = np.concatenate([[model.intercept_] * has_intercept, model.coef_])
        a = np.column_stack([np.ones(len(x)), x]) if has_intercept else x
        assert digits(found, coef) >= digits(np.linalg.lstsq(a, y)[0], coef) - 0.5, name
        known_errors = np.array(known["se"], float)
        if known_errors.all():  # else the points lie on the curve
            errors = model.coef_std_error_
            if has_intercept:
                errors = np.append(model.intercept_std_error_, errors)
            assert digits(errors, known_errors) >= (5 if name == "filip" else 7), name


def test_without_scikit_learn(variant: Kernels) -> None:
    script = """
import sys
sys.modules["sklearn"] = None
import numpy as np, fastmml as fm, pickle
x = np.random.default_rng(0).normal(size=(90, 3))
y = np.column_stack([x @ [1.0, 2.0, 3.0] + 4, x[:, 0]])
model = fm.LinearRegression()
for wrong in (lambda: model.predict(x), lambda: model.fit(x[0], y), lambda: model.fit(x, y[:3]),
              lambda: model.fit(x, y).predict(x[:, :2]), lambda: model.set_params(alpha=1)):
    try:
        wrong()
    except ValueError as error:
        assert "expected" in str(error), error
    else:
        raise AssertionError
assert np.allclose(model.fit(x, y).coef_, [[1, 2, 3], [1, 0, 0]])
assert np.allclose(pickle.loads(pickle.dumps(model)).predict(x), y)
assert abs(model.score(x, y) - 1) < 1e-12
assert repr(model.set_params(rcond=1e-9)) == "LinearRegression(fit_intercept=True, rcond=1e-09)"
assert model.n_features_in_ == 3
try:
    model.fit(x, np.ma.masked_greater(y, 3))
except ValueError as error:
    assert "y: expected no masked numbers" in str(error), error
else:
    raise AssertionError
try:
    import pandas
except ImportError:
    pass
else:
    frame = pandas.DataFrame(x, columns=list("abc"))
    wrong = frame[["b", "a", "c"]]
    for fit in (model.fit, model.partial_fit):
        assert fit(frame, y).feature_names_in_.tolist() == ["a", "b", "c"]
        try:
            model.predict(wrong)
        except ValueError as error:
            assert "X: expected the columns of the rows before" in str(error), error
        else:
            raise AssertionError
    try:
        model.partial_fit(wrong, y)
    except ValueError as error:
        assert "X: expected the columns of the rows before" in str(error), error
    else:
        raise AssertionError
    assert np.allclose(model.predict(frame), y)
    model.fit(x, y)
    assert not hasattr(model, "feature_names_in_")
assert "sklearn.base" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("slope", [1, 1e-4])
@pytest.mark.parametrize("masked", [1e300, np.finfo(float).max])
def test_rows_without_weight_may_have_any_size(slope: float, masked: float) -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((1000, 3)), np.ones(1000)
    x[:, 1] = x[:, 0] + slope * x[:, 1]
    y = x @ [1.0, 2, 3] + 5 + 1e-4 * rng.standard_normal(1000)
    weights[:10] = 0
    expected = fm.LinearRegression().fit(x[10:], y[10:])
    y[:10] = masked
    found = fm.LinearRegression().fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-9)
    np.testing.assert_allclose(found.chi2_, expected.chi2_, rtol=1e-9)
