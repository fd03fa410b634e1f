"""Exceptions that fastmml raises beside Python's own."""

from __future__ import annotations

from typing import Any


class GraphFormatError(ValueError):
    """A file or table does not hold a graph in the format that it should have."""


class NotFittedError(ValueError, AttributeError):
    """An estimator was asked before it was fitted, where scikit-learn is not installed."""


class ConvergenceError(RuntimeError):
    """An iteration stopped at ``max_iter`` before it reached ``tol``.

    Attributes
    ----------
    result
        What was reached, with its proved ``error_bound``; the type that the function returns.
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[type[ConvergenceError], tuple[str, Any]]:
        return type(self), (str(self), self.result)
