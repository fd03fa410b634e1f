"""PCA of rows that are read once, some at a time: what `PCA` takes beside arrays in memory."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._backend import kernels
from fastmml._chunks import Chunks, are_streamed, is_converted
from fastmml._frames import feature_names, is_table, same_columns
from fastmml._warn import warn
from fastmml.decomposition.number import Number, check_kind
from fastmml.decomposition.operators import GatheredRows
from fastmml.decomposition.solvers import Spectrum, products_eigh
from fastmml.moments import Moments

Array = NDArray[Any]
Names = list[str] | None

#: Solvers that need no second look at the rows.
ONE_PASS = ("auto", "covariance_eigh")


def are_gathered(source: Any, svd_solver: str) -> bool:
    """Whether `PCA.fit` needs nothing of the rows but their moments.

    Of rows that are there, in a table or in a file of another type, a copy serves all solvers; it
    is smaller than the moments where there are fewer rows than columns.
    """
    if are_streamed(source) or isinstance(source, Moments):
        return True
    if not is_table(source) and not is_converted(source):
        return False
    is_tall = source.shape[0] >= source.shape[1]
    return svd_solver == "covariance_eigh" or (svd_solver == "auto" and is_tall)


def gathered(
    source: Any, n_components: Any, before: Moments | None = None, known: Names = None
) -> tuple[Moments, Names]:
    """Moments of all rows, and those before, which stay as they are; and names of features.

    More components than columns are refused at the first rows.
    """
    if isinstance(source, Moments):
        return source, None
    rows = NamedRows(source, known)
    moments = Moments() if before is None else copy(before)
    for part in rows:
        moments.take("X", (part,))
        if moments.weight and not np.isfinite(moments.mean).all():
            _check.finite("X", part, rows.first)
        if rows.first == 0:
            Number(n_components, part.shape[1], part.shape[1])
    if before is None:
        return moments, rows.names
    rows.warn()
    return moments, known


def in_memory(table: Any) -> tuple[Array, Names]:
    """The rows of a table as an array, by columns as they lie in it; and names of features."""
    rows, found, start = NamedRows(table), np.empty(table.shape, order="F"), 0
    for part in rows:
        if start == 0:
            found = kernels().empty(table.shape, part.dtype, "F")
        found[start : start + len(part)] = part
        start += len(part)
    return found, rows.names


class NamedRows:
    """Rows some at a time, whose columns have the names that features had before.

    Attributes
    ----------
    names : list of str, or None
        Of the features, as scikit-learn has them, once rows came.
    first : int
        The number of the first of the rows that came last.
    """

    def __init__(self, source: Any, known: Names = None) -> None:
        self.names: Names = None
        self.first = 0
        self._chunks, self._known = Chunks("X", source), known

    def __iter__(self) -> Iterator[Array]:
        self.first = 0
        for rows in self._chunks:
            self.names = feature_names("X", self._chunks.columns)
            same_columns("X", self._known, self.names)
            yield rows
            self.first += len(rows)

    def of_columns(self, columns: int) -> Iterator[Array]:
        """Rows of numbers, so many in each, for a model that was fitted with as many."""
        for rows in self:
            array = _check.real_rows("X", rows)
            if array.shape[1] != columns:
                raise ValueError(f"X: expected {columns} features as in fit, got {array.shape[1]}")
            yield array
        if self.first == 0:
            raise ValueError("X: expected at least 1 row, got none")

    def warn(self) -> None:
        """Warn, as scikit-learn does, where either the rows or the model have no names."""
        if (self.names is None) == (self._known is None):
            return
        wrong = "with names, as in fit, got none" if self._known else "without names, as in fit"
        warn(f"X: expected columns {wrong}")


def check_one_pass(svd_solver: str, n_components: Any) -> None:
    """Refuse a solver that needs the rows again, and what is no number of components."""
    check_kind(n_components)
    if svd_solver not in ONE_PASS:
        raise ValueError(
            "svd_solver: expected 'auto' or 'covariance_eigh' for rows that are read once, "
            f"got {svd_solver!r}, which takes arrays and tables in memory"
        )


def spectrum_of(moments: Moments, n_components: Any) -> tuple[Spectrum, Number, GatheredRows]:
    """Find components from the moments alone.

    Raises
    ------
    ValueError
        Less than two rows; more components than min(m, n).
    """
    if moments.rows < 2:
        raise ValueError(f"X: expected at least 2 rows, got {moments.rows} sample")
    if not moments.divisor() > 0:
        raise ValueError("X: expected observations of more weight than one has, got none")
    data = GatheredRows(moments)
    number = Number(n_components, moments.rows, len(data.mean))
    return products_eigh(data, number), number, data
