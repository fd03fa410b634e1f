"""What an estimator inherits: scikit-learn's base classes, or the least that does without them.

Estimators are scikit-learn's where that is installed (1.6 or later), and are used the same way
where it is not. Nothing but the module of an estimator imports this one.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastmml import _check
from fastmml._chunks import are_streamed
from fastmml._frames import names_of, same_columns
from fastmml.errors import NotFittedError

Array = NDArray[Any]

try:
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        MultiOutputMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    BaseEstimator = None

_DTYPES = [np.float64, np.float32]


def _check_whole(name: str, x: Any) -> None:
    """Refuse masked numbers, and rows that come some at a time."""
    _check.unmasked(name, x)
    if are_streamed(x):
        raise TypeError(
            f"{name}: expected an array or frame, got {type(x).__name__}: pass chunks one by one"
        )
    _check.no_text(name, x)


def _check_targets(y: Any) -> None:
    """Refuse masked numbers, and what is no array, as a sparse matrix, which scikit-learn takes."""
    if isinstance(y, (list, tuple)):
        _check.unmasked("y", y)
    elif y is not None:
        _check.numbers("y", y)
    _check.no_text("y", y)


class _Named:
    """Names of the features in `fit`, if these have names."""

    @property
    def _feature_names(self) -> list[str] | None:
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else list(names)

    def _set_feature_names(self, names: list[str] | None) -> None:
        vars(self).pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)


class _OwnEstimator(_Named):
    """Parameters and validation without scikit-learn."""

    _takes_sparse = False

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the constructor, and their values."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Any:
        """Change parameters; returns the estimator."""
        for name, value in params.items():
            if name not in self._names():
                raise ValueError(f"{name}: expected one of {self._names()}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({values})"

    def _fit_rows(self, X: Any) -> Any:
        rows = self._rows(X)
        self.n_features_in_ = rows.shape[1]
        self._set_feature_names(names_of("X", X))
        return rows

    def _check_fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError(f"{type(self).__name__}: expected a call of fit before")

    def _new_rows(self, X: Any) -> Any:
        self._check_fitted()
        rows = self._rows(X)
        self._check_columns(rows)
        same_columns("X", self._feature_names, names_of("X", X))
        return rows

    def _rows(self, X: Any) -> Any:
        _check_whole("X", X)
        if self._takes_sparse and issparse(X):
            return _check.sparse_observations("X", X)
        return _check.observations("X", X)

    def _check_columns(self, rows: Array) -> None:
        if rows.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X: expected {self.n_features_in_} features as in fit, got {rows.shape[1]}"
            )


class _OwnRegressor(_OwnEstimator):
    """Score and validation without scikit-learn."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R², averaged over the targets."""
        known, found = np.asarray(y), self.predict(X)  # type: ignore[attr-defined]
        mean = np.average(known, axis=0, weights=sample_weight)
        rest = np.average((known - found) ** 2, axis=0, weights=sample_weight)
        spread = np.average((known - mean) ** 2, axis=0, weights=sample_weight)
        known_spread = np.where(spread > 0, spread, 1)
        return float(np.mean(np.where(spread > 0, 1 - rest / known_spread, rest == 0)))

    def _fit_arrays(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array]:
        _check_targets(y)
        rows, targets = self._rows(X), np.asarray(y)
        if targets.dtype.kind == "c":
            raise TypeError(f"y: expected real numbers, got dtype {targets.dtype}")
        targets = targets.astype(np.float64, copy=False)
        names = names_of("X", X)
        if targets.ndim not in (1, 2) or len(targets) != len(rows) or targets.size == 0:
            m = len(rows)
            raise ValueError(f"y: expected shape ({m},) or ({m}, k), got {targets.shape}")
        if reset:
            self.n_features_in_ = rows.shape[1]
            self._set_feature_names(names)
        self._check_columns(rows)
        same_columns("X", self._feature_names, names)
        return rows, targets


class _OwnTransformer(_OwnEstimator):
    """Names of what comes out, and both steps in one, without scikit-learn."""

    def fit_transform(self, X: Any, y: None = None) -> Array:
        """Fit, and transform the same data."""
        found: Array = self.fit(X).transform(X)  # type: ignore[attr-defined]
        return found

    def get_feature_names_out(self, input_features: None = None) -> NDArray[Any]:
        """Return the names of the columns that `transform` returns."""
        name, count = type(self).__name__.lower(), self._n_features_out  # type: ignore[attr-defined]
        return np.array([f"{name}{i}" for i in range(count)], dtype=object)


if BaseEstimator is None:
    Regressor: Any = _OwnRegressor
    Transformer: Any = _OwnTransformer
else:

    class _Estimator(_Named, BaseEstimator):  # type: ignore[misc]
        """Parameters and validation of scikit-learn.

        Whether numbers are finite is seen from what is computed of them.
        """

        _takes_sparse = False

        def _fit_rows(self, X: Any) -> Any:
            _check_whole("X", X)
            return validate_data(
                self, X, dtype=_DTYPES, ensure_all_finite=False, accept_sparse=self._sparse_formats
            )

        def _check_fitted(self) -> None:
            check_is_fitted(self)

        def _new_rows(self, X: Any) -> Any:
            self._check_fitted()
            _check_whole("X", X)
            return validate_data(
                self, X, reset=False, dtype=_DTYPES, ensure_all_finite=False,
                accept_sparse=self._sparse_formats,
            )  # fmt: skip

        @property
        def _sparse_formats(self) -> Any:
            return ("csr", "csc") if self._takes_sparse else False

    class Regressor(MultiOutputMixin, RegressorMixin, _Estimator):  # type: ignore[misc, no-redef]
        """Score of scikit-learn."""

        def _fit_arrays(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array]:
            _check_whole("X", X)
            _check_targets(y)
            rows, targets = validate_data(
                self, X, y, reset=reset, dtype=_DTYPES, ensure_all_finite=False,
                multi_output=True, y_numeric=True,
            )  # fmt: skip
            return rows, targets

    class Transformer(  # type: ignore[no-redef]
        ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
        TransformerMixin,  # type: ignore[misc]
        _Estimator,
    ):
        """Output in frames, and names of columns, of scikit-learn."""

        def __sklearn_tags__(self) -> Any:
            tags = super().__sklearn_tags__()
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
            tags.input_tags.sparse = self._takes_sparse
            return tags
