"""fastmml's own form of a graph: one file, mapped into memory, checked bit for bit.

Layout: 8 bytes of magic, the length of the header and its CRC-32 (two little-endian uint32), the
header (JSON, UTF-8), zeros up to a multiple of 64, then the arrays, each starting at a multiple of
64 with zeros between. The header names version, arrays (name, dtype, shape, offset) and the CRC-32
of every block of 16 MiB of all that follows it, so that each bit of the file is covered.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmml import _check
from fastmml._backend import get_num_threads
from fastmml._files import atomic_write
from fastmml.errors import GraphFormatError
from fastmml.graph.build import Rows
from fastmml.graph.graph import Graph
from fastmml.graph.labels import Labels

MAGIC = b"fastmml\x01"
VERSION = 1
_PREFIX = struct.Struct("<8sII")
_ALIGNMENT = 64
_BLOCK_BYTES = 1 << 24
_DTYPES = {
    "indptr": "<i8",
    "indices": "<u4",
    "weights": "<f8",
    "labels": "<i8",
    "label_offsets": "<i8",
    "label_bytes": "|u1",
}


def write(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the graph; the file appears under its name only when it is complete."""
    arrays = _arrays_of(graph)
    table, offset = [], 0
    for name, array in arrays.items():
        table.append({"name": name, "shape": list(array.shape), "offset": offset})
        offset += _padded(array.nbytes)
    body = [_bytes_of(array) for array in arrays.values()]
    header = {"version": VERSION, "arrays": table, "size": offset, "crc32": _write_crcs(body)}
    text = json.dumps(header, separators=(",", ":")).encode()
    with atomic_write(path) as file:
        file.write(_PREFIX.pack(MAGIC, len(text), zlib.crc32(text)))
        file.write(text)
        file.write(bytes(_padded(_PREFIX.size + len(text)) - _PREFIX.size - len(text)))
        for part in body:
            file.write(part)
            file.write(bytes(_padded(len(part)) - len(part)))


def _arrays_of(graph: Graph) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any] | None] = {
        "indptr": graph.indptr,
        "indices": graph.indices,
        "weights": graph.weights,
    }
    kind = graph._labels.kind
    if kind == "int":
        arrays["labels"] = graph.labels
    elif kind == "str":
        arrays["label_offsets"], arrays["label_bytes"] = graph._labels.in_text()
    elif kind != "none":
        raise TypeError("labels: only labels that are all integers or all strings can be saved")
    return {
        name: array.astype(_DTYPES[name], copy=False)
        for name, array in arrays.items()
        if array is not None
    }


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _write_crcs(body: Iterable[memoryview]) -> list[int]:
    """CRC-32 of every block of the padded body."""
    crcs, crc, room = [], 0, _BLOCK_BYTES
    for piece in _with_padding(body):
        at = 0
        while at < len(piece):
            part = piece[at : at + room]
            crc = zlib.crc32(part, crc)
            at, room = at + len(part), room - len(part)
            if room == 0:
                crcs.append(crc)
                crc, room = 0, _BLOCK_BYTES
    return crcs if room == _BLOCK_BYTES else [*crcs, crc]


def _with_padding(body: Iterable[memoryview]) -> Iterator[memoryview]:
    for part in body:
        yield part
        yield memoryview(bytes(_padded(len(part)) - len(part)))


def read(path: str | os.PathLike[str], *, verify: bool) -> Graph:
    """Map the graph into memory; ``verify`` reads it all once to check every bit."""
    try:
        with open(path, "rb") as file:
            header, start = _read_header(file.read(_PREFIX.size), file)
            if os.fstat(file.fileno()).st_size != start + header["size"]:
                raise GraphFormatError("the file is cut off, or longer than it was written")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if verify:
            _verify(memoryview(mapped)[start:], header["crc32"])
        arrays = {
            entry["name"]: _array(mapped, start, header["size"], entry)
            for entry in header["arrays"]
        }
        return _graph_of(arrays)
    except (GraphFormatError, KeyError, TypeError, ValueError) as error:
        raise GraphFormatError(f"{os.fspath(path)}: {error}") from error


def _read_header(prefix: bytes, file: Any) -> tuple[dict[str, Any], int]:
    if len(prefix) < _PREFIX.size or prefix[:7] != MAGIC[:7]:
        raise GraphFormatError("not a graph saved by fastmml")
    magic, length, crc = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise GraphFormatError(
            f"saved in version {magic[7]} of the form; this fastmml reads version {VERSION}"
        )
    size = _padded(_PREFIX.size + length)
    text = file.read(size - _PREFIX.size)
    if zlib.crc32(text[:length]) != crc or any(text[length:]):
        raise GraphFormatError("the header is damaged: its checksum is wrong")
    return json.loads(text[:length]), size


def _verify(body: memoryview, crcs: list[int]) -> None:
    starts = range(0, len(body), _BLOCK_BYTES)
    if len(starts) != len(crcs):
        raise GraphFormatError("the header is damaged: it has too few or too many checksums")
    for at, crc, expected in zip(starts, _crcs(body, starts), crcs, strict=True):
        if crc != expected:
            raise GraphFormatError(
                f"damaged: the checksum of bytes {at} and on of the arrays is wrong"
            )


def _crcs(body: memoryview, starts: range) -> list[int]:
    def crc(at: int) -> int:
        return zlib.crc32(body[at : at + _BLOCK_BYTES])

    if len(starts) <= 1:
        return [crc(at) for at in starts]
    with ThreadPoolExecutor(get_num_threads()) as pool:
        return list(pool.map(crc, starts))


def _array(mapped: mmap.mmap, start: int, size: int, entry: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(_DTYPES[entry["name"]])
    (count,) = entry["shape"]
    offset = entry["offset"]
    if offset % _ALIGNMENT or count < 0 or offset < 0 or offset + count * dtype.itemsize > size:
        raise GraphFormatError(f"array {entry['name']!r} does not lie within the file")
    return np.frombuffer(mapped, dtype, count, start + offset)


def _graph_of(arrays: dict[str, NDArray[Any]]) -> Graph:
    """Check what the kernels rely on (row starts and ids in range), checksums or not."""
    indptr, indices = arrays["indptr"], arrays["indices"]
    nodes = _check.node_count("indptr", len(indptr) - 1)
    if indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
        raise GraphFormatError("indptr: expected ascending row starts from 0 to the links")
    _check.node_ids("indices", indices, nodes)
    weights = arrays.get("weights")
    labels: NDArray[Any] | Labels | None = arrays.get("labels")
    if weights is not None:
        _check.same_length("weights", weights, "indices", len(indices))
    if "label_offsets" in arrays:
        _check.same_length("labels", arrays["label_offsets"][1:], "nodes", nodes)
        labels = Labels.in_utf8(arrays["label_offsets"], arrays["label_bytes"])
    elif "labels" in arrays:
        _check.same_length("labels", arrays["labels"], "nodes", nodes)
    return Graph.from_rows(Rows(indptr, indices, weights), labels)
