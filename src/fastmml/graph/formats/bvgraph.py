"""Graphs of the WebGraph framework: ``x.graph`` beside ``x.properties``, and ``x.offsets`` if any.

P. Boldi, S. Vigna, The WebGraph framework I: compression techniques, WWW 2004. The properties say
how many nodes and arcs there are and how numbers are coded; the stream holds the links out of each
node (csrc/io/bvgraph.c). Offsets, which say where each row starts, let threads share the work.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fastmml import _check, _memory
from fastmml._backend import get_num_threads, kernels
from fastmml._kernels import CODINGS, I64, ROW_FAULTS, U8, BvgraphFormat
from fastmml.errors import GraphFormatError
from fastmml.graph.build import build_rows, chunks_from_rows
from fastmml.graph.graph import Graph

#: Coding of each field unless ``compressionflags`` names another one of those that follow it.
_FIELD_CODINGS = {
    "OUTDEGREES": ("GAMMA", "DELTA"),
    "REFERENCES": ("UNARY", "GAMMA", "DELTA"),
    "BLOCK_COUNT": ("GAMMA", "UNARY", "DELTA"),
    "BLOCKS": ("GAMMA", "UNARY", "DELTA"),
    "RESIDUALS": ("ZETA", "GAMMA", "DELTA", "NIBBLE"),
    "OFFSETS": ("GAMMA", "DELTA"),
}
_MAX_ZETA_K = 31
_MAX_INT = 2**31 - 1
#: Writers fill the last byte with zeros, or the last word of at most this many bits.
_WORD_BITS = 64


def read(path: str | os.PathLike[str]) -> Graph:
    """Read the links out of each node; the properties lie beside the stream."""
    stream_path = Path(path)
    stream = _map_bytes(stream_path)
    properties_path = stream_path.with_suffix(".properties")
    if not properties_path.exists():
        raise GraphFormatError(f"{path}: expected its properties in {properties_path}, a file")
    with _errors_about(properties_path):
        properties = _Properties(properties_path)
    with _errors_about(stream_path):
        _check_length(stream, properties.nodes, "nodes")
    offsets_path = stream_path.with_suffix(".offsets")
    with _errors_about(offsets_path):
        offsets = _read_offsets(offsets_path, properties, stream)
    with _errors_about(stream_path):
        return _read_rows(stream, properties, offsets)


@contextmanager
def _errors_about(path: Path) -> Iterator[None]:
    """Name the file that an error is about."""
    try:
        yield
    except ValueError as error:
        raise GraphFormatError(f"{path}: {error}") from error


def _map_bytes(path: Path) -> U8:
    size = path.stat().st_size
    return np.memmap(path, np.uint8, "r", shape=(size,)) if size else np.empty(0, np.uint8)


# ---- properties ----


class _Properties:
    """What the properties say, each value checked."""

    def __init__(self, path: Path) -> None:
        values = _parse(path.read_text("latin-1"))
        kind = values.get("graphclass", "").removeprefix("class ")
        if kind.rpartition(".")[2] != "BVGraph":
            raise ValueError(f"graphclass: expected a BVGraph, got {kind!r}")
        if values.get("endianness", "big") != "big":
            raise ValueError(f"endianness: expected 'big', got {values['endianness']!r}")
        _integer(values, "version", 0, 0, default=0)
        _integer(values, "maxrefcount", -1, _MAX_INT, default=-1)  # chains of any length are read
        self.nodes = _integer(values, "nodes", 0, _check.MAX_NODES)
        self.arcs = _integer(values, "arcs", 0, self.nodes**2)
        codings = _codings(values.get("compressionflags", ""))
        self.offsets = codings.pop("OFFSETS")
        self.format = BvgraphFormat(
            degrees=codings["OUTDEGREES"],
            references=codings["REFERENCES"],
            block_counts=codings["BLOCK_COUNT"],
            blocks=codings["BLOCKS"],
            residuals=codings["RESIDUALS"],
            zeta_k=_integer(values, "zetak", 1, _MAX_ZETA_K, default=3),
            window=_integer(values, "windowsize", 0, _MAX_INT),
            min_interval=_integer(values, "minintervallength", 0, _MAX_INT),
        )


def _parse(text: str) -> dict[str, str]:
    """Keys and values of Java properties: comments, continued lines, three kinds of separators."""
    joined = re.sub(r"(?<!\\)((?:\\\\)*)\\(?:\r\n|\r|\n)[ \t\f]*", r"\1", text)
    lines = [line.strip(" \t\f") for line in re.split(r"[\r\n]+", joined)]
    pairs = [
        re.match(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", line)
        for line in lines
        if line and line[0] not in "#!"
    ]
    return {_unescape(pair[1]): _unescape(pair[2]) for pair in pairs if pair}


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _integer(
    values: Mapping[str, str], name: str, low: int, high: int, default: int | None = None
) -> int:
    if name not in values and default is not None:
        return default
    if name not in values:
        raise ValueError(f"{name}: missing")
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", values[name]):
        raise ValueError(f"{name}: expected an integer, got {values[name]!r}")
    value = int(values[name])
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low} to {high}, got {value}")
    return value


def _codings(flags: str) -> dict[str, int]:
    """Coding of every field, from flags such as ``OUTDEGREES_DELTA | RESIDUALS_GAMMA``."""
    names = {field: codings[0] for field, codings in _FIELD_CODINGS.items()}
    for flag in filter(None, map(str.strip, flags.split("|"))):
        field, _, coding = flag.rpartition("_")
        if coding not in _FIELD_CODINGS.get(field, ()):
            raise ValueError(f"compressionflags: {flag!r} is none that is known")
        names[field] = coding
    return {field: CODINGS[coding] for field, coding in names.items()}


# ---- the stream ----


def _check_length(stream: U8, count: int, what: str) -> None:
    """Check what can be known before arrays as large as the header says are made."""
    if count > 8 * len(stream):
        raise ValueError(
            f"expected a bit or more for each of {count} {what}, got {8 * len(stream)}"
        )


def _read_offsets(path: Path, properties: _Properties, stream: U8) -> I64 | None:
    """Where each row starts and the last ends, if a file says it."""
    if not path.exists():
        return None
    coded = _map_bytes(path)
    _check_length(coded, properties.nodes + 1, "offsets")
    offsets = _memory.empty(properties.nodes + 1, np.int64)
    report = kernels().bvgraph_offsets(coded, properties.offsets, 8 * len(stream), offsets)
    if report.fault or offsets[0]:
        raise ValueError(f"expected {len(offsets)} offsets within {8 * len(stream)} bits")
    return offsets


def _read_rows(stream: U8, properties: _Properties, offsets: I64 | None) -> Graph:
    threads = get_num_threads()
    # Written in order, so that NumPy's large pages take no more memory and far fewer page faults.
    indptr = np.empty(properties.nodes + 1, np.int64)
    indices = np.empty(properties.arcs, np.uint32)
    report = kernels().bvgraph_rows(stream, properties.format, offsets, indptr, indices, threads)
    if report.fault:
        raise ValueError(f"row of node {report.node}: {ROW_FAULTS[report.fault]}")
    if indptr[-1] != properties.arcs:
        raise ValueError(f"expected {properties.arcs} arcs, got {indptr[-1]}")
    _check_padding(stream, report.bits)
    return Graph.from_rows(build_rows(properties.nodes, chunks_from_rows(indptr, indices), threads))


def _check_padding(stream: U8, end: int) -> None:
    rest = 8 * len(stream) - end
    last = int.from_bytes(stream[end // 8 :][: _WORD_BITS // 8 + 1].tobytes())
    if rest >= _WORD_BITS or last & (1 << rest) - 1:
        raise ValueError(f"expected zeros to the end of a word behind the rows, got {rest} bits")
