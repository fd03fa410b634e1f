"""Linear regression: `LinearRegression`, as scikit-learn's, with the errors of its coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._backend import kernels
from fastmml._blas import on_one_thread
from fastmml._centred import CONSTANT, Data, Mean
from fastmml._estimator import Regressor
from fastmml._residuals import MOST_REFINED, improved
from fastmml._undo import all_or_nothing
from fastmml.linalg import matmul
from fastmml.normal_equations import solve
from fastmml.orthogonal import qr
from fastmml.streaming import StreamingQR

Array = NDArray[Any]

#: Targets that are turned at a time.
_TARGETS = 256
#: Singular values up to this many times the features times rounding count as 0.
_RANK = 100.0


class LinearRegression(Regressor):  # type: ignore[misc]
    """Ordinary and weighted least squares, as ``sklearn.linear_model.LinearRegression``.

    Parameters
    ----------
    fit_intercept : bool
        Whether there is an intercept; without, the data are taken for centred.
    rcond : float, optional
        Singular values of the features, centred and scaled to length 1, that are at most this times
        the largest count as 0; at least 0, by default some 100 n rounding errors.

    Attributes
    ----------
    coef_ : (n,) or (k, n) ndarray
        Of least norm where features are linearly dependent.
    intercept_ : float or (k,) ndarray
    coef_std_error_, intercept_std_error_ : like coef_ and intercept_
        Standard errors; NaN where features are linearly dependent, or nothing is left to estimate
        the variance from.
    chi2_ : float or (k,) ndarray
        Sum of the squared residuals, each times its weight or divided by its ``sigma`` squared:
        with known errors of the measurements, it is chi-squared distributed with ``dof_`` degrees
        of freedom if the model holds.
    dof_ : int
        Rows of positive weight less rank, less one for the intercept.
    residual_variance_ : float or (k,) ndarray
        ``chi2_ / dof_``: an estimate of the variance of a residual of weight 1; near 1 if ``sigma``
        was right.
    rank_, singular_ : int and (min(m, n),) ndarray
        Rank and singular values of the features, centred and weighted.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    It is an estimator of scikit-learn where that is installed (1.6 or later), and has the same
    methods where it is not. ``positive`` and sparse matrices are not offered; ``copy_X`` and
    ``n_jobs`` are not needed, since data are never overwritten and `fastmml.threads` sets the
    threads.

    One pass over the data computes the products of all features and targets less a provisional
    mean, which is then corrected [1]_, by m (n + k + 1)² flops. Their Cholesky factor, for features
    scaled to length 1, tells the condition number K. Normal equations lose K² rounding errors u;
    from K = 4 on a step of refinement, as in corrected seminormal equations [2]_, wins them back:
    its residuals of the centred data and their products with the features have twice the digits of
    float64 [3]_. Beyond K = 1e5, and for few rows, the centred data are factorised by
    `StreamingQR`, with such a step after it. The errors of the coefficients are no larger than
    those of LAPACK on centred data, and mostly far below, whatever the means and scales
    of the features. With more targets than features, and than 32, the step is made of products of
    features and targets to some 19 bits more [4]_, and beyond K = 1e5 of Q alone: errors are of the
    size of LAPACK's. Targets are taken some at a time: memory holds less than data and results
    take, whatever their number. Standard errors
    and singular values come from the factor, to K² u. float32 is multiplied in float32 while K is
    below 6, else in float64.

    ``sample_weight`` are relative weights: standard errors are scaled by ``residual_variance_``.
    ``sigma``, the known standard errors of the targets, has weights 1 / sigma² and is taken as it
    is (SciPy's ``curve_fit`` with ``absolute_sigma``).

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance:
       analysis and recommendations", The American Statistician 37 (1983).
    .. [2] Å. Björck, Numerical Methods for Least Squares Problems, SIAM 1996, section 6.6.
    .. [3] T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product", SIAM Journal on
       Scientific Computing 26 (2005).
    .. [4] K. Ozaki, T. Ogita, S. Oishi, S. M. Rump, "Error-free transformations of matrix
       multiplication by using fast routines of matrix multiplication and its applications",
       Numerical Algorithms 59 (2012).

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> x = np.arange(6.0)
    >>> fit = fm.LinearRegression().fit(x[:, None], [1.1, 2.9, 5.1, 6.9, 9.1, 10.9], sigma=0.1)
    >>> print(fit.coef_.round(3), fit.coef_std_error_.round(3), fit.intercept_.round(3))
    [1.983] [0.024] 1.043
    >>> print(fit.chi2_.round(3), fit.dof_)
    5.486 4
    """

    def __init__(self, *, fit_intercept: bool = True, rcond: float | None = None) -> None:
        self.fit_intercept = fit_intercept
        self.rcond = rcond

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        sigma: ArrayLike | None = None,
    ) -> LinearRegression:
        """Fit the model.

        Parameters
        ----------
        X : (m, n) array_like
            float32 and float64 as they are, anything else as float64. Not overwritten.
        y : (m,) or (m, k) array_like
            Targets.
        sample_weight : float or (m,) array_like, optional
            Weights of the squared residuals, relative to each other; of at least 0.
        sigma : float or (m,) array_like, optional
            Standard errors of the targets, instead; above 0.

        Returns
        -------
        LinearRegression
            Itself.

        Raises
        ------
        ValueError
            Shapes that do not fit together; NaN and infinities; weights or errors out of range,
            both of them, or no weight above 0; an ``rcond`` out of range.
        TypeError
            Sparse matrices.
        """
        with all_or_nothing(self):
            data = self._data(X, y, sample_weight, sigma, reset=True)
            limit = self._limit(data.rows.x, _unit(data.rows.x))
            with on_one_thread(data.rows.x.shape[1]):
                found = self._solve(data, limit)
            self._taken_: _Taken | None = None
            return self._set(found, data)

    def _solve(self, data: _Data, limit: float) -> _Fit:
        found = _by_products(data.rows, self.fit_intercept, 1 / limit if self.rcond else None)
        if found is not None:
            return found
        return _by_factors(_Taken.start(data, self.fit_intercept), limit, data.rows)

    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        sigma: ArrayLike | None = None,
    ) -> LinearRegression:
        """Fit the model to these rows and those of the calls before; `fit` starts anew.

        Parameters
        ----------
        X, y, sample_weight, sigma
            As in `fit`; with ``sigma`` in all calls or in none.

        Returns
        -------
        LinearRegression
            Itself, fitted to all rows so far; memory holds n² numbers for them. A call that raises
            changes nothing.

        Raises
        ------
        ValueError, TypeError
            As `fit`; another number of targets than before.
        """
        with all_or_nothing(self):
            return self._take_rows(X, y, sample_weight, sigma)

    def _take_rows(self, X: Any, y: Any, sample_weight: Any, sigma: Any) -> LinearRegression:
        before: _Taken | None = getattr(self, "_taken_", None)
        data = self._data(X, y, sample_weight, sigma, reset=before is None)
        if before is None:
            before = _Taken.start(data, self.fit_intercept)
        if before.is_absolute != data.is_absolute:
            raise ValueError("sigma: expected in all calls of partial_fit, or in none")
        if before.has_intercept != self.fit_intercept:
            raise ValueError("fit_intercept: expected as in the calls of partial_fit before")
        if before.targets != data.targets:
            raise ValueError(f"y: expected {before.targets} as before, got {data.targets}")
        unit = max(before.unit, _unit(data.rows.x))
        limit, rows = self._limit(data.rows.x, unit), data.rows.scaled_as(before.exponent)
        used, stream = before.used + data.used, copy(before.stream)
        self._taken_ = taken = before._replace(stream=stream, used=used, unit=unit)
        taken.take(rows)
        found = _from_triangle(taken, taken.stream.triangle(), rows.x.shape[1], limit)
        return self._set(found, data._replace(rows=rows, used=used))

    def predict(self, X: Any) -> Array:
        """Predict targets.

        Parameters
        ----------
        X : (m, n) array_like

        Returns
        -------
        (m,) or (m, k) ndarray

        Raises
        ------
        ValueError
            Another number of features than in `fit`; NaN and infinities.
        NotFittedError
            Before `fit`; scikit-learn's where that is installed.
        """
        rows = self._new_rows(X)
        found = np.asarray(matmul(rows, self.coef_.T)) + self.intercept_
        if not np.isfinite(found).all():
            _check.finite("X", rows)
        return np.asarray(found)

    def _data(self, X: Any, y: Any, weights: Any, sigma: Any, reset: bool) -> _Data:
        x, targets = self._fit_arrays(X, y, reset)
        scale, used = None, len(x)
        if weights is not None and sigma is not None:
            raise ValueError("sample_weight, sigma: expected at most one of them, got both")
        if weights is not None:
            kept = _check.per_row("sample_weight", weights, len(x))
            used = int(np.count_nonzero(kept))
            scale = np.sqrt(kept)
        elif sigma is not None:
            errors = _check.per_row("sigma", sigma, len(x), is_positive=True)
            with np.errstate(all="ignore"):
                scale = 1 / errors
            if not scale.max() < np.inf:
                raise ValueError(
                    f"sigma: expected numbers whose inverse is finite, got {errors.min()}"
                )
        if used == 0:
            raise ValueError("sample_weight: expected a weight above zero, got none")
        right = targets if targets.ndim == 2 else targets[:, np.newaxis]
        right = right.astype(x.dtype, copy=False)
        rows = Data.scaled(x, right, scale)
        return _Data(rows, used, targets.ndim == 1, sigma is not None)

    def _limit(self, x: Array, unit: float) -> float:
        if self.rcond is None:
            return _RANK * len(x.T) * unit
        return _check.at_least_zero("rcond", self.rcond)

    @np.errstate(over="ignore", under="ignore")
    def _set(self, found: _Fit, data: _Data) -> LinearRegression:
        """Show a solution as attributes."""
        dof = data.used - found.rank - bool(self.fit_intercept)
        variance = found.chi2 / dof if dof > 0 else np.full_like(found.chi2, np.nan)
        exponent = data.rows.exponent
        units = np.full_like(variance, np.ldexp(1.0, -exponent))
        scale = units if data.is_absolute else np.sqrt(variance)
        intercept = found.mean_y - found.mean_x @ found.coef
        values = {
            "coef_": found.coef.T.astype(data.rows.x.dtype),
            "intercept_": intercept.astype(data.rows.x.dtype),
            "coef_std_error_": np.outer(scale, found.coef_error),
            "intercept_std_error_": scale * found.intercept_error,
            "chi2_": np.ldexp(found.chi2, 2 * exponent),
            "residual_variance_": np.ldexp(variance, 2 * exponent),
        }
        for name, value in values.items():
            setattr(self, name, value[0] if data.is_single else value)
        if not self.fit_intercept:
            self.intercept_ = 0.0
            del self.intercept_std_error_
        self.rank_, self.dof_ = found.rank, max(dof, 0)
        self.singular_ = np.ldexp(found.singular, exponent)
        return self


class _Data(NamedTuple):
    """Rows, and how they were given."""

    rows: Data
    used: int  # rows of positive weight
    is_single: bool  # y had one dimension
    is_absolute: bool  # weights are those of known errors

    @property
    def targets(self) -> str:
        """The shape of y."""
        return "shape (m,)" if self.is_single else f"shape (m, {self.rows.y.shape[1]})"


class _Taken(NamedTuple):
    """Factorised rows ``(1, (x, y) - shift) * scale``, whose weights are over 4**exponent."""

    stream: StreamingQR
    shift: Array
    scale: Array  # powers of two, which bring numbers of any size into range
    features: int
    exponent: int
    targets: str  # the shape of y
    is_absolute: bool
    has_intercept: bool
    used: int  # rows of positive weight
    unit: float  # the largest rounding error of the features

    @classmethod
    def start(cls, data: _Data, has_intercept: bool) -> _Taken:
        """No rows yet, with the shift and the scale for rows like these."""
        rows = data.rows
        shift = rows.sample_mean() if has_intercept else rows.no_shift()
        with np.errstate(all="ignore"):
            sample = np.hstack(rows.sample()[:2]) - shift
        _, exponents = np.frexp(np.abs(sample).max(axis=0))
        scale = np.ldexp(1.0, -exponents.clip(-1000, 1000))
        return cls(
            StreamingQR(), shift, scale, rows.x.shape[1], rows.exponent, data.targets,
            data.is_absolute, has_intercept, 0, 0.0,
        )  # fmt: skip

    def take(self, rows: Data) -> None:
        """Factorise more rows."""
        for _, x, y, weight in _finite_pieces(rows):
            self.stream.update(self._left(x, weight), self._right(y, weight))

    def turned(self, rows: Data) -> Array:
        """The triangle of these rows, but for what is left of targets: its lengths.

        Ones and features are factorised, and targets turned: most of the work where these are many.
        """
        (m, n), k = rows.x.shape, rows.y.shape[1]
        ones_and_x = kernels().empty((m, n + self.has_intercept), np.float64)
        for some, x, _, weight in _finite_pieces(replace(rows, y=rows.y[:, :0])):
            ones_and_x[some] = self._left(x, weight)
        q, r = qr(ones_and_x, overwrite_a=True)
        found = np.zeros((len(r) + 1, len(r) + k))
        found[:-1, : len(r)] = r
        for first in range(0, k, _TARGETS):
            targets = slice(first, min(first + _TARGETS, k))
            found[:, len(r) + first : len(r) + targets.stop] = self._turned(q, rows, targets)
        return found

    def _turned(self, q: Array, rows: Data, targets: slice) -> Array:
        """``Q' y`` of some targets, and the lengths of what is left of them."""
        y_alone = replace(rows, x=rows.x[:, :0], y=rows.y[:, targets])
        parts, squares = np.zeros((q.shape[1], y_alone.y.shape[1])), np.zeros(y_alone.y.shape[1])
        lacking = np.zeros_like(parts)  # without it, errors are some times LAPACK's
        for some, _, y, weight in _finite_pieces(y_alone):
            parts += matmul(q[some].T, self._right(y, weight, targets))
        for some, _, y, weight in _finite_pieces(y_alone):
            rest = self._right(y, weight, targets) - matmul(q[some], parts)
            lacking += matmul(q[some].T, rest)
            squares += np.einsum("ij,ij->j", rest, rest)
        return np.vstack([parts + lacking, np.sqrt(squares)])

    def _left(self, x: Array, weight: Array | None) -> Array:
        """Ones and features, as they are factorised."""
        n = x.shape[1]
        ones = np.ones((len(x), int(self.has_intercept)))
        return _weighted(np.hstack([ones, (x - self.shift[:n]) * self.scale[:n]]), weight)

    def _right(self, y: Array, weight: Array | None, targets: slice = slice(None)) -> Array:
        """Targets, as they are factorised."""
        shift, scale = (of_all[self.features :][targets] for of_all in (self.shift, self.scale))
        return _weighted((y - shift) * scale, weight)


def _weighted(rows: Array, weight: Array | None) -> Array:
    return rows if weight is None else rows * weight[:, np.newaxis]


def _finite_pieces(rows: Data) -> Iterator[tuple[slice, Array, Array, Array | None]]:
    """Some rows at a time: which, features, targets and weights."""
    first = 0
    for x, y, weight in rows.pieces():
        _check.finite("X", x, first)
        _check.finite("y", y, first)
        yield slice(first, first + len(x)), x, y, weight
        first += len(x)


def _unit(x: Array) -> float:
    return float(np.finfo(x.dtype).eps)


class _Fit(NamedTuple):
    """What the attributes are made of; standard errors are for a variance of 1."""

    coef: Array  # (n, k)
    mean_x: Array
    mean_y: Array
    coef_error: Array  # (n,)
    intercept_error: float
    chi2: Array  # (k,)
    rank: int
    singular: Array


def _by_products(rows: Data, has_intercept: bool, most: float | None) -> _Fit | None:
    """The solution by normal equations; None where they are not accurate, and for few rows."""
    n = rows.x.shape[1]
    found = solve(rows, has_intercept, most) if len(rows.x) >= 2 * n else None
    if found is None:
        return None
    mean, changed = found.mean, found.has_changed
    errors = np.linalg.norm(found.inverse, axis=1) / found.lengths
    errors[~changed] = np.nan
    weighted = (mean[:n] / found.lengths) @ found.inverse
    intercept_error = float(np.sqrt(1 / found.weight + weighted @ weighted))
    singular = np.linalg.svd(found.r * (found.lengths * changed), compute_uv=False)
    return _Fit(
        found.coef, mean[:n], mean[n:], errors, intercept_error, found.chi2,
        int(changed.sum()), singular,
    )  # fmt: skip


def _by_factors(taken: _Taken, limit: float, rows: Data) -> _Fit:
    """The solution by QR, with a step of refinement unless most of the data are targets."""
    m, n = rows.x.shape
    if m > n + 1 and rows.y.shape[1] > min(n, MOST_REFINED):
        return _from_triangle(taken, taken.turned(rows), n, limit)
    taken.take(rows)
    return _from_triangle(taken, taken.stream.triangle(), n, limit, rows)


def _from_triangle(
    taken: _Taken, triangle: Array, n: int, limit: float, rows: Data | None = None
) -> _Fit:
    """The solution by the triangular factor of ones, features and targets.

    From all the data, if they are given, comes a step of refinement.
    """
    first = int(taken.has_intercept)
    size = max(min(len(triangle), first + n), first)
    offset, error = np.zeros(len(taken.shift)), 0.0
    if taken.has_intercept:
        offset = triangle[0, 1:] / triangle[0, 0] / taken.scale
        error = float(1 / abs(triangle[0, 0]))
    mean = taken.shift + offset
    r = triangle[first:size, first : first + n] / taken.scale[:n]
    parts = triangle[first:size, first + n :] / taken.scale[n:]
    below = triangle[size:, first + n :] / taken.scale[n:]
    lengths = np.linalg.norm(r * taken.scale[:n], axis=0) / taken.scale[:n]
    if taken.has_intercept:
        is_constant = lengths * error <= CONSTANT * np.abs(mean[:n])
        r[:, is_constant], lengths[is_constant] = 0, 1
    lengths[lengths == 0] = 1
    left, values, right = np.linalg.svd(r / lengths, full_matrices=False)
    rank = int((values > limit * values[0]).sum()) if values.size else 0
    right = right[:rank].T
    coef = (right / values[:rank]) @ (left[:, :rank].T @ parts) / lengths[:, np.newaxis]
    errors, intercept_error = np.full(n, np.nan), float("nan")
    if rank == n:
        inverse = (right / values) @ left.T
        errors = np.linalg.norm(inverse, axis=1) / lengths
        intercept_error = float(np.hypot(error, np.linalg.norm((mean[:n] / lengths) @ inverse)))
        if rows is not None:
            inverse = inverse / lengths[:, np.newaxis]
            coef, _ = improved(rows, Mean(taken.shift, offset), coef, inverse)
    else:  # the part within the span of the rows is the shortest
        span = np.linalg.qr(lengths[:, np.newaxis] * right).Q
        coef = span @ (span.T @ coef)
    rest = np.concatenate([parts - r @ coef, below])
    return _Fit(
        coef, mean[:n], mean[n:], errors, intercept_error, np.einsum("ij,ij->j", rest, rest),
        rank, np.linalg.svd(r, compute_uv=False),
    )  # fmt: skip
