"""Orthonormal bases: QR factorisation, Gram-Schmidt, projection onto a subspace.

Real matrices of at most 32 rows and columns are factorised side by side, one in each lane of the
CPU's vectors. Tall ones are factorised through their Gram matrix, at the speed of a matrix product.
All others, and what Gram matrices cannot do to full accuracy, go to Householder's reflections in
LAPACK, SciPy's or NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml import _check
from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import SMALL_QR_ROWS
from fastmml._lapack_qr import is_for_lapack, lapack_qr
from fastmml._powers import are_near, ldexp, lengths, near_one, sums_of_squares
from fastmml._tall_qr import tall_qr
from fastmml.linalg import gram, matmul
from fastmml.systems import eigh, solve

Array = NDArray[Any]

#: Its stubs ask for less than it takes.
_householder: Callable[..., Any] = np.linalg.qr

#: Rows for each column, most columns, and least multiplications of a Gram matrix, from which on
#: these are faster than LAPACK (1000 x 16: 82 µs for 103; 1000 x 8: 62 for 41).
_TALL, _MOST_COLUMNS, _LEAST_WORK = 8, 512, 1 << 18
#: Codes of the element types that are not NumPy's to refuse.
_TAKEN = frozenset("?bBhHiIlLqQfdFD")
#: A column is taken for dependent if what is new in it is below this times max(m, n) eps of it.
_DEPENDENT = 1.0


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Array  #: (..., m, k): orthonormal columns
    R: Array  #: (..., k, n): upper triangular


class Projection(NamedTuple):
    """What `project` returns."""

    coordinates: Array  #: (k,) or (k, p): of the projections, in the basis that was given
    projection: Array  #: (m,) or (m, p): the nearest points of the subspace
    distance: Any  #: a number, or (p,): from the points to the subspace

    @property
    def reconstruction_error(self) -> float:
        """The average squared distance, which principal components minimise; NaN of no points."""
        squares = np.square(self.distance, dtype=np.float64)
        return float(squares.mean()) if squares.size else float("nan")


@overload
def qr(
    a: ArrayLike,
    mode: Literal["reduced", "complete"] = ...,
    *,
    out: Any = ...,
    overwrite_a: bool = ...,
) -> QRResult: ...


@overload
def qr(a: ArrayLike, mode: Literal["r"], *, out: Any = ..., overwrite_a: bool = ...) -> Array: ...


@overload
def qr(a: ArrayLike, mode: str, *, out: Any = ..., overwrite_a: bool = ...) -> Any: ...


def qr(a: ArrayLike, mode: str = "reduced", *, out: Any = None, overwrite_a: bool = False) -> Any:
    """Factorise matrices into ``Q @ R``, Q with orthonormal columns and R upper triangular.

    Parameters
    ----------
    a : (..., m, n) array_like
        Real, complex or integer matrices.
    mode : {"reduced", "complete", "r"}
        Q of min(m, n) columns, or of m; or R alone.
    out : tuple of two ndarrays, or ndarray in mode "r", optional
        Where Q and R go: writeable arrays of their shapes, which share no memory with each other.
        One of them may be ``a``, which is overwritten then.
    overwrite_a : bool
        Results may take the memory of ``a``; Q does where ``a`` has the dtype that is computed
        with, and C order (small and tall matrices) or Fortran's (others).

    Returns
    -------
    QRResult or ndarray
        A named tuple ``Q, R``; R alone in mode "r". Signs are not specified, as in NumPy. Plain
        arrays where ``a`` is tall; subclasses of ndarray stay what `numpy.linalg.qr` makes of them
        elsewhere.

    Raises
    ------
    ValueError
        Another mode; an ``out`` of another shape, read-only, or of arrays that overlap.
    numpy.linalg.LinAlgError, TypeError
        As `numpy.linalg.qr`: fewer than two dimensions; float16 and long double. A dtype of ``out``
        that results do not cast to ("same_kind").

    Notes
    -----
    ``|Q.T @ Q - I|`` and ``|a - Q @ R| / |a|`` are of the size of n rounding errors at any
    condition number, rank-deficient matrices included.

    Real matrices of at most 32 rows and columns, and stacks of them: Householder reflections, a
    matrix in each lane of the CPU's vectors, in float64; 2 n² (m - n / 3) multiply-adds with Q,
    half of it without. A matrix's result depends neither on the rest of the stack nor on threads.

    Single matrices that are tall (m >= 8 n, n <= 512) and not too small (m n² >= 2**18): twice the
    Cholesky factor of the Gram matrix (CholeskyQR2 [1]_), a third time with a shift first where
    columns are nearly dependent [2]_, by m n² flops for each Gram matrix and each triangular solve:
    5 m n², or 9 m n², and 2 m n² less for R alone; four times as many for complex ones. Where a
    pivot says that this would not be accurate, and for all other matrices: Householder reflections,
    by LAPACK.
    Q of a matrix that LAPACK factorises may be in Fortran's order.

    References
    ----------
    .. [1] T. Fukaya, Y. Nakatsukasa, Y. Yanagisawa, Y. Yamamoto, "CholeskyQR2: a simple and
       communication-avoiding algorithm for computing a tall-skinny QR factorization", ScalA 2014.
    .. [2] T. Fukaya, R. Kannan, Y. Nakatsukasa, Y. Yamamoto, Y. Yanagisawa, "Shifted Cholesky QR
       for computing the QR factorization of ill-conditioned matrices", SIAM Journal on Scientific
       Computing 42 (2020).

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> a = np.random.default_rng(0).normal(size=(1000, 3))
    >>> q, r = fm.qr(a)
    >>> bool(np.allclose(q @ r, a) and fm.orthogonality(q) < 1e-14)
    True
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"mode: expected 'reduced', 'complete' or 'r', got {mode!r}")
    a = _check.for_lapack("a", a)
    x = np.asarray(a)
    if x.ndim < 2:
        return _householder(a, mode)  # raises
    number = _result_type(x)
    targets = () if out is None else _check.factors(out, _shapes(x, mode), number)
    is_wrapped = type(a) is not np.ndarray and hasattr(a, "__array_wrap__")
    if x.dtype.char not in _TAKEN or x.size == 0 or (is_wrapped and not is_tall(x)):
        found = _by_numpy(a, mode)
    else:
        found = _factorise(x, mode, targets, overwrite_a)
    for target, part in zip(targets, found, strict=False):
        if part is not target:
            target[...] = part
    parts = targets or found
    return parts[0] if mode == "r" else QRResult(*parts)


