"""Validation of arguments: the only place for its messages."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmml._backend import as_int
from fastmml._frames import is_frame, whole

#: Node ids are 32-bit.
MAX_NODES = 2**32
#: Numbers of which lists mask none.
_PLAIN = frozenset([bool, int, float, complex])


def integer(name: str, value: Any) -> int:
    """Return an int of whatever stands for one, but of a truth value."""
    number = as_int(value)
    if number is None:
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    return number


def int_up_to(name: str, value: Any, most: int, limit: str = "") -> int:
    """Return an int in [0, most]; ``limit`` tells what that is."""
    number = integer(name, value)
    if not 0 <= number <= most:
        raise ValueError(f"{name}: expected 0 to {limit or most}, got {number}")
    return number


def node_count(name: str, value: Any) -> int:
    """Return an int in [0, 2**32]."""
    return int_up_to(name, value, MAX_NODES, "2**32 (node ids are 32-bit)")


def node_ids(name: str, values: ArrayLike, num_nodes: int | None = None) -> NDArray[Any]:
    """Return a 1-d integer array, every value in [0, num_nodes) or [0, 2**32)."""
    ids = numbers(name, values)
    if ids.ndim != 1:
        raise ValueError(f"{name}: expected a 1-d array, got {ids.ndim} dimensions")
    if ids.size == 0:
        return ids.astype(np.uint32)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer node ids, got dtype {ids.dtype}")
    low, high = int(ids.min()), int(ids.max())
    limit = MAX_NODES if num_nodes is None else num_nodes
    if low < 0 or high >= limit:
        wrong = low if low < 0 else high
        bound = "2**32 (node ids are 32-bit)" if limit == MAX_NODES else f"num_nodes = {limit}"
        raise ValueError(f"{name}: expected ids from 0 to below {bound}, got {wrong}")
    return ids


def same_length(name: str, values: NDArray[Any], other: str, length: int) -> None:
    """Check that two parallel arrays have one dimension, and as many values."""
    if values.ndim != 1:
        raise ValueError(f"{name}: expected a 1-d array, got {values.ndim} dimensions")
    if len(values) != length:
        raise ValueError(f"{name}: expected {length} values, as many as {other}, got {len(values)}")


def nonnegative(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a contiguous float64 array of finite values of at least 0."""
    array = numbers(name, values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if array.size and not (array.min() >= 0 and array.max() < math.inf):
        wrong = _first(~((array >= 0) & (array < math.inf)))
        raise ValueError(
            f"{name}: expected finite values of at least 0, got {array[wrong]} {_place(wrong)}"
        )
    return array


def real(name: str, value: Any) -> float:
    """Return a float that is not NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if math.isnan(value):
        raise ValueError(f"{name}: expected a number, got NaN")
    return float(value)


def damping(value: Any) -> float:
    """Return a damping factor in [0, 1)."""
    factor = real("damping", value)
    if not 0 <= factor < 1:
        raise ValueError(f"damping: expected 0 <= damping < 1, got {value}")
    return factor


def positive(name: str, value: Any) -> float:
    """Return a float above 0."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"{name}: expected a positive number, got {value}")
    return number


def at_least_zero(name: str, value: Any) -> float:
    """Return a finite float of at least 0."""
    number = real(name, value)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, got {value}")
    return number


def rcond(value: Any) -> float | None:
    """Return None or a float that is not NaN; NumPy takes anything that is one number."""
    return None if value is None else real("rcond", float(value))


def positive_int(name: str, value: Any) -> int:
    """Return an int of at least 1."""
    number = integer(name, value)
    if number < 1:
        raise ValueError(f"{name}: expected at least 1, got {number}")
    return number


def number_type(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype that matrix products compute with, in native byte order."""
    is_known = dtype.kind in "biufc" and dtype.char not in "gG"
    if not is_known and dtype.name != "bfloat16":
        raise TypeError(
            f"{name}: expected bool, integers of at most 64 bits, float16, bfloat16, float32, "
            f"float64, complex64 or complex128, got dtype {dtype}"
        )
    return dtype.newbyteorder("=")


def numbers(name: str, values: Any, accepted: str = "an array") -> NDArray[Any]:
    """Return an array; refuse masked numbers, nulls, and what NumPy makes one object of.

    Nullable numbers of frames are of NumPy's type of that name, decimals of float64.
    """
    array = _unchecked(name, values)
    if array.dtype.kind == "O" and array.ndim == 0:
        raise TypeError(f"{name}: expected {accepted}, got {_described(values)}")
    return array


def _unchecked(name: str, values: Any) -> NDArray[Any]:
    """Return an array of any type and shape, of what is whole."""
    unmasked(name, values)
    found = whole(name, values)
    return np.asarray(values) if found is None else found


def weights(name: str, values: Any) -> NDArray[Any]:
    """Return an array, or a number as one; decimals, fractions and large integers as float64."""
    array = _unchecked(name, values)
    if array.dtype.kind != "O":
        return array
    try:
        if any(isinstance(value, (str, bytes)) for value in array.flat):
            raise TypeError("text")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        kind = "dtype object" if array.ndim else _described(values)
        raise TypeError(f"{name}: expected a number or an array of them, got {kind}") from None


#: What makes an array of an object that has this.
_WAYS = {
    "toarray": "toarray()",
    "collect": "collect()",
    "read_all": "read_all()",
    "__dlpack__": "numpy.from_dlpack()",
    "__next__": "list()",
}


def _described(values: Any) -> str:
    """What an object is that is no array, and what makes one of it."""
    kind = type(values)
    way = next((call for has, call in _WAYS.items() if hasattr(kind, has)), None)
    return kind.__name__ if way is None else f"{kind.__name__}: {way} makes one"


def for_lapack(name: str, values: Any) -> Any:
    """Return what `numpy.linalg` takes: an array, or what its own library may answer for.

    Refuses what NumPy has other messages for, or converts: text, dates, what is no array.
    """
    if type(values) is not np.ndarray:
        if hasattr(values, "__array_wrap__") or hasattr(values, "__array_function__"):
            unmasked(name, values)
        else:
            values = numbers(name, values)
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and (dtype.kind in "mMSUT" or issubclass(dtype.type, np.void)):
        raise _not_factorisable(name, dtype)
    return values


def factorisable(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return an array of a dtype that LAPACK has; whole numbers become float64."""
    array = numbers(name, values)
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    if array.dtype.char not in "fdFD":
        raise _not_factorisable(name, array.dtype)
    return array


def _not_factorisable(name: str, dtype: np.dtype[Any]) -> TypeError:
    return TypeError(
        f"{name}: expected whole numbers, float32, float64, complex64 or complex128, "
        f"got dtype {dtype}"
    )


def observations(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return a float64 or float32 array of two dimensions, with a row and a column at least."""
    array = numbers(name, values)
    if array.dtype.kind == "c":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if array.dtype.char not in "fd":
        array = array.astype(np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{name}: expected shape (m, n) with at least one row and column, got {array.shape}"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def sparse_observations(name: str, values: Any) -> Any:
    """Return compressed rows or columns of float64 or float32, with a row and a column at least."""
    if values.dtype.kind not in "biuf" or values.dtype.char == "g":
        raise TypeError(f"{name}: expected real numbers, got dtype {values.dtype}")
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(
            f"{name}: expected shape (m, n) with at least one row and column, got {values.shape}"
        )
    rows = values if values.format in ("csr", "csc") else values.tocsr()
    return rows if rows.dtype.char in "fd" else rows.astype(np.float64)


def compressed(name: str, values: Any) -> None:
    """Refuse compressed rows or columns whose pointers or indices lead out of them.

    SciPy makes compressed rows of other formats.
    """
    if values.format not in ("csr", "csc"):
        return
    outer, inner = values.shape if values.format == "csr" else values.shape[::-1]
    starts, indices = values.indptr, values.indices
    is_sound = len(starts) == outer + 1 and starts[0] == 0 and bool((np.diff(starts) >= 0).all())
    is_sound = is_sound and starts[-1] <= min(len(indices), len(values.data))
    used = indices[: starts[-1]] if is_sound else indices[:0]
    if not is_sound or (len(used) and not 0 <= used.min() <= used.max() < min(inner, 1 << 32)):
        raise ValueError(f"{name}: expected row pointers that rise, and indices within the shape")


def real_numbers(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return an array of any real type of `number_type`."""
    array = numbers(name, values)
    if number_type(name, array.dtype).kind == "c":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    return array


def real_rows(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return a real array of two dimensions and a column at least, of any type of `number_type`."""
    array = real_numbers(name, values)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(
            f"{name}: expected shape (m, n), observations in rows, with at least one column, "
            f"got {array.shape}"
        )
    return array


def no_text(name: str, values: Any) -> None:
    """Refuse text, dates and durations, of which scikit-learn makes numbers."""
    if isinstance(values, (list, tuple)):
        values = np.asarray(values)
    has_columns = is_frame(values) and hasattr(values, "dtypes")
    for kind in values.dtypes if has_columns else (getattr(values, "dtype", None),):
        is_text = str(kind).lower().startswith(("str", "date", "time", "duration"))
        if is_text or (isinstance(kind, np.dtype) and kind.kind in "USTmM"):
            raise TypeError(f"{name}: expected numbers, got dtype {kind}")


def per_row(
    name: str, values: ArrayLike, rows: int, is_positive: bool = False
) -> NDArray[np.float64]:
    """Return (rows,) finite numbers of at least, or above, 0; one number stands for all."""
    array = weights(name, values)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64, copy=False)
    array = np.full(rows, array) if array.ndim == 0 else array
    if array.shape != (rows,):
        raise ValueError(f"{name}: expected a number or shape ({rows},), got {array.shape}")
    least = array.min(initial=1)
    if not (least > 0 if is_positive else least >= 0) or not array.max(initial=0) < math.inf:
        limit = "above" if is_positive else "of at least"
        wrong = _first(~((array > 0 if is_positive else array >= 0) & (array < math.inf)))
        raise ValueError(
            f"{name}: expected finite numbers {limit} 0, got {array[wrong]} {_place(wrong)}"
        )
    return array


def unmasked(name: str, values: Any) -> None:
    """Refuse masked numbers, also within lists and tuples, which `numpy.asarray` would uncover."""
    if type(values) is np.ndarray or "numpy.ma" not in sys.modules:
        return
    if count := _masked(values):
        raise ValueError(
            f"{name}: expected no masked numbers, got {count}: fill them, or leave their rows out"
        )


def _masked(values: Any) -> int:
    """How many numbers are masked."""
    if not isinstance(values, (list, tuple)):
        is_masked = isinstance(values, np.ma.MaskedArray)
        return int(np.count_nonzero(values.mask)) if is_masked else 0
    kinds = set(map(type, values))
    if kinds <= _PLAIN:
        return 0
    within = (list, tuple, np.ma.MaskedArray)
    return sum(map(_masked, values)) if any(issubclass(kind, within) for kind in kinds) else 0


def as_many(name: str, weights: NDArray[Any] | None, rows: int) -> None:
    """Check that there is a weight for each row, or one for all, or none."""
    if weights is not None and weights.ndim > 0 and len(weights) != rows:
        raise ValueError(f"{name}: expected a number or shape ({rows},), got {weights.shape}")


def is_finite(values: NDArray[Any]) -> bool:
    """Whether no element is NaN or infinite."""
    return _first_not_finite(values) is None


def finite(name: str, values: Any, first_row: int = 0) -> None:
    """Check that no element of an array, or entry of a compressed matrix, is NaN or infinite.

    ``first_row`` is the number of the first row, where the array is a part of another one.
    """
    entries = values.data if hasattr(values, "indptr") else values
    place = _first_not_finite(entries)
    if place is None:
        return
    found = "NaN" if np.isnan(entries[place]) else "infinity"
    if entries is not values:
        place = _row_and_column(values, place[0])
    where = _place((first_row + place[0], *place[1:]))
    raise ValueError(f"{name}: expected finite numbers, got {found} {where}")


def _first_not_finite(values: NDArray[Any]) -> tuple[int, ...] | None:
    """Where the first element is that is NaN or infinite; looked for in some rows at a time."""
    step = 1 << 16
    for start in range(0, len(values), step):
        is_good = np.isfinite(values[start : start + step])
        if not is_good.all():
            row, *others = _first(~is_good)
            return start + row, *others
    return None


def _first(is_wrong: NDArray[Any]) -> tuple[int, ...]:
    """Index of the first True."""
    return tuple(int(i) for i in np.unravel_index(is_wrong.argmax(), is_wrong.shape))


def _row_and_column(matrix: Any, entry: int) -> tuple[int, int]:
    """Where an entry of compressed rows or columns is."""
    outer = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
    inner = int(matrix.indices[entry])
    return (outer, inner) if matrix.format == "csr" else (inner, outer)


def _place(index: tuple[int, ...]) -> str:
    if len(index) == 2:
        return f"in row {index[0]}, column {index[1]}"
    return f"at index {index[0] if len(index) == 1 else index}"


def is_readable(x: NDArray[Any], unit: int = 0) -> bool:
    """Whether kernels can read an array as it lies: strides in whole numbers of ``unit`` bytes.

    By default those of an element.
    """
    size = unit or x.itemsize
    return x.flags.aligned and x.dtype.isnative and not any(stride % size for stride in x.strides)


def readable(x: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy that kernels can read."""
    return x if is_readable(x) else x.astype(x.dtype.newbyteorder("="))


def finite_matrix(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return a 2-d float32 or float64 array of finite numbers, aligned, in native byte order.

    float16 and float32 become float32, all others float64; strides stay.
    """
    array = numbers(name, values)
    if array.dtype.kind not in "biuf" or array.dtype.char == "g":
        raise TypeError(
            f"{name}: expected bool, integers, float16, float32 or float64, got dtype {array.dtype}"
        )
    if array.ndim != 2:
        raise ValueError(f"{name}: expected 2 dimensions, got {array.ndim}")
    is_single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    array = array.astype(np.float32 if is_single else np.float64, copy=False)
    if not is_readable(array):
        array = array.copy()
    with np.errstate(all="ignore"):  # a sum is faster than a look at every number
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):
        finite(name, array)
    return array


def castable(name: str, dtype: np.dtype[Any], number: np.dtype[Any]) -> None:
    """Check that elements may be cast to what is computed with."""
    if not np.can_cast(dtype, number, "same_kind"):
        raise TypeError(f"{name}: expected a dtype that casts to {number}, got {dtype}")


def at_least_1d(name: str, values: NDArray[Any]) -> None:
    """Check that an array is no scalar."""
    if values.ndim == 0:
        raise ValueError(f"{name}: expected at least 1 dimension, got a scalar")


def stack_of_products(a: NDArray[Any], b: NDArray[Any]) -> tuple[int, ...]:
    """Return the shape of the stack of the products of two stacks of matrices."""
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"b: expected {a.shape[-1]} rows, as many as a has columns, got {b.shape[-2]} "
            f"(matrices of shapes {a.shape} and {b.shape})"
        )
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            "b: expected a stack of matrices that broadcasts with that of a, got shapes "
            f"{a.shape} and {b.shape}"
        ) from None


def output(
    out: Any, stack: tuple[int, ...], core: tuple[int, ...], number: np.dtype[Any]
) -> NDArray[Any]:
    """Return the array of an ``out`` argument that takes results of this shape.

    Its stack may be larger: then results are repeated.
    """
    array = _target("out", out[0] if isinstance(out, tuple) and len(out) == 1 else out, number)
    own = array.ndim - len(core)
    if own < len(stack) or array.shape[own:] != core or not _broadcasts(stack, array.shape[:own]):
        raise ValueError(
            f"out: expected shape {stack + core}, or more of these, got {array.shape} "
            "(non-broadcastable)"
        )
    return array


def factors(
    out: Any, shapes: tuple[tuple[int, ...], ...], number: np.dtype[Any]
) -> tuple[NDArray[Any], ...]:
    """Return the arrays of an ``out`` argument that take results of exactly these shapes."""
    arrays = out if isinstance(out, tuple) else (out,)
    if len(arrays) != len(shapes):
        raise TypeError(f"out: expected {len(shapes)} arrays in a tuple, got {len(arrays)}")
    for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        name = f"out[{i}]" if len(shapes) > 1 else "out"
        _target(name, array, number)
        if array.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    if len(arrays) == 2 and np.shares_memory(*arrays):
        raise ValueError("out: expected arrays that share no memory")
    return arrays


def _target(name: str, array: Any, number: np.dtype[Any]) -> NDArray[Any]:
    """Check that an array takes results of this dtype."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected an array, got {type(array).__name__}")
    if not array.flags.writeable:
        raise ValueError(f"{name}: expected a writeable array, got a read-only one")
    if not np.can_cast(number, array.dtype, "same_kind"):
        raise TypeError(f"{name}: expected a dtype that {number} casts to, got {array.dtype}")
    return array


def _broadcasts(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        return False
