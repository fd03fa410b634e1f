"""Mean, covariance and correlation in one pass over the data: observations in rows.

`Moments` gathers them from chunks, threads, files and machines.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._backend import kernels
from fastmml._centred import (
    CONSTANT,
    TINY,
    Centred,
    Data,
    Mean,
    are_constant,
    centre,
    scaled_outer,
)
from fastmml._chunks import Chunks
from fastmml._undo import all_or_nothing
from fastmml.linalg import matmul

Array = NDArray[Any]


class MeanCovariance(NamedTuple):
    """What `mean_covariance` returns."""

    mean: Array  #: (n,)
    covariance: Array  #: (n, n): exactly symmetric

    def mapped(self, a: ArrayLike, b: ArrayLike | None = None) -> MeanCovariance:
        """Mean and covariance of ``y = a x + b``, where these are those of x.

        Those of `Moments` m are ``MeanCovariance(m.mean, m.covariance())``.

        Parameters
        ----------
        a : (p, n) array_like
            The matrix of a linear map; real numbers.
        b : (p,) array_like, optional
            What is added; by default 0.

        Returns
        -------
        MeanCovariance
            ``a @ mean + b`` and ``a @ covariance @ a.T``, the latter exactly symmetric, of float64.

        Raises
        ------
        ValueError
            Shapes that do not fit together.
        TypeError
            Complex numbers, longdouble, objects.

        Notes
        -----
        Errors are at most n + 1 roundings of ``|a| |mean| + |b|`` and 2 n + 1 of ``|a| |covariance|
        |a.T|``. 2 p n (n + p) flops.

        Examples
        --------
        >>> import fastmml as fm
        >>> x = fm.MeanCovariance([1.0, 2.0], [[2.0, 1.0], [1.0, 2.0]])
        >>> y = x.mapped([[1, 1], [1, -1]], [0, 3])
        >>> y.mean, y.covariance
        (array([3., 2.]), array([[6., 0.],
               [0., 2.]]))
        """
        matrix, mean, products = self._operands(a)
        shift = (
            np.zeros(len(matrix))
            if b is None
            else _check.real_numbers("b", b).astype(np.float64, copy=False)
        )
        if shift.shape != (len(matrix),):
            raise ValueError(f"b: expected shape ({len(matrix)},), got {shift.shape}")
        with np.errstate(all="ignore"):
            covariance = matmul(matmul(matrix, products), matrix.T)
            covariance = covariance / 2 + covariance.T / 2
            return MeanCovariance(matmul(matrix, mean) + shift, covariance)

    def cross_covariance(self, a: ArrayLike) -> Array:
        """Covariance of x with ``y = a x + b``, whatever b is, where ``covariance`` is that of x.

        Parameters
        ----------
        a : (p, n) array_like
            The matrix of a linear map; real numbers.

        Returns
        -------
        (n, p) ndarray
            ``covariance @ a.T``, of float64.

        Raises
        ------
        ValueError, TypeError
            As `mapped`.

        Examples
        --------
        >>> import fastmml as fm
        >>> x = fm.MeanCovariance([1.0, 2.0], [[2.0, 1.0], [1.0, 2.0]])
        >>> x.cross_covariance([[1, 1]])
        array([[3.],
               [3.]])
        """
        matrix, _, products = self._operands(a)
        return np.asarray(matmul(products, matrix.T))

    def _operands(self, a: ArrayLike) -> tuple[Array, Array, Array]:
        """A map, the mean and the covariance in float64, whose sizes fit together."""
        matrix, mean, products = (
            _check.real_numbers(name, values).astype(np.float64, copy=False)
            for name, values in (("a", a), ("mean", self.mean), ("covariance", self.covariance))
        )
        if mean.ndim != 1 or products.shape != 2 * mean.shape:
            raise ValueError(
                "mean, covariance: expected shapes (n,) and (n, n), "
                f"got {mean.shape} and {products.shape}"
            )
        if matrix.ndim != 2 or matrix.shape[1] != len(mean):
            raise ValueError(f"a: expected shape (p, {len(mean)}), got {matrix.shape}")
        return matrix, mean, products


class Moments:
    """Mean and covariance of observations that come in chunks.

    Memory holds n² numbers whatever the number of observations.

    Attributes
    ----------
    rows : int
        How many observations were taken.
    weight : float
        The sum of their weights.

    Notes
    -----
    Sums of products of deviations from the mean are kept, and those of two sets of observations
    joined by the formula of Chan, Golub and LeVeque [1]_: no digits are lost to a mean that is
    large beside the spread, and chunks give what one call gives, up to rounding.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance:
       analysis and recommendations", The American Statistician 37 (1983).

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> first, second = fm.Moments().update(x[:400]), fm.Moments().update(x[400:])
    >>> bool(np.allclose(first.merge(second).covariance(), np.cov(x, rowvar=False)))
    True
    """

    def __init__(self) -> None:
        self.rows = 0
        self.weight = 0.0
        self._aweight = 0.0  # the weighted mean of aweights, for ddof
        self._columns: int | None = None
        self._centred: Centred | None = None
        self._lost: Any = np.False_  # columns that are not finite in a chunk of weight 0
        self._unit = 0.0  # rounding error of what was multiplied

    def update(
        self,
        x: Any,
        *,
        fweights: ArrayLike | None = None,
        aweights: ArrayLike | None = None,
    ) -> Moments:
        """Take more observations.

        Parameters
        ----------
        x : (m, n) array_like, frame, Arrow data, or iterable of these
            Observations, as in `mean_covariance`, but x may have no rows; columns are as many in
            all calls. Of a `numpy.memmap`, a frame of pandas or polars, a Table, RecordBatch,
            RecordBatchReader, RecordBatchFileReader, Dataset, Scanner or ParquetFile of pyarrow,
            and of whatever has ``__arrow_c_stream__`` and is no array, some rows are in memory at a
            time; of a list of frames or batches, a generator, or any other iterable that is no
            sequence, one chunk, which may be any of these. Decimals count as float64.
        fweights, aweights : (m,) array_like, optional
            As in `mean_covariance`, of all chunks end to end.

        Returns
        -------
        Moments
            Itself. A call that raises changes nothing.

        Raises
        ------
        ValueError, TypeError
            As `mean_covariance`; another number of columns than before; columns of frames that do
            not hold numbers, or have nulls.
        """
        return self.take("x", Chunks("x", x), fweights, aweights)

    def take(
        self,
        name: str,
        chunks: Iterable[Array],
        fweights: ArrayLike | None = None,
        aweights: ArrayLike | None = None,
    ) -> Moments:
        """`update` with chunks of rows that another function was given under this name."""
        first = self.rows
        counts = None if fweights is None else _check.weights("fweights", fweights)
        factors = None if aweights is None else _check.weights("aweights", aweights)
        with all_or_nothing(self):
            for x in chunks:
                array = _check.real_rows(name, x)
                rows = slice(self.rows - first, self.rows - first + len(array))
                self._take(name, array, _part(counts, rows), _part(factors, rows))
            _check.as_many("fweights", counts, self.rows - first)
            _check.as_many("aweights", factors, self.rows - first)
        return self

    def merge(self, other: Moments) -> Moments:
        """Take all observations that another one took: of another thread, file or machine.

        Parameters
        ----------
        other : Moments

        Returns
        -------
        Moments
            Itself; the other one stays as it is.

        Raises
        ------
        TypeError
            ``other`` is no `Moments`.
        ValueError
            It has another number of columns; weights whose sum overflows.
        """
        if not isinstance(other, Moments):
            raise TypeError(f"other: expected Moments, got {type(other).__name__}")
        if None not in (self._columns, other._columns) and self._columns != other._columns:
            raise ValueError(f"other: expected {self._columns} columns, got {other._columns}")
        if self.weight + other.weight == np.inf:
            raise ValueError("other: expected a finite sum of all weights, got inf")
        if other._centred is not None:
            self._join(other._centred, other.weight, other._aweight)
        self._lost = self._lost | other._lost
        self._columns = other._columns if self._columns is None else self._columns
        self.rows += other.rows
        self._unit = max(self._unit, other._unit)
        return self

    @property
    def mean(self) -> Array:
        """(n,) float64: the mean."""
        return self._all().mean.total()

    @property
    def scatter(self) -> Array:
        """(n, n) float64: the sum of weighted products of deviations from the mean."""
        return self._all().products.copy()

    @property
    def dtype(self) -> np.dtype[Any]:
        """What was multiplied: float32 if any chunk was, else float64."""
        return np.dtype(np.float32 if self._unit > np.finfo(np.float64).eps else np.float64)

    def divisor(self, ddof: float = 1) -> float:
        """What the covariance is the scatter divided by.

        Parameters
        ----------
        ddof : float
            As in `fastmml.covariance`.

        Returns
        -------
        float
            NaN if it is not above 0.
        """
        divisor = self.weight - _check.real("ddof", ddof) * self._aweight
        return divisor if divisor > 0 else float("nan")

    def covariance(self, ddof: float = 1) -> Array:
        """Covariance of the observations so far, as `fastmml.covariance`.

        Parameters
        ----------
        ddof : float
            What is taken off their number; 0 for the average.

        Returns
        -------
        (n, n) ndarray
            float64, exactly symmetric.

        Raises
        ------
        ValueError
            No observation of positive weight came yet.
        """
        return self._all().products / self.divisor(ddof)

    def correlation(self) -> Array:
        """Correlation of the observations so far, as `fastmml.correlation`.

        Returns
        -------
        (n, n) ndarray
            float64, exactly symmetric.

        Raises
        ------
        ValueError
            No observation of positive weight came yet.
        """
        centred = self._all()
        spread = centred.spread()
        unit = CONSTANT * self._unit / np.finfo(np.float64).eps
        spread[spread <= unit * np.abs(centred.mean.total())] = np.nan
        with np.errstate(all="ignore"):
            found = centred.products / centred.weight / spread / spread[:, np.newaxis]
        found = ((found + found.T) / 2).clip(-1, 1)
        np.fill_diagonal(found, np.where(np.isnan(np.diagonal(found)), np.nan, 1))
        return np.asarray(found)

    def _all(self) -> Centred:
        if self._centred is None:
            raise ValueError("Moments: expected an observation of positive weight before, got none")
        found = self._centred.without(self._lost) if np.any(self._lost) else self._centred
        overflows = np.isinf(np.diagonal(found.products))
        if overflows.any():  # what sign their covariances have is lost
            products = np.where(overflows | overflows[:, np.newaxis], np.nan, found.products)
            np.fill_diagonal(products, np.diagonal(found.products))
            found = found._replace(products=products)
        return found

    def _take(
        self, name: str, array: Array, fweights: Array | None, aweights: Array | None
    ) -> None:
        """Take rows of one array."""
        weights, weight, aweight = _weights(fweights, aweights, len(array))
        if self._columns not in (None, array.shape[1]):
            raise ValueError(
                f"{name}: expected {self._columns} columns as before, got {array.shape[1]}"
            )
        if self.weight + weight == np.inf:
            raise ValueError("fweights, aweights: expected a finite sum of all weights, got inf")
        if weight > 0:
            before = None if self._centred is None else self._centred.mean.total()
            self._join(_centred(array, weights, before), weight, aweight)
            self._unit = max(self._unit, float(np.finfo(_working(array)).eps))
        else:  # 0 times NaN, or infinity, is NaN
            self._lost = self._lost | ~np.isfinite(array).all(axis=0)
        self._columns = array.shape[1]
        self.rows += len(array)

    def _join(self, new: Centred, weight: float, aweight: float) -> None:
        """Take products of deviations of more observations, of this weight and mean aweight."""
        old, total = self._centred, self.weight + weight
        self.weight = total
        self._aweight += (aweight - self._aweight) * (weight / total)
        if old is None:
            self._centred = new._replace(weight=weight)
            return
        with np.errstate(all="ignore"):
            step = (new.mean.shift - old.mean.shift) + (new.mean.offset - old.mean.offset)
            offset = old.mean.offset + step * (weight / total)
            is_far = ~np.isfinite(step)  # of an infinite mean, or of means whose difference is
            means = old.mean.total() * (old.weight / total) + new.mean.total() * (weight / total)
            offset[is_far] = (means - old.mean.shift)[is_far]
            products = kernels().empty(old.products.shape, np.float64)
            np.add(old.products, new.products, out=products)
            products += scaled_outer(step, old.weight * (weight / total))
        self._centred = Centred(total, Mean(old.mean.shift, offset), products)


def mean_covariance(
    x: Any,
    *,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    ddof: float = 1,
) -> MeanCovariance:
    """Mean and covariance of the columns of x, whose rows are observations.

    Parameters
    ----------
    x : (m, n) array_like, frame, Arrow data, or iterable of these
        Real numbers: an observation in each row, a variable in each column. This is what
        ``numpy.cov`` calls ``rowvar=False``, which is not its default. Mapped files, frames, data
        of pyarrow and iterables of chunks as in `Moments.update`: they may be larger than memory.
    fweights : (m,) array_like, optional
        How often each observation counts: whole numbers of at least 0.
    aweights : (m,) array_like, optional
        How much each observation counts relative to the others, of at least 0.
    ddof : float
        Degrees of freedom that the mean takes: sums are divided by m - ddof, which is ``numpy.cov``
        with ``ddof=1``. With weights w = fweights aweights, by V - ddof sum(w aweights) / V, where
        V = sum(w). If that is not above 0 the covariance is NaN.

    Returns
    -------
    MeanCovariance
        A named tuple ``mean, covariance`` of float64.

    Raises
    ------
    ValueError
        x has not two dimensions, no row or no column; weights of another length, below 0 or not
        finite, or none above 0, or whose sum overflows; fweights that are not whole; nulls; chunks
        of other columns than the first; masked numbers.
    TypeError
        Complex numbers, longdouble, objects, sparse matrices, columns of text.

    Notes
    -----
    NaN in a column, or an infinity, makes NaN of its covariances with all columns, and of nothing
    else; so it does in a row of weight 0, and in a chunk of such rows, and then of the mean, too.
    Variances that overflow are infinite, and covariances with them NaN; where a sum of deviations
    overflows, the mean may be NaN, too.

    One pass over the data [1]_ multiplies deviations from a provisional mean, that of some 1000
    rows, which is corrected exactly; a second one only where that was more than three standard
    deviations off. No centred copy is made. float32 is multiplied as such over at most 1024 rows,
    whose sums are added in float64: errors are some 1e-6 of the product of two standard deviations
    whatever the mean; those of float64, and of all other types, are some 1e-15. m n² flops.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance:
       analysis and recommendations", The American Statistician 37 (1983).

    Examples
    --------
    >>> import fastmml as fm
    >>> mean, covariance = fm.mean_covariance([[1.0, 2.0], [3.0, 8.0]])
    >>> mean
    array([2., 5.])
    >>> covariance
    array([[ 2.,  6.],
           [ 6., 18.]])
    """
    ddof = _check.real("ddof", ddof)
    found = _moments(x, fweights, aweights)
    return MeanCovariance(found.mean, found.covariance(ddof))


def covariance(
    x: Any,
    ddof: float = 1,
    *,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
) -> Array:
    """Covariance of the columns of x, whose rows are observations.

    Parameters
    ----------
    x, ddof, fweights, aweights
        As in `mean_covariance`; ``numpy.cov(x, rowvar=False)`` has the same results.

    Returns
    -------
    (n, n) ndarray
        float64, exactly symmetric; (1, 1) for one column, where NumPy has a 0-d array.

    Raises
    ------
    ValueError, TypeError
        As `mean_covariance`.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.covariance([[1.0, 2.0], [3.0, 8.0]], ddof=0)
    array([[1., 3.],
           [3., 9.]])
    """
    ddof = _check.real("ddof", ddof)
    return _moments(x, fweights, aweights).covariance(ddof)


def correlation(
    x: Any,
    *,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
) -> Array:
    """Pearson's correlation of the columns of x, whose rows are observations.

    Parameters
    ----------
    x, fweights, aweights
        As in `mean_covariance`; ``numpy.corrcoef(x, rowvar=False)`` has the same results.

    Returns
    -------
    (n, n) ndarray
        float64, exactly symmetric, from -1 to 1, with ones on the diagonal; NaN for columns that
        are constant up to rounding. (1, 1) for one column, where NumPy has a number.

    Raises
    ------
    ValueError, TypeError
        As `mean_covariance`.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.correlation([[1.0, 2.0], [3.0, 1.0], [5.0, 0.0]])
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    return _moments(x, fweights, aweights).correlation()