def orthogonality(q: ArrayLike) -> Any:
    """How far the columns of q are from orthonormal: the 2-norm of ``q.T @ q - I``.

    Parameters
    ----------
    q : (..., m, n) array_like

    Returns
    -------
    float, or (...) ndarray for stacks
        0 for no columns. Computed by `gram` or `matmul`, in the precision of q.

    Raises
    ------
    ValueError, TypeError
        Fewer than two dimensions; float16 or long double.
    numpy.linalg.LinAlgError
        NaN or infinity among three columns or more.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.orthogonality([[1.0, 0.0], [0.0, 2.0]])
    3.0
    """
    x = _check.factorisable("q", q)
    if x.ndim < 2:
        raise ValueError(f"q: expected at least 2 dimensions, got {x.ndim}")
    products = gram(x) if x.ndim <= 2 else matmul(x.conj().swapaxes(-2, -1), x)
    n = products.shape[-1]
    distances = np.zeros(products.shape[:-2], products.real.dtype)
    if n:
        values = eigh(products - np.eye(n, dtype=products.dtype)).eigenvalues
        distances = np.abs(values).max(axis=-1)
    return distances if x.ndim > 2 else float(distances)


def gram_schmidt(a: ArrayLike, dependent: str | None = None, method: str = "auto") -> Array:
    """Orthonormal basis of the columns of a matrix, column after column.

    Column j of the basis is column j of ``a`` less its projection onto the columns before it,
    scaled to length 1.

    Parameters
    ----------
    a : (..., m, n) array_like
        Vectors in columns.
    dependent : {"drop", "zero"}, optional
        What becomes of a column that depends on those before it: what is new in it is below
        ``max(m, n)`` rounding errors of its length. By default it is dropped from a single matrix
        and zero in stacks, whose matrices need not have the same rank.
    method : {"auto", "cgs", "mgs"}
        "cgs" and "mgs" are the classical and the modified method as the textbooks have them, for
        seeing how they lose orthogonality: all columns are kept (a zero column stays zero).

    Returns
    -------
    (m, r) or (..., m, n) ndarray
        Of float32 or complex64 if ``a`` is, else float64 or complex128.

    Raises
    ------
    ValueError
        ``a`` has fewer than two dimensions; another ``dependent`` or ``method``; "drop" for a
        stack.
    TypeError
        float16 or long double.

    Notes
    -----
    By default Q of the QR factorisation (see `qr`), with the signs of the diagonal of R; where
    columns are dependent, the classical method with reorthogonalisation ("twice is enough", [1]_)
    on R. Orthonormal to n rounding errors at any condition number. The classical method loses
    orthogonality as the square of the condition number grows, the modified one as the condition
    number itself does [1]_.

    References
    ----------
    .. [1] L. Giraud, J. Langou, M. Rozložník, J. van den Eshof, "Rounding error analysis of the
       classical Gram-Schmidt orthogonalization process", Numerische Mathematik 101 (2005).

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.gram_schmidt([[3.0, 6.0, 1.0], [0.0, 0.0, 2.0]])
    array([[1., 0.],
           [0., 1.]])
    """
    if dependent not in (None, "drop", "zero"):
        raise ValueError(f"dependent: expected 'drop' or 'zero', got {dependent!r}")
    if method not in ("auto", *_TEXTBOOK):
        raise ValueError(f"method: expected 'auto', 'cgs' or 'mgs', got {method!r}")
    x = _check.factorisable("a", a)
    if x.ndim < 2:
        raise ValueError(f"a: expected at least 2 dimensions, got {x.ndim}")
    if dependent == "drop" and x.ndim > 2:
        raise ValueError("dependent: expected 'zero' for a stack, got 'drop'")
    if method != "auto":
        x = x.astype(_result_type(x), copy=False)
        return _TEXTBOOK[method](x * _scales(x))
    basis = _basis(x)
    return basis if dependent == "zero" or x.ndim > 2 else basis[:, basis.any(axis=0)]


