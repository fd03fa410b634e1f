"""How `PCA` is to be computed: parameters, checked, and the solver that they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmml import _check
from fastmml._warn import warn
from fastmml.decomposition import iterative
from fastmml.decomposition.choice import choose
from fastmml.decomposition.krylov import Limits
from fastmml.decomposition.number import Number
from fastmml.decomposition.operators import Centred, DenseRows
from fastmml.decomposition.solvers import Spectrum, covariance_eigh, full, gram_eigh

#: As scikit-learn names them, and one of ours.
SOLVERS = ("auto", "full", "covariance_eigh", "gram_eigh", "arpack", "randomized")
_EXACT = {"covariance_eigh": covariance_eigh, "gram_eigh": gram_eigh}
_NORMALIZERS = ("auto", "QR", "LU", "none")
#: Products with vectors after which iterations give up, for each component, and at least.
_MOST_STEPS, _LEAST_STEPS = 200, 4000
#: Rows of a matrix of products of sparse data that is too large to be computed in its place: 1 GB.
_MOST_DENSE = 11_000


@dataclass(frozen=True)
class Options:
    """Parameters of `PCA`."""

    solver: str
    tol: float
    power: int | None
    extra: int
    rng: np.random.RandomState

    @classmethod
    def checked(cls, model: Any) -> Options:
        """Those of this model; a ValueError names one that is not accepted."""
        _among("svd_solver", model.svd_solver, SOLVERS)
        _among("power_iteration_normalizer", model.power_iteration_normalizer, _NORMALIZERS)
        for name in ("copy", "whiten"):
            _among(name, getattr(model, name), (True, False))
        power = model.iterated_power
        if isinstance(power, str):
            _among("iterated_power", power, ("auto",))
        return cls(
            model.svd_solver,
            _check.at_least_zero("tol", model.tol),
            None if isinstance(power, str) else _whole("iterated_power", power, 0),
            _whole("n_oversamples", model.n_oversamples, 1),
            random_numbers(model.random_state),
        )


def random_numbers(state: Any) -> np.random.RandomState:
    """What scikit-learn's ``random_state`` stands for; None is a fixed seed here."""
    if isinstance(state, np.random.RandomState):
        return state
    if state is np.random:
        return np.random.mtrand._rand
    if state is None:
        return np.random.RandomState(0)
    if isinstance(state, (int, np.integer)) and 0 <= state < 2**32:
        return np.random.RandomState(int(state))
    raise ValueError(
        f"random_state: expected None, an int from 0 to below 2**32 or a RandomState, got {state!r}"
    )


def solve(data: Centred, number: Number, options: Options) -> Spectrum:
    """By the solver that was asked for, or the one that takes least time."""
    solver, most = options.solver, 0
    if solver == "auto":
        solver, most = choose(data, number, options.extra)
    if solver == "full":
        return full(_dense(data), number)
    exact = gram_eigh if data.shape[1] > data.shape[0] else covariance_eigh
    k, extra = number.known, options.extra if solver == "randomized" else None
    if solver in _EXACT or not k or not iterative.is_large(data, k, extra):
        return _EXACT.get(solver, exact)(data, number)
    is_counted = solver == "randomized" and options.power is not None
    limits = _counted(options, k) if is_counted else _limits(options, k, most)
    operator, found = iterative.eigenpairs(data, k, extra, limits, options.rng)
    if found.is_converged or is_counted:
        return iterative.spectrum(operator, found)
    if data.is_sparse and min(data.shape) > _MOST_DENSE:
        warn(
            f"tol: iterations ended at residuals of {found.residuals.max() / found.values[0]:.1e} "
            "of the largest eigenvalue; see components_error_", RuntimeWarning,
        )  # fmt: skip
        return iterative.spectrum(operator, found)
    return exact(data, number)


def _limits(options: Options, k: int, most: int) -> Limits:
    """A try of so many products, given up where it does not lead to anything; 0 for no try."""
    if most:
        return Limits(options.tol, most)
    return Limits(options.tol, max(_MOST_STEPS * k, _LEAST_STEPS), is_patient=True)


def _counted(options: Options, k: int) -> Limits:
    """As many products as were asked for, however accurate that is."""
    assert options.power is not None
    return Limits(options.tol, (options.power + 1) * (k + options.extra), is_patient=True)


def _dense(data: Centred) -> DenseRows:
    if not isinstance(data, DenseRows):
        raise TypeError("X: expected a dense array for svd_solver='full', got a sparse matrix")
    return data


def _among(name: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}")


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least:
        return int(value)
    raise ValueError(f"{name}: expected an int of at least {least}, got {value!r}")
