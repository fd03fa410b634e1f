"""Columns of frames and of Arrow's data as arrays of numbers: their names, types and nulls.

No library of frames is imported: an object that is one's brings it along.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Batches and files of a dataset that are read ahead: by default 16 and 4, some gigabytes.
_READAHEAD = 1
#: Arrow's names of the types that NumPy computes with.
_ARROW_NUMBERS = frozenset(
    ["bool", "halffloat", "float", "double"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
#: Whose frames are taken.
_LIBRARIES = ("pyarrow", "pandas", "polars")
#: What Arrow's data, but for arrays of it, tell of their columns.
_SCHEMAS = ("schema", "projected_schema")


class Columns:
    """Frames that come one after the other, each as an array of what its columns hold.

    Attributes
    ----------
    names : list, or None
        Once a frame came.

    Raises
    ------
    TypeError, ValueError
        Of the methods: a column that does not hold numbers, or nulls; other names than before.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.names: list[Hashable] | None = None

    def of_arrow(self, batch: Any) -> Array:
        """Of a batch, or of a table."""
        columns = [_decoded(column) for column in batch.columns]
        kinds = [column.type for column in columns]
        texts = {kind: str(kind) for kind in set(kinds)}
        is_decimal = {kind: text.startswith("decimal") for kind, text in texts.items()}
        is_number = {kind: texts[kind] in _ARROW_NUMBERS or is_decimal[kind] for kind in texts}
        names = batch.schema.names
        self._check(names, kinds, [is_number[kind] for kind in kinds])
        self._check_nulls(names, [column.null_count for column in columns])
        columns = [
            column.cast("float64") if is_decimal[kind] else column
            for column, kind in zip(columns, kinds, strict=True)
        ]
        arrays = [column.to_numpy(zero_copy_only=False) for column in columns]
        return _side_by_side(arrays, batch.num_rows)

    def of_pandas(self, frame: Any) -> Array:
        names, kinds = list(frame.columns), list(frame.dtypes)
        self._check(names, kinds, [_is_number(kind) for kind in kinds])
        if len(set(kinds)) == 1 and isinstance(kinds[0], np.dtype):
            return np.asarray(frame)
        columns = [frame.iloc[:, i] for i in range(len(names))]
        self._check_nulls(names, list(map(_nulls, columns)))
        return _side_by_side([x.to_numpy(_numpy_type(x.dtype)) for x in columns], len(frame))

    def of_series(self, x: Any) -> Array:
        """Of a Series of pandas, an Index, or an array of its own types."""
        self._check([None], [x.dtype], [_is_number(x.dtype)])
        self._check_nulls([None], [_nulls(x)])
        return np.asarray(x.to_numpy(_numpy_type(x.dtype)))

    def of_polars(self, frame: Any) -> Array:
        kinds = frame.dtypes
        is_number = [kind.is_numeric() or str(kind) == "Boolean" for kind in kinds]
        self._check(frame.columns, kinds, is_number)
        self._check_nulls(frame.columns, frame.null_count().row(0) if frame.columns else ())
        array = np.asarray(frame.to_numpy())
        return array.astype(np.float64) if array.dtype == object else array  # of decimals

    def _check(
        self, names: Sequence[Hashable], kinds: Sequence[Any], is_number: Sequence[bool]
    ) -> None:
        if not all(is_number):
            wrong = list(is_number).index(False)
            raise TypeError(
                f"{self._name}: expected columns of numbers, got {kinds[wrong]}"
                f"{_in_column(names[wrong])}"
            )
        same_columns(self._name, self.names, names)
        self.names = list(names)

    def _check_nulls(self, names: Sequence[Hashable], counts: Sequence[int]) -> None:
        if any(counts):
            wrong = [count > 0 for count in counts].index(True)
            raise ValueError(
                f"{self._name}: expected no nulls, got {counts[wrong]}{_in_column(names[wrong])}"
            )


