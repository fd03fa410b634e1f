"""Principal component analysis: `PCA`, as scikit-learn's, without a centred copy of tall data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastmml import _check
from fastmml._chunks import are_streamed, is_converted
from fastmml._estimator import Transformer
from fastmml._frames import is_table
from fastmml._undo import all_or_nothing
from fastmml._warn import warn
from fastmml.decomposition import projection, sparse
from fastmml.decomposition.number import Number
from fastmml.decomposition.operators import Centred, DenseRows, Products, SparseRows
from fastmml.decomposition.options import Options, solve
from fastmml.decomposition.projection import ProjectedRows
from fastmml.decomposition.solvers import Spectrum
from fastmml.decomposition.streamed import (
    ONE_PASS,
    NamedRows,
    Names,
    are_gathered,
    check_one_pass,
    gathered,
    in_memory,
    spectrum_of,
)
from fastmml.linalg import matmul
from fastmml.moments import Moments

Array = NDArray[Any]


class PCA(Transformer):  # type: ignore[misc]
    """Principal component analysis, as ``sklearn.decomposition.PCA``.

    Parameters
    ----------
    n_components : int, float, "mle" or None
        How many components; a number between 0 and 1 asks for as many as explain more than this
        part of the variance, "mle" for Minka's guess [2]_, which is at least 1 (of one feature
        scikit-learn's is 0); by default min(m, n).
    copy : bool
        Without effect: data are never overwritten.
    whiten : bool
        Whether `transform` scales each component to variance 1.
    svd_solver : {"auto", "full", "covariance_eigh", "gram_eigh", "arpack", "randomized"}
        "full": singular values of a centred copy in float64, right for variances that are small
        beside the largest one. "covariance_eigh" and "gram_eigh": eigenvectors of the covariance
        matrix (n, n), and of the products of the centred rows (m, m). "arpack" and "randomized":
        products of the centred data with blocks of vectors, small ones or of all components at
        once. "auto": what is predicted to take the least time, and is as accurate as the exact
        solvers, among all but "full".
    tol : float
        Of "arpack" and "randomized": they end when the residuals of the eigenvectors of the
        covariance are below this part of the largest eigenvalue; 0 asks for the rounding errors of
        the data's type. Where that is not reached an exact solver takes over, unless data are
        sparse and too large for one (see Notes).
    iterated_power : int or "auto"
        Of "randomized": so many products with the covariance after the first, whatever the error
        then is (see ``components_error_``); "auto" goes on to ``tol``.
    n_oversamples : int
        Of "randomized": vectors of a block beyond the components.
    power_iteration_normalizer : {"auto", "QR", "LU", "none"}
        Without effect: blocks are always made orthonormal.
    random_state : int, RandomState or None
        Where iterations start; None is always the same place.

    Attributes
    ----------
    components_ : (k, n) ndarray
        Orthonormal rows, of the largest variance first; the entry of largest size of each is
        positive. float32 if the data are.
    components_error_ : (k,) ndarray
        float64: estimates of the sine of the angle between each component and the true one, from
        residuals and rounding errors over the gap to the nearest other eigenvalue [3]_; 1 where
        nothing is known of the direction.
    explained_variance_, explained_variance_ratio_ : (k,) ndarray
        float64: variance along each component, with m - 1 degrees of freedom, and its part of the
        total.
    singular_values_ : (k,) ndarray
        float64: of the centred data.
    mean_ : (n,) ndarray
        float64.
    n_components_ : int
        k.
    noise_variance_ : float
        The mean of the variances that were left out, of min(m, n): that of the noise in the
        probabilistic model [1]_.
    reconstruction_error_ : float
        The average squared distance of the rows from the subspace of the components, which no
        other of k dimensions has smaller: the sum of the variances left out, with m degrees of
        freedom.
    n_samples_, n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    It is an estimator of scikit-learn where that is installed (1.6 or later), and has the same
    methods where it is not.

    The covariance takes one pass over the data and no copy (see `mean_covariance`), by m n² flops;
    products of rows come from slabs of columns, by n m² flops, and components from a second pass.
    Of few components of a large matrix of products, products with it find the eigenvectors, LAPACK
    of all others. `transform`, `project`, `inverse_transform` and `reconstruction_errors` read or
    write rows once: they are centred in blocks that stay in the cache, and errors summed up from
    what the projection leaves of them.

    "arpack" and "randomized" are block Lanczos [4]_ on a product of the centred data with itself,
    which is never computed: 4 m n flops for each vector of a block, in one pass over the data
    unless rows are few or very long; the mean is taken off the products where that costs no digits,
    else a provisional one off the rows, while the cache holds them. Float32 does for float32 data
    while no eigenvalue is far below the largest. Of more equal eigenvalues than a block has
    vectors, another random block finds the others. Small data are left to the exact solvers,
    whatever is asked for.

    Sparse data are multiplied as they are, in compressed rows, of a transposed copy where these are
    fewer than columns and for exact solvers, the mean taken off the products: 4 flops for each
    entry and vector. A mean that is
    large beside the spread costs its digits. "full" is not for them. `reconstruction_errors` of
    sparse rows have rounding errors of their squared lengths. Where iterations do not end in time
    and the covariance would take more than 1 GB, their results are returned, with a RuntimeWarning.

    ``components_error_`` takes the computed eigenvalues, one more than asked for where it is known,
    for the true ones: it bounds the angle where these have converged, and none was missed. Exact
    solvers are taken to leave residuals of twice the rounding errors that were seen in trials.

    Squares are what eigenvalues are found from by all but "full": a variance below some 1e-15 of
    the largest one is rounding in float64, below some 1e-7 in float32, whatever the mean. Within
    the span of the components singular values lose half as many digits.

    References
    ----------
    .. [1] M. E. Tipping, C. M. Bishop, "Probabilistic principal component analysis", Journal of the
       Royal Statistical Society B 61 (1999).
    .. [2] T. P. Minka, "Automatic choice of dimensionality for PCA", NIPS 2000.
    .. [3] C. Davis, W. M. Kahan, "The rotation of eigenvectors by a perturbation III", SIAM Journal
       on Numerical Analysis 7 (1970).
    .. [4] K. Wu, H. Simon, "Thick-restart Lanczos method for large symmetric eigenvalue problems",
       SIAM Journal on Matrix Analysis and Applications 22 (2000).

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> x = np.array([[0.0, 0.0], [1.0, 1.1], [2.0, 1.9], [3.0, 3.0]])
    >>> pca = fm.PCA(1).fit(x)
    >>> pca.components_.round(3), pca.explained_variance_ratio_.round(3)
    (array([[0.714, 0.701]]), array([0.999]))
    >>> bool(np.allclose(pca.inverse_transform(pca.transform(x)), x, atol=0.1))
    True
    """

    _takes_sparse = True

    _moments: Moments | None

    def __init__(
        self,
        n_components: float | str | None = None,
        *,
        copy: bool = True,
        whiten: bool = False,
        svd_solver: str = "auto",
        tol: float = 0.0,
        iterated_power: int | str = "auto",
        n_oversamples: int = 10,
        power_iteration_normalizer: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.copy = copy
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.tol = tol
        self.iterated_power = iterated_power
        self.n_oversamples = n_oversamples
        self.power_iteration_normalizer = power_iteration_normalizer
        self.random_state = random_state

    def fit(self, X: Any, y: None = None) -> PCA:
        """Find mean and components.

        Parameters
        ----------
        X : (m, n) array_like, frame, Arrow data, or iterable of these; a sparse matrix; or Moments
            A row for each observation, two at least: float32 and float64 as they are, anything else
            as float64. Not overwritten; SciPy's sparse matrices are never made dense. Mapped files,
            data of pyarrow and iterables of chunks may be larger than memory, as in
            `Moments.update`. Data of pyarrow, iterables, mapped files of other types, and `Moments`
            of rows that were elsewhere take the covariance's way, in one pass; tables and such
            files are copied into memory for other solvers, and for "auto" where m < n.
        y : None
            Not used.

        Returns
        -------
        PCA
            Itself. A call that raises changes nothing.

        Raises
        ------
        ValueError
            One row; more components than min(m, n), or another number than the solver finds; NaN
            and infinities; parameters that are not among the above.
        TypeError
            Sparse matrices with ``svd_solver="full"``; names of columns of which some are strings.
        """
        options = Options.checked(self)
        with all_or_nothing(self):
            if are_gathered(X, options.solver):
                check_one_pass(options.solver, self.n_components)
                return self._fit_moments(*gathered(X, self.n_components))
            rows = self._fit_table(X) if is_table(X) else self._fit_rows(X)
            m = rows.shape[0]
            if m < 2:
                raise ValueError("X: expected at least 2 rows, got 1 sample")
            data: Centred = SparseRows(rows) if issparse(rows) else DenseRows(rows)
            number = Number(self.n_components, *data.shape, options.solver)
            found = solve(data, number, options)
            self.n_samples_ = m
            return self._set(found, number, data, (m - 1, m))

    @property
    def partial_fit(self) -> Callable[..., PCA]:
        """Take more rows, ``partial_fit(X)``, and find mean and components of all so far.

        Parameters
        ----------
        X : (m, n) array_like, frame, Arrow data, or iterable of these
            As in `fit`; the first call brings at least two rows, and n_components.
        y : None
            Not used.

        Returns
        -------
        PCA
            Itself, as `fit` of all these rows would leave it, up to rounding. A call that raises
            changes no result.

        Raises
        ------
        AttributeError
            A solver that needs all rows at once: anything but "auto" and "covariance_eigh".
        ValueError, TypeError
            As `fit`; another number of features than before.

        Notes
        -----
        `Moments` are kept, n² numbers, and the eigenvectors computed in each call: of many small
        chunks, `fit` takes an iterator. `fit` keeps no moments: ``partial_fit`` after it starts
        anew, with a warning.
        """
        if self.svd_solver not in ONE_PASS:
            raise AttributeError(
                "partial_fit: expected svd_solver='auto' or 'covariance_eigh', which read rows "
                f"once, got {self.svd_solver!r}"
            )
        return self._partial_fit

    def _partial_fit(self, X: Any, y: None = None) -> PCA:
        check_one_pass(Options.checked(self).solver, self.n_components)
        with all_or_nothing(self):
            return self._take_rows(X)

    def _take_rows(self, X: Any) -> PCA:
        before = getattr(self, "_moments", None)
        if before is None and hasattr(self, "components_"):
            warn("partial_fit starts anew: fit keeps no sums that rows could be added to")
        if are_streamed(X) or is_table(X) or is_converted(X):
            known = None if before is None else self._feature_names
            moments, names = gathered(X, self.n_components, before, known)
        else:
            rows = self._fit_rows(X) if before is None else self._new_rows(X)
            moments, _ = gathered(rows, self.n_components, before)
            names = self._feature_names
        self._fit_moments(moments, names)
        self._moments = moments
        return self

    def fit_transform(self, X: Any, y: None = None, **fit_params: Any) -> Array:
        """`fit`, and `transform` the same rows, which are read twice.

        Parameters
        ----------
        X : (m, n) array_like, sparse, frame, or Arrow data
            As in `fit`.
        y : None
            Not used.
        **fit_params
            As scikit-learn has it: there are none.

        Returns
        -------
        (m, k) ndarray
            As `transform`.

        Raises
        ------
        TypeError
            Rows that are read once, as those of a generator, a RecordBatchReader, or a Scanner of
            one (which does not tell, and has been read then), and `Moments`: call `fit`, and
            `transform` with the rows once more.
        ValueError
            As `fit`.
        """
        message = (
            f"X: expected rows that can be read twice, got {type(X).__name__}: call fit, and "
            "transform with the rows once more, or partial_fit and transform for each chunk"
        )
        if isinstance(X, (Iterator, Moments)):
            raise TypeError(message)
        with all_or_nothing(self):
            try:
                found: Array = super().fit_transform(X, y, **fit_params)
            except ValueError as error:
                if "already scanned" in str(error):  # pyarrow.ArrowInvalid, of a Scanner
                    raise TypeError(message) from error
                raise
        return found

    def transform(self, X: Any) -> Array:
        """Coordinates of the rows along the components.

        Parameters
        ----------
        X : (m, n) array_like, frame, Arrow data, or iterable of these; or a sparse matrix
            As in `fit`: of rows that may be larger than memory some are there at a time.

        Returns
        -------
        (m, k) ndarray
            float32 if X is.

        Raises
        ------
        ValueError
            Another number, or other names, of features than in `fit`; NaN and infinities.
        NotFittedError
            Before `fit`; scikit-learn's where that is installed.
        """
        return self._whitened(self._measured("coordinates", X))

    def project(self, X: Any) -> ProjectedRows:
        """Coordinates of the rows, and their squared distances from the subspace, in one pass.

        Parameters
        ----------
        X : (m, n) array_like, frame, Arrow data, or iterable of these; or a sparse matrix
            As in `transform`.

        Returns
        -------
        ProjectedRows
            A named tuple ``coordinates, errors``: what `transform` and `reconstruction_errors`
            return.

        Raises
        ------
        ValueError, NotFittedError
            As `transform`.
        """
        found: ProjectedRows = self._measured("project", X)
        return found._replace(coordinates=self._whitened(found.coordinates))

    def inverse_transform(self, X: Any) -> Array:
        """Points of the subspace that have these coordinates.

        Parameters
        ----------
        X : (m, k) array_like

        Returns
        -------
        (m, n) ndarray
            float32 if X is.

        Raises
        ------
        ValueError
            Another number of columns than components; masked numbers.
        TypeError
            Complex numbers; what is no array, as a sparse matrix.
        NotFittedError
            Before `fit`; scikit-learn's where that is installed.
        """
        self._check_fitted()
        coordinates, k = _check.numbers("X", X), self.n_components_
        if coordinates.ndim != 2 or coordinates.shape[1] != k:
            raise ValueError(
                f"X: expected shape (m, {k}), a column for each component, got {coordinates.shape}"
            )
        if coordinates.size and not is_converted(coordinates):
            coordinates = _check.observations("X", coordinates)
        basis = self.components_ * self._scale()[:, np.newaxis]
        return projection.reconstruct(coordinates, self.mean_, basis)

    def reconstruction_errors(self, X: Any) -> Array:
        """Squared distance of each row from the subspace of the components.

        Parameters
        ----------
        X : (m, n) array_like, frame, Arrow data, or iterable of these; or a sparse matrix
            As in `transform`.

        Returns
        -------
        (m,) ndarray
            float64. Their mean over the data of `fit` is ``reconstruction_error_``.

        Raises
        ------
        ValueError, NotFittedError
            As `transform`.
        """
        return np.asarray(self._measured("errors", X))

    def get_covariance(self) -> Array:
        """Covariance of the probabilistic model: components, and noise in all other directions.

        Returns
        -------
        (n, n) ndarray
            float64.
        """
        self._check_fitted()
        return self._in_all_directions(self.explained_variance_, self.noise_variance_)

    def get_precision(self) -> Array:
        """Inverse of the covariance of the probabilistic model.

        Returns
        -------
        (n, n) ndarray
            float64.

        Raises
        ------
        numpy.linalg.LinAlgError
            There is no inverse: a direction without variance, up to rounding.
        """
        self._check_fitted()
        self._check_invertible()
        across = 0.0 if self._spans_all else 1 / self.noise_variance_
        return self._in_all_directions(1 / self.explained_variance_, across)

    def score_samples(self, X: Any) -> Array:
        """Log-likelihood of each row under the probabilistic model.

        Parameters
        ----------
        X : (m, n) array_like, frame, Arrow data, or iterable of these; or a sparse matrix
            As in `transform`.

        Returns
        -------
        (m,) ndarray
            float64.

        Raises
        ------
        ValueError, NotFittedError, numpy.linalg.LinAlgError
            As `transform` and `get_precision`.
        """
        self._check_fitted()
        self._check_invertible()
        variances = self.explained_variance_, self.noise_variance_
        found = self._measured("squared_lengths", X, *variances)
        others = self.n_features_in_ - self.n_components_
        size = np.log(self.explained_variance_).sum()
        size += others * np.log(self.noise_variance_) if others else 0.0
        return np.asarray(-0.5 * (found + size + self.n_features_in_ * np.log(2 * np.pi)))

    def score(self, X: Any, y: None = None) -> float:
        """Average log-likelihood of the rows under the probabilistic model.

        Parameters
        ----------
        X : (m, n) array_like, frame, Arrow data, or iterable of these; or a sparse matrix
            As in `transform`.
        y : None
            Not used.

        Returns
        -------
        float

        Raises
        ------
        ValueError, NotFittedError, numpy.linalg.LinAlgError
            As `score_samples`.
        """
        return float(self.score_samples(X).mean())

    def plot(self, X: Any = None, y: Any = None, *, axes: Any = None) -> Any:
        """Draw explained variance, loadings and the rows of X along the first two components.

        Parameters
        ----------
        X : (m, n) array_like, frame, Arrow data, or iterable of these; or a sparse matrix; optional
            Rows whose coordinates are drawn; without them there are two panels in place of three.
        y : (m,) array_like, optional
            Labels of the rows of X, at most 20 different ones: a colour each.
        axes : sequence of matplotlib's Axes, optional
            Where to draw, one for each panel; by default a new figure, which ``pyplot.show`` does
            not know of. ``axes=plt.subplots(1, 3)[1]`` gives a window.

        Returns
        -------
        matplotlib.figure.Figure
            ``savefig`` writes it, and notebooks show it.

        Raises
        ------
        ImportError
            There is no matplotlib: ``pip install "fastmml[plot]"``.
        ValueError
            No components; labels or axes that do not fit; an X that `transform` refuses.
        NotFittedError
            Before `fit`; scikit-learn's where that is installed.

        Notes
        -----
        A loading is an entry of a component times the standard deviation along it. Rows have a
        histogram if there is but one component.
        """
        from fastmml.decomposition.plots import draw

        self._check_fitted()
        coordinates = None if X is None else np.asarray(self.transform(X))
        return draw(self, coordinates, y, axes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.svd_solver != "full"
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _scale(self) -> Array:
        """What coordinates are divided by; components without variance stay as they are."""
        scale = np.ones(self.n_components_)
        if self.whiten:
            has_variance = self.explained_variance_ > 0
            scale[has_variance] = np.sqrt(self.explained_variance_[has_variance])
        return scale

    def _whitened(self, coordinates: Array) -> Array:
        """Coordinates over their standard deviations, in place, if that was asked for."""
        if self.whiten:
            with np.errstate(all="ignore"):
                np.divide(coordinates, self._scale(), out=coordinates, casting="same_kind")
        return coordinates

    @property
    def _spans_all(self) -> bool:
        return bool(self.n_components_ == self.n_features_in_)

    def _check_invertible(self) -> None:
        """Raise where the covariance of the probabilistic model has no inverse."""
        known = self.explained_variance_
        known = known if self._spans_all else np.append(known, self.noise_variance_)
        if not known.min() > self.n_features_in_ * np.finfo(float).eps * known.max():
            raise np.linalg.LinAlgError("Singular matrix: a direction without variance")

    def _fit_moments(self, moments: Moments, names: Names) -> PCA:
        """Components of rows that were read once."""
        found, number, data = spectrum_of(moments, self.n_components)
        self.n_features_in_, self.n_samples_ = len(data.mean), moments.rows
        self._set_feature_names(names)
        return self._set(found, number, data, (moments.divisor(), moments.weight))

    def _fit_table(self, table: Any) -> Array:
        """The rows of a table in memory, as `_fit_rows`."""
        rows, names = in_memory(table)
        found: Array = self._fit_rows(rows)
        self._set_feature_names(names)
        return found

    def _measured(self, measure: str, X: Any, *variances: Any) -> Any:
        """What `projection`, or `sparse`, computes of new rows, under this name."""
        self._check_fitted()
        if are_streamed(X) or is_table(X):
            return self._measured_in_chunks(getattr(projection, measure), X, variances)
        if is_converted(X):
            self._new_rows(X[:1])  # checked as all of them would be, which are converted in pieces
            rows = X
        else:
            rows = self._new_rows(X)
        if rows.shape[1] != len(self.mean_):  # kernels read as many
            raise ValueError(f"X: expected {len(self.mean_)} features, got {rows.shape[1]}")
        way: Any = sparse if issparse(rows) else projection
        return getattr(way, measure)(rows, self.mean_, self.components_, *variances)

    def _measured_in_chunks(self, compute: Callable[..., Any], X: Any, variances: Any) -> Any:
        rows = NamedRows(X, self._feature_names)
        parts = [
            compute(part, self.mean_, self.components_, *variances, first_row=rows.first)
            for part in rows.of_columns(len(self.mean_))
        ]
        rows.warn()
        if isinstance(parts[0], ProjectedRows):
            return ProjectedRows(*map(np.concatenate, zip(*parts, strict=True)))
        return np.concatenate(parts)

    def _set(
        self, found: Spectrum, number: Number, data: Products, divisors: tuple[float, float]
    ) -> PCA:
        """Keep what was found; divisors make variances, and average errors, of sums of squares."""
        squares, k = found.squares, len(found.squares)
        self._moments = None
        self.mean_, self.components_ = data.mean, _turned(found.components).astype(data.dtype)
        self.components_error_ = np.minimum(found.errors + np.finfo(data.dtype).eps, 1.0)
        self.n_components_ = k
        rest = max(data.total - float(squares.sum()), 0.0) if k < number.most else 0.0
        self.noise_variance_ = rest / divisors[0] / max(number.most - k, 1)
        self.reconstruction_error_ = rest / divisors[1]
        self.explained_variance_ = squares / divisors[0]
        self.explained_variance_ratio_ = squares / (data.total or np.nan)
        self.singular_values_ = np.sqrt(squares)
        return self

    def _in_all_directions(self, along: Array, across: float) -> Array:
        """The matrix of these eigenvalues of the components, and this one of all else."""
        basis = self.components_.astype(np.float64)
        found = np.asarray(matmul(basis.T * (along - across), basis))
        found.flat[:: len(found) + 1] += across
        return found


def _turned(components: Array) -> Array:
    """Signs such that the entry of largest size of each row is positive."""
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.asarray(components * signs[:, np.newaxis])