def project(x: ArrayLike, basis: ArrayLike, origin: ArrayLike | None = None) -> Projection:
    """Project points onto the subspace that vectors span, or onto a shifted one.

    Under other inner products than the standard one: `fastmml.InnerProduct.project`.

    Parameters
    ----------
    x : (m,) or (m, p) array_like
        A point, or points in columns.
    basis : (m, k) array_like
        Linearly independent vectors in columns; they need not be orthogonal.
    origin : (m,) array_like, optional
        A point of the affine subspace ``origin + basis @ coordinates``; by default 0.

    Returns
    -------
    Projection
        A named tuple: ``coordinates``, ``projection = origin + basis @ coordinates`` and
        ``distance``; its ``reconstruction_error`` is the average squared distance.

    Raises
    ------
    ValueError
        Shapes that do not fit together; masked numbers.
    numpy.linalg.LinAlgError
        The vectors are linearly dependent.
    TypeError
        float16, long double, objects.

    Notes
    -----
    By `qr`, as ``Q Q* x``: what is left of x is orthogonal to the basis to rounding at any
    condition number of it (of its columns scaled to length 1); errors of projection and coordinates
    grow with that number.

    Examples
    --------
    >>> import fastmml as fm
    >>> coordinates, projection, distance = fm.project([6.0, 0.0, 0.0], [[1, 0], [1, 1], [1, 2]])
    >>> coordinates.round(12), projection.round(12), round(float(distance), 12)
    (array([ 5., -3.]), array([ 5.,  2., -1.]), 2.449489742783)
    """
    points, vectors, start = affine(x, basis, origin)
    shift = start.reshape(len(start), *[1] * (points.ndim - 1))
    with np.errstate(all="ignore"):
        q, r, sizes = independent_qr(vectors)

        def measure(near: Array) -> tuple[Array, Array, Array]:
            inside = matmul(q.conj().T, near)
            projection = matmul(q, inside)
            return inside, projection, lengths((near - projection).T)

        inside, projection, distance, far = measured_near(measure, points - shift)
        coordinates = coordinates_of(inside, r, sizes, far)
        return Projection(coordinates, ldexp(projection, far) + shift, distance[()])


def measured_near(
    measure: Callable[[Array], tuple[Array, Array, Array]], points: Array, own: Any = 0
) -> tuple[Array, Array, Array, Any]:
    """What is measured of points in columns, times ``2**(own - e)``: and e.

    Coordinates, projections and distances, the last of them those of the points as they are. e is 0
    unless lengths are far from 1.
    """
    units = own.reshape(-1, *[1] * (points.ndim - 1)) if np.ndim(own) else own
    inside, projection, distance = measure(ldexp(points, units))
    if are_near(np.maximum(np.abs(inside).max(axis=0, initial=0), distance)):
        return inside, projection, distance, 0
    near, far = near_one(points.T, own)
    inside, projection, distance = measure(near.T)
    return inside, projection, np.ldexp(distance, far), far


def coordinates_of(inside: Array, r: Array, sizes: Any, far: Any) -> Array:
    """Coordinates in a basis, of those in what `independent_qr` made of it."""
    own = sizes.reshape(-1, *[1] * (inside.ndim - 1)) if np.ndim(sizes) else sizes
    return ldexp(solve(r, inside), far - own)


