"""Reduced rank extrapolation: from the last iterates of a linear fixed-point map to its limit.

A. Sidi, Vector Extrapolation Methods with Applications, SIAM, 2017, chapter 2. Among all
combinations of the last iterates whose coefficients sum to 1, take the one whose combined
differences are smallest: it removes the slowest modes of the error at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmml._backend import kernels
from fastmml._kernels import F64, Real

#: Iterates kept: 10 was best of 5 to 13 on web graphs (see docs/performance.md).
WINDOW = 10
#: Bytes that they may take; with less room than for so many, none are kept.
_BYTES = 1 << 30
_LEAST = 6
#: Relative weight of the diagonal that keeps the least-squares problem solvable.
_REGULARISATION = 1e-13


class Extrapolation:
    """A window of iterates of an iteration that conserves the sum, 1.

    The caller writes the first iterate into `start` and the image of each iterate into `next`,
    then asks `advance` for the iterate to go on from: the image itself or, when the window is
    full, the extrapolated one. An extrapolated iterate that moves more than the one before it did
    is dropped again, so that convergence is never worse than without (but for the pass spent).
    Where iterates are too large to keep, it only takes turns between two rows.
    """

    def __init__(self, n: int, dtype: type[np.floating[Any]], threads: int) -> None:
        rows = min(WINDOW, _BYTES // (max(n, 1) * np.dtype(dtype).itemsize))
        self._extrapolates = rows >= _LEAST
        self._window = np.empty((rows if self._extrapolates else 2, n), dtype)
        self._rows: list[Real] = list(self._window)
        self._change = np.inf  #: of the last step before the trial
        self._is_trial = False
        self._last = 0
        self._threads = threads

    @property
    def start(self) -> Real:
        """The vector that takes the first iterate."""
        return self._rows[0]

    @property
    def next(self) -> Real:
        """The vector that takes the image of the current iterate."""
        return self._rows[self._last + 1]

    def advance(self, change: float) -> Real:
        """Return the iterate to go on from; ``change`` is the 1-norm of the last step."""
        if not self._extrapolates:
            self._rows.reverse()
            return self._rows[0]
        rejected = self._is_trial and not change <= self._change
        self._is_trial = False
        if rejected:
            return self._go_back()
        self._last += 1
        if self._last == len(self._rows) - 1:
            return self._extrapolate(change)
        return self._rows[self._last]

    def _go_back(self) -> Real:
        """Start anew from the iterate before the trial, which the last row still holds."""
        self._last = 0
        self._rows[0][:] = self._rows[-1]
        return self._rows[0]

    def _extrapolate(self, change: float) -> Real:
        weights = _smallest_combination(kernels().difference_gram(self._window, self._threads))
        trial = self._rows[0]
        total = kernels().combine(weights, self._window[1:], trial, self._threads)
        if not 0 < total < np.inf:
            return self._go_back()
        trial /= total
        self._last, self._is_trial, self._change = 0, True, change
        return trial


def _smallest_combination(gram: F64) -> F64:
    """Coefficients that sum to 1 and minimise ``c @ gram @ c``."""
    scale = np.sqrt(np.maximum(np.diag(gram), np.finfo(float).tiny))
    scaled = gram / np.outer(scale, scale)
    scaled[np.diag_indices_from(scaled)] += _REGULARISATION
    solution = np.linalg.lstsq(scaled, 1 / (scale / scale.min()), rcond=None)[0]
    coefficients = solution / (scale / scale.min())
    total = coefficients.sum()
    if not np.isfinite(total) or total == 0:
        coefficients, total = np.eye(len(gram))[-1], 1.0
    return np.asarray(coefficients / total)