def _in_column(name: Hashable) -> str:
    """Where that is, unless the column has no name."""
    return "" if name is None or name == "" else f" in column {name!r}"


def _is_number(kind: Any) -> bool:
    """Whether a type of pandas is one of numbers, decimals, or categories that are numbers."""
    if hasattr(kind, "categories"):
        return _is_number(kind.categories.dtype)
    return kind.kind in "biufc" or str(getattr(kind, "pyarrow_dtype", "")).startswith("decimal")


def _nulls(column: Any) -> int:
    """How many nulls a column of pandas has, unless its type is NumPy's: NaN is a number."""
    return 0 if isinstance(column.dtype, np.dtype) else int(column.isna().sum())


def _numpy_type(kind: Any) -> np.dtype[Any]:
    """What a type of pandas is in NumPy; float64 for those that it has not."""
    if isinstance(kind, np.dtype):
        return kind
    if hasattr(kind, "categories"):
        return _numpy_type(kind.categories.dtype)
    found: np.dtype[Any] = getattr(kind, "numpy_dtype", np.dtype(np.float64))
    return found if found.kind in "biufc" else np.dtype(np.float64)


def whole(name: str, x: Any) -> Array | None:
    """All numbers of a frame, a table or a column of these libraries; None of anything else."""
    owner = library(x)
    if owner == "pandas":
        return _of_pandas(name, x)
    if owner == "polars":
        return _of_polars(name, x)
    if owner == "pyarrow" and is_table(x):
        return Columns(name).of_arrow(x)
    if owner == "pyarrow" and hasattr(x, "null_count"):  # an Array or ChunkedArray
        return Columns(name).of_arrow(sys.modules["pyarrow"].table({"": x}))[:, 0]
    return None


def _of_pandas(name: str, x: Any) -> Array | None:
    if is_frame(x):
        found = np.asarray(x) if _is_numpys(x) else None
        is_number = found is not None and found.dtype.kind in "biufc"
        return found if is_number else Columns(name).of_pandas(x)
    if isinstance(getattr(x, "dtype", None), np.dtype) or not hasattr(x, "isna"):
        return None
    return Columns(name).of_series(x)


def _is_numpys(frame: Any) -> bool:
    """Whether NumPy makes numbers of numbers; of bool beside others it makes objects."""
    kinds = set(map(type, frame.dtypes.tolist()))
    is_mixed = len(kinds) > 1 and np.dtypes.BoolDType in kinds
    return not is_mixed and all(issubclass(kind, np.dtype) for kind in kinds)


def _of_polars(name: str, x: Any) -> Array | None:
    """Numbers of a frame, or of a Series, whose elements may be arrays of them."""
    if not hasattr(x, "to_frame"):
        return Columns(name).of_polars(x) if is_frame(x) else None
    shape, flat = getattr(x.dtype, "shape", ()), x
    for _ in shape:
        flat = flat.explode()
    return Columns(name).of_polars(flat.to_frame())[:, 0].reshape(len(x), *shape)


def _decoded(column: Any) -> Any:
    """A column of Arrow whose numbers are no indices into a dictionary."""
    kind = column.type
    return column.cast(kind.value_type) if hasattr(kind, "index_type") else column


def same_columns(
    name: str, before: Sequence[Hashable] | None, names: Sequence[Hashable] | None
) -> None:
    """Refuse names of as many columns as before that are others, where both have names."""
    if before is None or names is None or len(before) != len(names):
        return
    for old, new in zip(before, names, strict=True):
        if old != new:
            raise ValueError(
                f"{name}: expected the columns of the rows before, got {new!r} instead of {old!r}"
            )