def affine(x: ArrayLike, basis: ArrayLike, origin: ArrayLike | None) -> tuple[Array, Array, Array]:
    """The operands of `project`, checked; without an origin it is 0."""
    points, vectors = _check.factorisable("x", x), _check.factorisable("basis", basis)
    if vectors.ndim != 2:
        raise ValueError(f"basis: expected 2 dimensions, got {vectors.ndim}")
    m = len(vectors)
    if points.ndim not in (1, 2) or len(points) != m:
        raise ValueError(f"x: expected shape ({m},) or ({m}, p), got {points.shape}")
    zero = np.zeros(m, points.dtype)
    start = zero if origin is None else _check.factorisable("origin", origin)
    if start.shape != (m,):
        raise ValueError(f"origin: expected shape ({m},), got {start.shape}")
    return points, vectors, start


class IndependentQR(NamedTuple):
    """What `independent_qr` returns: ``q r = basis * 2**(own - sizes)``."""

    q: Array
    r: Array
    sizes: Any  # a power of two for each column: 0 unless lengths are far from 1


def independent_qr(basis: Array, own: Any = 0) -> IndependentQR:
    """The factors of a basis, which is refused where its columns are linearly dependent.

    ``own`` are powers of two that rows are multiplied with.
    """
    units = own[:, np.newaxis] if np.ndim(own) else own
    q, r = qr(ldexp(basis, units))
    sizes: Any = 0
    if not are_near(np.abs(r).max(axis=0, initial=0)):
        near, sizes = near_one(basis.T, own)
        q, r = qr(near.T)
    new, least = np.abs(np.diagonal(r)), np.sqrt(sums_of_squares(r.T))
    least *= _DEPENDENT * max(basis.shape) * np.finfo(r.dtype).eps
    if r.shape[0] < r.shape[1] or not (new > least).all():
        raise np.linalg.LinAlgError("basis: expected linearly independent columns")
    return IndependentQR(q, r, sizes)


