"""How many components: a number, a part of the variance that they explain, or Minka's guess."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[Any]


#: Solvers that find the first components only, and what each leaves of all at least.
_PARTIAL = {"randomized": 0, "arpack": 1}


def check_kind(n_components: Any) -> None:
    """Refuse what is no number of components of any data."""
    is_count = _is_count(n_components) and n_components >= 0
    if n_components is not None and not is_count and not _is_asked_of_spectrum(n_components):
        raise ValueError(
            "n_components: expected an int of at least 0, a number between 0 and 1, None or 'mle', "
            f"got {n_components!r}"
        )


def _is_count(asked: Any) -> bool:
    return isinstance(asked, (int, np.integer)) and not isinstance(asked, bool)


def _is_asked_of_spectrum(asked: Any, is_tall: bool = True) -> bool:
    """Whether this is "mle", for data of no fewer rows than columns, or a part of the variance."""
    if isinstance(asked, str):
        return asked == "mle" and is_tall
    return isinstance(asked, (float, np.floating)) and bool(0 < asked < 1)


class Number:
    """What was asked for of data with m rows and n columns, and a solver of this name.

    Attributes
    ----------
    known : int or None
        How many; None where the spectrum has to tell.
    most : int
        min(m, n).

    Raises
    ------
    ValueError
        Anything but an int from 0 to min(m, n), a number between 0 and 1, None, or "mle" for m >=
        n; but an int of at least 1 and None for "randomized" and "arpack", less than min(m, n) for
        the latter.
    """

    def __init__(self, n_components: Any, m: int, n: int, solver: str = "auto") -> None:
        self._asked, self._rows, self.most, self._solver = n_components, m, min(m, n), solver
        self._least = int(solver in _PARTIAL)
        self._limit = self.most - _PARTIAL.get(solver, 0)
        self.known = self._known(n_components, m >= n)

    def among(self, values: Array, total: float) -> int:
        """How many, where these are the squared singular values of the centred data, all of them.

        ``total`` is their sum.
        """
        if self.known is not None:
            return self.known
        values = values[: self.most]
        if self._asked == "mle":
            return _likeliest(values / (self._rows - 1), self._rows)
        parts = np.cumsum(values / (total or np.nan))
        return min(int(np.searchsorted(parts, self._asked, side="right")) + 1, len(values))

    def _known(self, asked: Any, is_tall: bool) -> int | None:
        if asked is None:
            return self._limit
        if _is_count(asked):
            if self._least <= asked <= self._limit:
                return int(asked)
        elif self._solver not in _PARTIAL and _is_asked_of_spectrum(asked, is_tall):
            return None
        raise ValueError(self._message())

    def _message(self) -> str:
        """What is accepted, and scikit-learn's words for it."""
        asked, solver = self._asked, self._solver
        known = f"an int from {self._least} to {self._limit}"
        if solver not in _PARTIAL:
            known = (
                f"an int from 0 to min(m, n) = {self.most}, a number between 0 and 1, None or, "
                "for m >= n, 'mle'"
            )
        most = f"min(n_samples, n_features)={self.most}"
        if isinstance(asked, str):
            wrong = f"cannot be a string with svd_solver={solver!r}"
        elif asked == self.most:
            wrong = f"must be strictly less than {most} with svd_solver={solver!r}"
        else:
            name = "full" if solver == "auto" else solver
            wrong = f"must be between {self._least} and {most} with svd_solver={name!r}"
        return f"n_components: expected {known}, got {asked!r} (n_components={asked!r} {wrong})"


def _likeliest(variances: Array, m: int) -> int:
    """Minka's estimate of the number of components, from 1 to n - 1; 1 of one."""
    n = len(variances)
    positive = int((variances > np.finfo(float).eps * variances[0]).sum())
    evidence = [_evidence(variances, k, m) for k in range(1, min(positive, n - 1) + 1)]
    return int(np.argmax(evidence)) + 1 if evidence else min(n, 1)


def _evidence(variances: Array, k: int, m: int) -> float:
    """Laplace's approximation of the logarithm of the evidence for k components."""
    n = len(variances)
    noise = max(float(variances[k:].mean()), float(np.finfo(float).tiny))
    shrunk = np.concatenate([variances[:k], np.full(n - k, noise)])
    halves = (n - np.arange(k)) / 2
    volume = -k * np.log(2) + (gammaln(halves) - halves * np.log(np.pi)).sum()
    fit = -m / 2 * (np.log(variances[:k]).sum() + (n - k) * np.log(noise))
    free = n * k - k * (k + 1) / 2
    i, j = np.ogrid[:k, :n]
    apart = np.where(j > i, variances[:k, None] - variances, 1)
    inverse = np.where(j > i, 1 / shrunk - 1 / shrunk[:k, None], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        curvature = (np.log(apart) + np.log(inverse)).sum() + free * np.log(m)
    total = volume + fit + np.log(2 * np.pi) * (free + k) / 2 - curvature / 2 - k / 2 * np.log(m)
    return float(total)
