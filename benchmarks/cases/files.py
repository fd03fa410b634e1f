"""Text and bits of files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.inputs import NODES, THREADS, Call, node_ids, offsets, reals, scrambled
from fastmml._kernels import CODINGS, BvgraphFormat, EdgeFormat, Kernels

LINES = 4000


def as_bytes(lines: list[str]) -> NDArray[np.uint8]:
    """Bytes of the lines, each ended."""
    return np.frombuffer("".join(f"{line}\n" for line in lines).encode(), np.uint8)


def parse_edges(kernels: Kernels, weighted: bool = False, spans: bool = False) -> Call:
    """Parse an edge list."""
    columns = [node_ids(1)[:LINES].tolist(), node_ids(2)[:LINES].tolist()]
    if weighted:
        columns.append(np.round(reals((LINES,), 3), 4).tolist())
    text = as_bytes(["\t".join(map(str, line)) for line in zip(*columns, strict=True)])
    form = EdgeFormat(spans, "\t", len(columns), weighted, "#%")
    src, dst = np.empty(LINES, np.int64), np.empty(LINES, np.int64)
    weights = np.empty(LINES) if weighted else None
    return lambda: kernels.parse_edges(text, form, src, dst, weights, THREADS)


def interner(kernels: Kernels) -> Call:
    """Number the labels of an edge list and give them back."""
    names = [f"package-{number}" for number in node_ids(1)[:LINES].tolist()]
    text = as_bytes(names)
    lengths = np.array([len(name) for name in names])
    spans = offsets(lengths + 1)[:-1] << 32 | lengths
    first, second = spans[0::2].copy(), spans[1::2].copy()
    ids = np.empty((2, len(first)), np.uint32)

    def call() -> None:
        table = kernels.interner()
        table.add(text, first, second, ids[0], ids[1])
        table.labels()

    return call


def row_codes() -> list[list[int]]:
    """Numbers of each row of a BVGraph; two of three rows copy the one before, one adds a link."""
    draws = scrambled(4 * NODES, 4).reshape(NODES, 4) % np.uint64(40)
    rows = []
    for node, (first, *gaps) in enumerate(draws.tolist()):
        near_the_end = node > NODES - 200
        fresh = [4, 0, 2 * (first + 2), *gaps]
        rows.append([0] if near_the_end else [fresh, [3, 1, 1, 3], [4, 1, 0, 1]][node % 3])
    return rows


def as_gamma(numbers: list[int]) -> str:
    """Binary digits of the numbers in Elias' gamma code."""
    return "".join(f"{n + 1:0{2 * (n + 1).bit_length() - 1}b}" for n in numbers)


def as_stream(codes: list[str]) -> NDArray[np.uint8]:
    """Bytes of strings of binary digits."""
    return np.packbits(np.frombuffer("".join(codes).encode(), np.uint8) == ord("1"))


def bvgraph_rows(kernels: Kernels, by_offsets: bool = False) -> Call:
    """Decode rows."""
    codes = [as_gamma(row) for row in row_codes()]
    gamma = CODINGS["GAMMA"]
    form = BvgraphFormat(gamma, gamma, gamma, gamma, gamma, zeta_k=1, window=1, min_interval=0)
    starts = offsets(np.array([len(code) for code in codes])) if by_offsets else None
    indptr, indices = np.empty(NODES + 1, np.int64), np.empty(4 * NODES, np.uint32)
    stream = as_stream(codes)
    return lambda: kernels.bvgraph_rows(stream, form, starts, indptr, indices, THREADS)


def bvgraph_offsets(kernels: Kernels) -> Call:
    """Decode where rows start."""
    stream = as_stream([as_gamma([0, *(len(as_gamma(row)) for row in row_codes())])])
    starts = np.empty(NODES + 1, np.int64)
    limit = 2**40
    return lambda: kernels.bvgraph_offsets(stream, CODINGS["GAMMA"], limit, starts)