def is_tall(x: Array, times: int = 1) -> bool:
    """Whether Gram matrices are faster than LAPACK, and accurate enough to try.

    For work that takes so many times as long as a factorisation to start.
    """
    if x.ndim != 2 or not (_is_real(x) or x.dtype.char in "FD"):
        return False
    m, n = x.shape
    return bool(0 < n <= min(_MOST_COLUMNS, m // _TALL) and m * n * n >= times * _LEAST_WORK)


def is_small(x: Array) -> bool:
    """Whether these are matrices that the kernel on small ones takes."""
    return _is_real(x) and x.ndim > 1 and x.size > 0 and max(x.shape[-2:]) <= SMALL_QR_ROWS


def _is_real(x: Array) -> bool:
    return x.dtype.char in "fd" or x.dtype.kind in "biu"


def _result_type(x: Array) -> np.dtype[Any]:
    """The dtype of the factors of a matrix of this dtype, in native byte order."""
    if x.dtype.char in "fFdD":
        return x.dtype.newbyteorder("=")
    return np.dtype(np.float64)


def _shapes(x: Array, mode: str) -> tuple[tuple[int, ...], ...]:
    """The shapes of Q and R, or that of R alone."""
    *batch, m, n = x.shape
    k = m if mode == "complete" else min(m, n)
    shapes = ((*batch, m, k), (*batch, k, n))
    return shapes[1:] if mode == "r" else shapes


def _rooms(x: Array, mode: str, targets: tuple[Array, ...], overwrite_x: bool) -> list[Array]:
    """Arrays for results: those that were given, where a kernel can write to them, or new ones."""
    shapes = _shapes(x, mode)
    if not targets and overwrite_x:
        targets = (x,)
    rooms = [np.empty(0)] * len(shapes)
    for i, shape in enumerate(shapes):
        is_given = i < len(targets) and targets[i].shape == shape and _is_writable(targets[i], x)
        rooms[i] = targets[i] if is_given else kernels().empty(shape, x.dtype)
    return rooms


def _is_writable(target: Array, x: Array) -> bool:
    """Whether a kernel can write there while it reads x, which may be the same array."""
    flags = target.flags
    if target.dtype != x.dtype or not (flags.c_contiguous and flags.aligned and flags.writeable):
        return False
    is_same = x.flags.c_contiguous and target.shape == x.shape and _address(target) == _address(x)
    return is_same or not np.may_share_memory(target, x)


def _address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


def _factorise(
    x: Array, mode: str, targets: tuple[Array, ...], overwrite_x: bool
) -> tuple[Array, ...]:
    """Q and R, or R alone, in the targets where that is possible."""
    plain = _check.readable(x.astype(_result_type(x), copy=False))
    if is_small(plain):
        return _small_qr(plain, mode, targets, overwrite_x)
    found = None
    if is_tall(plain) and mode != "complete":
        found = _by_gram(plain, mode, targets, overwrite_x)
    if found is None and is_for_lapack(plain, mode):
        found = lapack_qr(plain, mode, overwrite_x)
    return found or _by_numpy(plain, mode)


def _small_qr(
    x: Array, mode: str, targets: tuple[Array, ...], overwrite_x: bool
) -> tuple[Array, ...]:
    """Factors of small matrices, side by side."""
    rooms = _rooms(x, mode, targets, overwrite_x)
    matrices, *others = (part.reshape(-1, *part.shape[-2:]) for part in (x, *rooms))
    q = None if mode == "r" else others[0]
    kernels().small_qr(matrices, q, others[-1], get_num_threads())
    return tuple(rooms)


def _by_gram(
    x: Array, mode: str, targets: tuple[Array, ...], overwrite_x: bool
) -> tuple[Array, ...] | None:
    """Factors of a tall matrix; None where they would not be accurate."""
    rooms = [] if mode == "r" else _rooms(x, mode, targets, overwrite_x)[:1]
    r = tall_qr(x, rooms[0] if rooms else None)
    return None if r is None else (*rooms, r)


def _by_numpy(a: ArrayLike, mode: str) -> tuple[Array, ...]:
    found = _householder(a, mode)
    return (found,) if mode == "r" else tuple(found)


def _basis(x: Array) -> Array:
    """What Gram-Schmidt makes of matrices; dependent columns are 0."""
    q, r = qr(x)
    r = r * _scales(r)
    size = max(x.shape[-2:])
    pivots = np.diagonal(r, axis1=-2, axis2=-1)
    lengths = np.linalg.norm(r, axis=-2)[..., : pivots.shape[-1]]
    limit = _DEPENDENT * size * float(np.finfo(r.dtype).eps)
    is_new = np.abs(pivots) > limit * lengths
    is_whole = is_new.all(axis=-1) & (x.shape[-1] <= x.shape[-2])
    basis = kernels().empty(x.shape, q.dtype)
    signs = np.where(is_new, pivots / np.where(is_new, np.abs(pivots), 1), 0)
    if x.shape[-1] <= x.shape[-2]:
        np.multiply(q, signs[..., np.newaxis, :], out=basis)
    if not is_whole.all():
        basis[~is_whole] = matmul(q[~is_whole], _twice(r[~is_whole], limit))
    return basis


def _scales(x: Array) -> Array:
    """Powers of two that bring columns to where their lengths neither over- nor underflow."""
    sizes = np.maximum(np.abs(x.real), np.abs(x.imag)).max(axis=-2, keepdims=True, initial=0)
    most = np.finfo(sizes.dtype).maxexp - 8
    return np.asarray(np.ldexp(sizes.dtype.type(1), -np.frexp(sizes)[1].clip(-most, most)))


def _twice(r: Array, limit: float) -> Array:
    """Gram-Schmidt on the columns of small matrices, each done twice; dependent ones are 0."""
    basis = np.zeros_like(r)
    for j in range(r.shape[-1]):
        before = basis[..., :j]
        new = _unit(r[..., j])
        for _ in range(2):
            new = _less(new, before)
        is_new = np.linalg.norm(new, axis=-1, keepdims=True) > limit
        basis[..., j] = _unit(_less(_unit(np.where(is_new, new, 0)), before))
    return basis


def _less(x: Array, basis: Array) -> Array:
    """Vectors less their projections onto orthonormal ones."""
    along = np.conj(basis).swapaxes(-2, -1) @ x[..., np.newaxis]
    return np.asarray(x - (basis @ along)[..., 0])


def _classical(a: Array) -> Array:
    """Every column less its projection onto those before it."""
    q = np.zeros_like(a)
    for j in range(a.shape[-1]):
        q[..., j] = _unit(_less(a[..., j], q[..., :j]))
    return q


def _modified(a: Array) -> Array:
    """Projections are taken off one after the other, from what is left."""
    q = np.array(a)
    for j in range(a.shape[-1]):
        q[..., j] = _unit(q[..., j])
        unit = q[..., j, np.newaxis]
        q[..., j + 1 :] -= unit * (np.conj(unit).swapaxes(-2, -1) @ q[..., j + 1 :])
    return q


def _unit(x: Array) -> Array:
    """Vectors scaled to length 1, and zeros."""
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1))


_TEXTBOOK: dict[str, Callable[[Array], Array]] = {"cgs": _classical, "mgs": _modified}