def feature_names(name: str, names: Sequence[Hashable] | None) -> list[str] | None:
    """What scikit-learn takes for names of features: those of columns, if all are strings."""
    kinds = {type(column) for column in names or ()}
    if str in kinds and len(kinds) > 1:
        found = ", ".join(sorted(kind.__qualname__ for kind in kinds))
        raise TypeError(
            f"{name}: expected columns whose names are all strings, or none of them, got {found} "
            "(Feature names are only supported if all input features have string names)"
        )
    if str not in kinds or names is None:
        return None
    if len(set(names)) < len(names):
        twice = next(column for i, column in enumerate(names) if column in names[:i])
        raise ValueError(f"{name}: expected columns of different names, got {twice!r} twice")
    return [str(column) for column in names]


def names_of(name: str, x: Any) -> list[str] | None:
    """Names of features, if x is a frame whose columns have them."""
    is_frame = library(x) in ("pandas", "polars") and hasattr(x, "columns")
    return feature_names(name, list(x.columns)) if is_frame else None


def library(x: Any) -> str:
    """Whose the object is, of the libraries of frames."""
    kind: Any = type(x)  # Hashable to mypy
    return _library_of(kind)


@lru_cache(256)
def _library_of(kind: Any) -> str:
    names = [str(base.__module__).partition(".")[0] for base in kind.__mro__]
    return next((name for name in names if name in _LIBRARIES), "")


def is_arrow(x: Any) -> bool:
    """Whether rows come in Arrow's batches: of pyarrow, or of what gives no array but a stream."""
    if library(x) == "pyarrow":
        return any(hasattr(x, schema) for schema in _SCHEMAS)
    return hasattr(x, "__arrow_c_stream__") and not hasattr(x, "__array__")


def is_table(x: Any) -> bool:
    """Whether this is a Table or RecordBatch of pyarrow, whose rows are there all at once."""
    return is_arrow(x) and hasattr(x, "num_rows")


def is_frame(x: Any) -> bool:
    """Whether this has rows of columns: a frame of pandas or polars, or Arrow's data."""
    if library(x) == "pandas":
        return hasattr(x, "iloc") and hasattr(x, "columns")
    return is_arrow(x) or (library(x) == "polars" and hasattr(x, "iter_slices"))


def record_batches(name: str, x: Any, numbers: int) -> Iterator[Any]:
    """Batches of Arrow's tables, batches, readers, datasets and files.

    Those that are cut here have about so many numbers.
    """
    if library(x) != "pyarrow":
        from fastmml.graph.convert import import_pyarrow

        x = import_pyarrow("reading streams of Arrow").RecordBatchReader.from_stream(x)
    if hasattr(x, "get_batch"):  # RecordBatchFileReader
        return (x.get_batch(i) for i in range(x.num_record_batches))
    size = max(numbers // max(len(_schema(x)), 1), 1)
    if hasattr(x, "iter_batches"):  # ParquetFile
        whole: Iterable[Any] = x.iter_batches(batch_size=size)
    elif hasattr(x, "get_fragments"):  # Dataset
        whole = x.to_batches(
            batch_size=size, batch_readahead=_READAHEAD, fragment_readahead=_READAHEAD
        )
    elif hasattr(x, "to_batches"):  # Table, Scanner
        whole = x.to_batches()
    elif hasattr(x, "num_rows"):  # RecordBatch
        whole = (x,)
    elif isinstance(x, Iterable):  # RecordBatchReader
        whole = x
    else:
        raise TypeError(
            f"{name}: expected a table, batch, reader, Dataset, Scanner or ParquetFile of pyarrow, "
            f"got {type(x).__name__}"
        )
    return iter(whole)


def _schema(x: Any) -> Any:
    return next(getattr(x, schema) for schema in _SCHEMAS if hasattr(x, schema))


def _side_by_side(columns: list[Array], rows: int) -> Array:
    """Columns of numbers as one array, each of them contiguous."""
    dtype = np.result_type(*columns) if columns else np.float64
    found = np.empty((rows, len(columns)), dtype, order="F")
    for i, column in enumerate(columns):
        found[:, i] = column
    return found
