"""Matrix products: `matmul` with the semantics of `numpy.matmul`, and `gram`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastmml import _check, _strassen
from fastmml._backend import get_num_threads, kernels

Array = NDArray[Any]
Out = TypeVar("Out", bound=Array)

#: What the kernels compute with, by the type codes of the elements. Half-precision numbers are
#: summed in single precision, and truth values counted in it: a count that rounds is not 0.
#: Integers wrap around, which unsigned ones do alike; 8 bits are the lower half of 16.
_COMPUTED: dict[str, np.dtype[Any]] = {
    "d": np.dtype(np.float64),
    "f": np.dtype(np.float32),
    "e": np.dtype(np.float32),
    "?": np.dtype(np.float32),
    "D": np.dtype(np.complex128),
    "F": np.dtype(np.complex64),
}
_WHOLE: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.uint16),
    2: np.dtype(np.uint16),
    4: np.dtype(np.uint32),
    8: np.dtype(np.uint64),
}


#: Type codes of numbers of which a kernel takes sums of 32 bits.
_SHORT = "bBh"
#: Multiply-adds from which on each product of a stack may have a call of its own.
CALL_WORK = 32**3
#: Ways to multiply large matrices.
ALGORITHMS = ("classical", "strassen")


@overload
def matmul(
    a: ArrayLike,
    b: ArrayLike,
    out: None = ...,
    dtype: DTypeLike | None = ...,
    *,
    algorithm: str = ...,
) -> Any: ...


@overload
def matmul(
    a: ArrayLike, b: ArrayLike, out: Out, dtype: DTypeLike | None = ..., *, algorithm: str = ...
) -> Out: ...


def matmul(
    a: ArrayLike,
    b: ArrayLike,
    out: Array | None = None,
    dtype: DTypeLike | None = None,
    *,
    algorithm: str = "classical",
) -> Any:
    """Matrix product of two arrays, as `numpy.matmul` defines it.

    Parameters
    ----------
    a, b : array_like
        Real, complex, integer or bool arrays of at least one dimension and any layout. Those of
        more than two are stacks of matrices, which broadcast; one of one dimension is a row on
        the left and a column on the right, and that dimension is not in the result.
    out : ndarray, optional
        Where the result goes; it may overlap ``a`` and ``b``.
    dtype : dtype, optional
        What is computed with, by default the type that the dtypes of ``a`` and ``b`` promote to.
    algorithm : {"classical", "strassen"}
        "strassen" takes fewer multiplications where no side of the matrices is below 1024, and
        errs more; see the notes.

    Returns
    -------
    ndarray or scalar
        ``out`` if it was given. A scalar when both arrays have one dimension.

    Raises
    ------
    ValueError
        An array without dimensions; sizes that do not fit together; an ``out`` that is read-only
        or of another shape; an ``algorithm`` that is not one of the above; masked numbers.
    TypeError
        A dtype that cannot be computed with (`numpy.longdouble` and objects among them) or cast
        to ("same_kind"); what is no array, as a sparse matrix.

    Notes
    -----
    2 m n k flops for (m, k) by (k, n). Integers wrap around (those of 8 and 16 bits need no copies
    for ``dtype=numpy.int32``), bools are combined by "or" of "and", float16 and bfloat16 (of
    ml_dtypes) are summed in float32. In every element ``|result - exact| <= gamma(k) |a| |b|``,
    where gamma(k) is k u / (1 - k u) and u half the distance from 1 to the next number; twice as
    many terms count for complex numbers. Results have the same bits on any number of threads, but
    differ between backends and CPU levels; the numba backend leaves all but whole numbers to
    NumPy's BLAS and its threads. Subclasses of ndarray are taken for plain arrays, and no
    floating-point warnings are given.

    The classical algorithm is that of K. Goto and R. van de Geijn, Anatomy of high-performance
    matrix multiplication, ACM Transactions on Mathematical Software 34 (2008).

    "strassen" is Winograd's form of Strassen's algorithm: matrices are cut into quarters, of which
    7 products in place of 8 are taken, with 15 additions, in two quarters of memory; and the
    quarters again, d = log2(min(m, k, n) / 512) times, rounded down. Its bound holds for the
    largest elements, not for each: ``max |result - exact| <= 18**d (h**2 + 6 h) u max |a| max |b|``
    up to terms of u**2, with h = k / 2**d rounded up (N. Higham, Accuracy and Stability of
    Numerical Algorithms, 2nd ed., 2002, section 23.2.2), and for the parts of complex numbers with
    2 h in place of h. Small elements beside large ones may lose all digits; NaN, infinities and
    sums that overflow spread to elements that they do not belong to. Integers are the same as ever,
    since they wrap around; bools are combined classically.

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> fm.matmul([[1, 2], [3, 4]], [1, 1])
    array([3, 7])
    >>> fm.matmul(np.ones((5, 2, 3)), np.ones((3, 4))).shape
    (5, 2, 4)
    """
    if algorithm == "classical":
        product = None
        if dtype is None:
            product = kernels().matmul_plain(a, b, out)
        elif out is None:
            product = kernels().matmul_short_plain(a, b, dtype)
        if product is not None:
            return product
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm: expected one of {ALGORITHMS}, got {algorithm!r}")
    return _matmul(_check.numbers("a", a), _check.numbers("b", b), out, dtype, algorithm)


def gram(x: ArrayLike) -> Array:
    """Gram matrix ``x.T @ x`` of the columns of x, conjugated on the left if complex.

    Parameters
    ----------
    x : (k, n) array_like
        Of the dtypes and layouts of `matmul`.

    Returns
    -------
    (n, n) ndarray
        Of the dtype of x, exactly symmetric (Hermitian).

    Raises
    ------
    ValueError
        x does not have two dimensions; masked numbers.
    TypeError
        A dtype that cannot be computed with; what is no array, as a sparse matrix.

    Notes
    -----
    One triangle is computed, k n (n + 1) flops, and mirrored. Errors and threads as in `matmul`.

    Examples
    --------
    >>> import fastmml as fm
    >>> fm.gram([[1.0, 2.0], [3.0, 4.0]])
    array([[10., 14.],
           [14., 20.]])
    """
    square = kernels().gram_plain(x)
    if square is not None:
        return square
    array = _check.numbers("x", x)
    if array.ndim != 2:
        raise ValueError(f"x: expected 2 dimensions, got {array.ndim}")
    dtype = _check.number_type("x", array.dtype)
    computed = _computed(dtype)
    result = kernels().empty((array.shape[1], array.shape[1]), computed)
    kernels().gram(_operand(array, dtype, computed), result, get_num_threads())
    return _as_type(result, dtype)


def _matmul(
    a: Array,
    b: Array,
    out: Array | tuple[Array] | None,
    dtype: DTypeLike | None,
    algorithm: str,
) -> Any:
    """`matmul` of arrays."""
    _check.at_least_1d("a", a)
    _check.at_least_1d("b", b)
    rows = a if a.ndim > 1 else a[np.newaxis]
    columns = b if b.ndim > 1 else b[:, np.newaxis]
    stack = _check.stack_of_products(rows, columns)
    if dtype is None:
        number = _promoted(a.dtype, b.dtype)
    else:
        number = _check.number_type("dtype", np.dtype(dtype))
    _check.castable("a", a.dtype, number)
    _check.castable("b", b.dtype, number)
    kept = (a.ndim > 1, b.ndim > 1)
    core = _kept((rows.shape[-2], columns.shape[-1]), kept)
    if out is None:
        found = _product(rows, columns, stack, number, None, algorithm).reshape(stack + core)
        return found if found.ndim else found[()]
    target = _check.output(out, stack, core, number)
    stack = target.shape[: target.ndim - len(core)]
    result = _writable(target, kept, (a, b), number)
    found = _product(rows, columns, stack, number, result, algorithm)
    if result is None:
        target[...] = found.reshape(target.shape)
    return target


def _promoted(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """The type that both promote to; an error names the one that cannot be computed with."""
    try:
        return _check.number_type("a, b", np.result_type(a, b))
    except TypeError:
        _check.number_type("a", a)
        _check.number_type("b", b)
        raise


def _kept(sizes: tuple[int, int], kept: tuple[bool, bool]) -> tuple[int, ...]:
    """Leave out the rows or columns of a product of arrays of one dimension."""
    return tuple(size for size, keep in zip(sizes, kept, strict=True) if keep)


def _product(
    rows: Array,
    columns: Array,
    stack: tuple[int, ...],
    number: np.dtype[Any],
    result: Array | None,
    algorithm: str,
) -> Array:
    """Multiply stacks of matrices, into ``result`` if there is one."""
    computed = _computed(number)
    special = _kernel_for_two(rows, columns, stack, number, algorithm)
    if special is not None:
        return _one_by_one(special, rows, columns, stack, number, result)
    left = _broadcast(_operand(rows, number, computed), stack)
    right = _broadcast(_operand(columns, number, computed), stack)
    if result is None:
        result = kernels().empty((*stack, rows.shape[-2], columns.shape[-1]), computed)
    is_exact = algorithm == "classical" or number.kind == "b"  # a count that rounds is not 0
    multiply = kernels().matmul if is_exact else _strassen.multiply
    multiply(left, right, result, get_num_threads())
    return _as_type(result, number)


def _kernel_for_two(
    rows: Array, columns: Array, stack: tuple[int, ...], number: np.dtype[Any], algorithm: str
) -> Callable[[Array, Array, Array, int], None] | None:
    """The kernel for these types that takes two matrices, if it is worth a call for each two."""
    work = rows.shape[-2] * rows.shape[-1] * columns.shape[-1]
    if stack != () and work < CALL_WORK:
        return None
    if number.kind == "b":
        return kernels().matmul_bool
    if algorithm == "classical" and _are_short(rows, columns, number):
        return kernels().matmul_short
    return None


def _are_short(rows: Array, columns: Array, number: np.dtype[Any]) -> bool:
    """Whether sums of 32 bits have terms that need not be widened in memory."""
    return (
        number.kind in "iu"
        and number.itemsize == 4
        and all(x.dtype.char in _SHORT and x.dtype.isnative for x in (rows, columns))
        and rows.flags.aligned
        and columns.flags.aligned
    )


def _one_by_one(
    multiply: Callable[[Array, Array, Array, int], None],
    rows: Array,
    columns: Array,
    stack: tuple[int, ...],
    number: np.dtype[Any],
    result: Array | None,
) -> Array:
    """Multiply a stack by a kernel for two matrices."""
    left, right = _broadcast(rows, stack), _broadcast(columns, stack)
    if result is None:
        result = kernels().empty((*stack, rows.shape[-2], columns.shape[-1]), number)
    for i in itertools.product(*map(range, stack)):  # np.ndindex takes 2 us to begin
        a, b, out = left[i], right[i], result[i]
        if out.shape[1] > 1 and out.strides[1] != out.itemsize:  # then its columns are contiguous
            a, b, out = b.T, a.T, out.T
        multiply(a, b, out, get_num_threads())
    return result.view(number)


def _computed(number: np.dtype[Any]) -> np.dtype[Any]:
    """What kernels compute with for elements of this dtype."""
    if number.kind in "iu":
        return _WHOLE[number.itemsize]
    if number.name == "bfloat16":  # of ml_dtypes
        return _COMPUTED["e"]
    return _COMPUTED[number.char]


def _operand(x: Array, number: np.dtype[Any], computed: np.dtype[Any]) -> Array:
    """x as numbers that a kernel computes with, copied where it cannot read them as they lie."""
    x = x.astype(number, copy=False)
    x = x.view(computed) if _is_same(number, computed) else x.astype(computed)
    return x if _check.is_readable(x, _real_size(computed)) else x.copy()


def _is_same(number: np.dtype[Any], computed: np.dtype[Any]) -> bool:
    """Whether elements are computed with as they are, but for a sign."""
    return number == computed or (number.kind in "iu" and number.itemsize == computed.itemsize)


def _broadcast(x: Array, batch: tuple[int, ...]) -> Array:
    """Repeat the matrices of x, without copies, to a stack of this shape."""
    return x if x.shape[:-2] == batch else np.broadcast_to(x, (*batch, *x.shape[-2:]))


def _as_type(result: Array, number: np.dtype[Any]) -> Array:
    """The result as elements of the dtype that was asked for."""
    if _is_same(number, result.dtype):
        return result.view(number)
    return result != 0 if number.kind == "b" else result.astype(number)


def _writable(
    target: Array, kept: tuple[bool, bool], inputs: tuple[Array, Array], number: np.dtype[Any]
) -> Array | None:
    """The target as a kernel can write it, or None where the result must be copied to it."""
    computed = _computed(number)
    if target.dtype != number or not _is_same(number, computed) or not target.flags.aligned:
        return None
    if any(np.may_share_memory(target, x) for x in inputs):
        return None
    has_rows, has_columns = kept
    matrices = target if has_columns else target[..., np.newaxis]
    matrices = matrices if has_rows else matrices[..., np.newaxis, :]
    sides = list(zip(matrices.shape, matrices.strides, strict=True))
    if not any(size == 1 or stride == computed.itemsize for size, stride in sides[-2:]):
        return None
    real = _real_size(computed)
    if any(size > 1 and (stride == 0 or stride % real) for size, stride in sides):
        return None
    return matrices.view(computed)


def _real_size(computed: np.dtype[Any]) -> int:
    """Bytes of a number, or of a part of a complex one."""
    return computed.itemsize // 2 if computed.kind == "c" else computed.itemsize
