"""PCA of rows that are read once, some at a time: for `PCA.fit` and `PCA.partial_fit`."""

from __future__ import annotations

from copy import copy
from typing import Any

from fastmml._chunks import Chunks
from fastmml.decomposition.number import Number
from fastmml.decomposition.operators import GatheredRows
from fastmml.decomposition.solvers import Spectrum, products_eigh
from fastmml.moments import Moments

#: Solvers that need no second look at the rows.
ONE_PASS = ("auto", "covariance_eigh")


def gathered(
    source: Any, before: Moments | None = None, names: Any = None
) -> tuple[Moments, list[str] | None]:
    """Moments of all rows, and those before, which stay as they are; and names of the columns."""
    if isinstance(source, Moments):
        return source, None
    chunks = Chunks("X", source)
    chunks.columns = None if names is None else [str(name) for name in names]
    moments = Moments() if before is None else copy(before)
    return moments.take(chunks), chunks.columns


def spectrum_of(
    moments: Moments, n_components: Any, svd_solver: str
) -> tuple[Spectrum, Number, GatheredRows]:
    """Find components from the moments alone.

    Raises
    ------
    ValueError
        A solver that needs the rows again; less than two rows; more components than min(m, n).
    """
    if svd_solver not in ONE_PASS:
        raise ValueError(
            "svd_solver: expected 'auto' or 'covariance_eigh' for rows that are read once, "
            f"got {svd_solver!r}"
        )
    if moments.rows < 2:
        raise ValueError(f"X: expected at least 2 rows, got {moments.rows} sample")
    if not moments.divisor() > 0:
        raise ValueError("X: expected observations of more weight than one has, got none")
    data = GatheredRows(moments)
    number = Number(n_components, moments.rows, len(data.mean))
    return products_eigh(data, number), number, data
