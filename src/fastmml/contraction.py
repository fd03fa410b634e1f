"""The Einstein summation convention: `einsum`, contracted pair by pair with our matrix products.

opt_einsum finds the order of the pairs, and has each of them contracted by `fastmml._pairs`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastmml import _check

Array = NDArray[Any]


def einsum(
    subscripts: Any,
    *operands: Any,
    out: Array | None = None,
    dtype: DTypeLike | None = None,
    optimize: bool | str | list[tuple[int, ...]] = True,
) -> Any:
    """Evaluate the Einstein summation convention on arrays, as `numpy.einsum` defines it.

    Parameters
    ----------
    subscripts : str
        Labels of the dimensions of each operand, and of the result behind ``->``; without an
        arrow the result has the labels that occur once, in the order of the alphabet. An ellipsis
        stands for dimensions that broadcast. Operands and lists of their labels in turns are
        taken, too: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    *operands : array_like
        Real, complex, integer or bool arrays.
    out : ndarray, optional
        Where the result goes.
    dtype : dtype, optional
        What is computed with, by default the type that all operands promote to.
    optimize : bool, str or path, optional
        The order of contraction: True for one that opt_einsum finds within a millisecond, False
        from left to right, or a name or path that `opt_einsum.contract` takes.

    Returns
    -------
    ndarray or scalar
        ``out`` if it was given.

    Raises
    ------
    ValueError
        Labels that do not fit the operands or each other; an ``out`` of another shape; masked
        numbers.
    TypeError
        A dtype that `matmul` does not compute with, or that cannot be cast to ("same_kind").

    Notes
    -----
    Each pair of operands is one call of `matmul`: dimensions of both that the result has, too, are
    a stack, those that it has not are summed. Cost: that of the products, and copies of operands
    whose dimensions do not lie in that order. Errors of a pair are those of `matmul`.

    The order is found by opt_einsum (D. Smith, J. Gray, Journal of Open Source Software 3, 2018).

    Examples
    --------
    >>> import numpy as np, fastmml as fm
    >>> a, b = np.arange(6.0).reshape(2, 3), np.ones((3, 2))
    >>> fm.einsum("ij,jk->ik", a, b)
    array([[ 3.,  3.],
           [12., 12.]])
    >>> fm.einsum("ij,ji", a, b)  # the trace of the product
    np.float64(15.0)
    """
    import opt_einsum

    given = _with_arrays(subscripts, operands)
    labels, result, arrays = opt_einsum.parser.parse_einsum_input(given)
    if dtype is None:
        types = [_check.number_type("operands", array.dtype) for array in arrays]
        number = np.result_type(*types)
    else:
        number = _check.number_type("dtype", np.dtype(dtype))
    for array in arrays:
        _check.castable("operands", array.dtype, number)
    found = opt_einsum.contract(
        f"{labels}->{result}",
        *(array.astype(number, copy=False) for array in arrays),
        optimize=_from_left(len(arrays)) if optimize is False else optimize,
        use_blas=False,
        backend="fastmml._pairs",
    )
    if out is None:
        return found if np.ndim(found) else found[()]
    target = _check.output(out, (), np.shape(found), number)
    target[...] = found
    return target


def _with_arrays(subscripts: Any, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with operands as arrays, which may have lists of their labels in between."""
    if isinstance(subscripts, str):
        return subscripts, *(_check.numbers("operands", x) for x in operands)
    given = [subscripts, *operands]
    pairs = len(given) // 2
    given[: 2 * pairs : 2] = [_check.numbers("operands", x) for x in given[: 2 * pairs : 2]]
    return tuple(given)


def _from_left(operands: int) -> bool | list[tuple[int, ...]]:
    """The path of pairs in the given order."""
    return True if operands == 1 else [(0, 1)] * (operands - 1)
