"""Names of nodes: from any sequence to one NumPy array, and back from a name to its id."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._frames import library

STRING = np.dtypes.StringDType()
#: Bytes below this one are characters of their own.
_ASCII = 0x80
#: Bytes of text that are decoded at once to check them.
_CHECKED_BYTES = 1 << 24
#: Up to so many names are looked for in the text; for more, a dictionary of all is made.
_SOUGHT = 16


def as_labels(labels: Sequence[Hashable] | NDArray[Any]) -> NDArray[Any]:
    """Copy labels into an array of int64, of strings, or of objects; refuse repeated ones."""
    values = _listed(labels)
    try:
        distinct = len(set(values))
    except TypeError as error:
        raise TypeError(f"labels: expected hashable labels: {error}") from None
    if distinct != len(values):
        raise ValueError("labels: expected distinct labels, got repeated ones")
    if all(type(value) is int for value in values) and _fits_int64(values):
        return np.array(values, np.int64)
    if all(isinstance(value, str) for value in values):
        return np.array(values, STRING)
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _listed(labels: Any) -> list[Any]:
    """Labels as Python's objects; refuse what is not one dimension of them."""
    _check.unmasked("labels", labels)
    if hasattr(labels, "to_pylist"):  # an array of pyarrow, whose elements are no strings
        return list(labels.to_pylist())
    if library(labels) == "pandas" and not hasattr(labels, "to_list") and labels.ndim == 1:
        labels = sys.modules["pandas"].Series(labels)  # an array, of which NumPy makes others
    if hasattr(labels, "__array__") and not hasattr(labels, "to_list"):  # no Series
        labels = np.asarray(labels)
        if labels.ndim != 1:
            raise ValueError(f"labels: expected a 1-d array, got {labels.ndim} dimensions")
        return list(labels.tolist())
    if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
        raise TypeError(f"labels: expected a sequence of labels, got {type(labels).__name__}")
    return list(labels)


def _fits_int64(values: list[int]) -> bool:
    limit = 2**63
    return all(-limit <= value < limit for value in values)


def from_utf8(offsets: NDArray[np.int64], letters: NDArray[np.uint8]) -> NDArray[Any]:
    """Decode strings that stand end to end."""
    text = letters.tobytes()
    bounds = offsets.tolist()
    try:
        words = [text[a:b].decode() for a, b in pairwise(bounds)]
    except UnicodeDecodeError as error:
        raise ValueError(f"labels: expected UTF-8 text, got {error.object!r}") from None
    return np.array(words, STRING)


def _check_utf8(offsets: NDArray[np.int64], letters: NDArray[np.uint8]) -> None:
    """Refuse strings that do not stand end to end, text that is not UTF-8, characters cut apart."""
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != len(letters) or (lengths < 0).any():
        raise ValueError("labels: expected strings end to end, from the first byte to the last")
    if not len(letters) or letters.max() < _ASCII:
        return
    starts = offsets[:-1][lengths > 0]
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for first in range(0, len(letters), _CHECKED_BYTES):
            decoder.decode(letters[first : first + _CHECKED_BYTES].data)
        decoder.decode(b"", final=True)
        is_sound = not (letters[starts] & 0xC0 == 0x80).any()
    except UnicodeDecodeError:
        is_sound = False
    if not is_sound:
        from_utf8(offsets, letters)


def to_utf8(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Encode string labels end to end; the inverse of `from_utf8`."""
    words = [word.encode() for word in labels.tolist()]
    offsets = np.zeros(len(words) + 1, np.int64)
    np.cumsum([len(word) for word in words], out=offsets[1:])
    return offsets, np.frombuffer(b"".join(words), np.uint8)


def _find(label: Hashable, offsets: NDArray[np.int64], letters: NDArray[np.uint8]) -> int:
    """Id of one string, found without an object for each node."""
    if not isinstance(label, str):
        raise KeyError(label)
    name = label.encode("utf-8", "surrogatepass")
    if not name:
        empty = np.flatnonzero(np.diff(offsets) == 0)
        if len(empty):
            return int(empty[0])
        raise KeyError(label)
    # A lookahead finds names that overlap.
    for match in re.finditer(b"(?=" + re.escape(name) + b")", letters.data):
        node = int(np.searchsorted(offsets, match.start(), side="right")) - 1
        if offsets[node] == match.start() and offsets[node + 1] - offsets[node] == len(name):
            return node
    raise KeyError(label)


class Labels:
    """The labels of a graph, or the absence of them, when ids are the names."""

    __slots__ = ("_index", "_text", "_values", "num_nodes")

    def __init__(self, values: NDArray[Any] | None, num_nodes: int) -> None:
        if values is not None:
            values.flags.writeable = False
        self._values = values
        self._text: tuple[NDArray[np.int64], NDArray[np.uint8]] | None = None
        self.num_nodes = num_nodes
        self._index: dict[Hashable, int] | None = None

    @classmethod
    def in_utf8(cls, offsets: NDArray[np.int64], letters: NDArray[np.uint8]) -> Labels:
        """Keep strings that stand end to end as they are; making objects of all takes long."""
        _check_utf8(offsets, letters)
        labels = cls(None, len(offsets) - 1)
        labels._text = offsets, letters
        return labels

    @property
    def values(self) -> NDArray[Any] | None:
        """All labels; text is decoded at the first use, by two threads at once to the same."""
        text = self._text
        if text is not None:
            values = from_utf8(*text)
            values.flags.writeable = False
            self._values, self._text = values, None
        return self._values

    @property
    def kind(self) -> str:
        """Name the type of the labels."""
        if self._text is not None:
            return "str"
        if self._values is None:
            return "none"
        return {"i": "int", "T": "str"}.get(self._values.dtype.kind, "object")

    def at(self, ids: NDArray[np.integer[Any]]) -> list[Any]:
        """Labels of these nodes, as Python objects."""
        text = self._text
        if text is not None and 4 * len(ids) < self.num_nodes:
            offsets, letters = text
            bounds = zip(offsets[ids].tolist(), offsets[ids + 1].tolist(), strict=True)
            return [str(letters[a:b].data, "utf-8") for a, b in bounds]
        names: list[Any] = (ids if self.values is None else self.values[ids]).tolist()
        return names

    def ids(self, labels: Iterable[Hashable]) -> NDArray[np.int64]:
        """Ids of these labels; KeyError for one that no node has."""
        wanted = list(labels)
        text = self._text
        if text is not None and self._index is None and len(wanted) <= _SOUGHT:
            return np.array([_find(label, *text) for label in wanted], np.int64)
        return np.array([self._id(label) for label in wanted], np.int64)

    def in_text(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Offsets of the strings, and the strings end to end; only text has them."""
        if self._text is not None:
            return self._text
        assert self._values is not None
        return to_utf8(self._values)

    def _id(self, label: Hashable) -> int:
        if self.kind != "none":
            return self._lookup()[label]
        if isinstance(label, (int, np.integer)) and 0 <= label < self.num_nodes:
            return int(label)
        raise KeyError(label)

    def _lookup(self) -> dict[Hashable, int]:
        """Make the dictionary at its first use; two threads at once make the same one."""
        if self._index is None:
            values = self.values
            assert values is not None
            self._index = {label: i for i, label in enumerate(values.tolist())}
        return self._index