def _moments(x: Any, fweights: ArrayLike | None, aweights: ArrayLike | None) -> Moments:
    found = Moments().update(x, fweights=fweights, aweights=aweights)
    if found.weight == 0:
        raise ValueError("x: expected an observation of positive weight, got none")
    return found


def _part(weights: Array | None, rows: slice) -> Array | None:
    """Weights of some rows; one number stands for all."""
    return weights if weights is None or weights.ndim == 0 else weights[rows]


def _weights(
    fweights: ArrayLike | None, aweights: ArrayLike | None, rows: int
) -> tuple[Array | None, float, float]:
    """Weights of the rows, or None for ones; their sum, and the mean of aweights with them."""
    if fweights is None and aweights is None:
        return None, float(rows), 1.0
    counts = _check.per_row("fweights", 1 if fweights is None else fweights, rows)
    if (counts != np.rint(counts)).any():
        raise ValueError("fweights: expected whole numbers")
    factors = _check.per_row("aweights", 1 if aweights is None else aweights, rows)
    with np.errstate(all="ignore"):
        weights = counts * factors
        total = float(weights.sum())
        return weights, total, float(weights / total @ factors)


def _working(x: Array) -> np.dtype[Any]:
    """What is multiplied: float32 or float64."""
    return np.dtype(np.float32 if x.dtype == np.float32 else np.float64)


def _centred(x: Array, weights: Array | None, shift: Array | None) -> Centred:
    """Products of weighted deviations; ``shift`` is a guess at the mean."""
    scale = None if weights is None else np.sqrt(weights)
    data = Data.scaled(x, np.empty((len(x), 0), x.dtype), scale)
    found = centre(data, _working(x), shift)
    if _working(x) == np.float32 and _is_out_of_range(x, found):
        found = centre(data, np.dtype(np.float64), shift)
    with np.errstate(all="ignore"):
        products = found.products
        if data.exponent:
            products = np.ldexp(products, 2 * data.exponent)
    is_lost = ~np.isfinite(found.mean.total())
    products[is_lost] = products[:, is_lost] = np.nan
    return found._replace(products=products)


def _is_out_of_range(x: Array, found: Centred) -> bool:
    """Whether squares of float32 numbers were too large or too small for float32."""
    is_lost, is_tiny = ~np.isfinite(np.diagonal(found.products)), found.spread() < TINY["f"]
    overflows = is_lost.any() and bool(np.isfinite(x[:, is_lost]).all(axis=0).any())
    return overflows or not are_constant(x, is_tiny)
