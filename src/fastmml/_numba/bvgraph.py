"""Rows of links out of each node from the bits of a BVGraph; csrc/io/bvgraph.c explains the method.

Rows are decoded one after the other; offsets are only compared with.
"""

from __future__ import annotations

import numpy as np

from fastmml._kernels import I64, U8, U32, BvgraphFormat, RowReport
from fastmml._numba._jit import jit, readonly, readonly_or_none
from fastmml._numba.bits import read_code, read_gamma

#: Rows and links, or offsets, in one call: some 10 milliseconds.
WORK_AT_ONCE = 1 << 18

#: Keys of `fastmml._kernels.ROW_FAULTS`.
END, DEGREE, REFERENCE, BLOCKS, INTERVALS, RESIDUALS, TWICE, OFFSET = range(1, 9)


@jit
def _copy_blocks(
    stream: U8, at: int, format: BvgraphFormat, source: U32, row: U32
) -> tuple[int, int, int]:
    """Copy what blocks keep of a row; return a fault (0: none), the position, and the links."""
    count, at = read_code(stream, at, format.block_counts, format.zeta_k)
    taken, filled = 0, 0
    if count > len(source) + 1:
        return BLOCKS, at, filled
    for block in range(count + 1):
        run = left = len(source) - taken
        if block < count:
            run, at = read_code(stream, at, format.blocks, format.zeta_k)
            run += block > 0
        kept = block % 2 == 0
        if run > left or (kept and run > len(row) - filled):
            return BLOCKS, at, filled
        if kept:
            for i in range(run):
                row[filled + i] = source[taken + i]
            filled += run
        taken += run
    return 0, at, filled


@jit
def _first_node(node: int, code: int) -> int:
    return node - (code >> 1) - 1 if code & 1 else node + (code >> 1)


@jit
def _read_intervals(
    stream: U8, at: int, format: BvgraphFormat, node: int, nodes: int, more: U32
) -> tuple[int, int, int]:
    """Read intervals; return a fault (0: none), the position, and how many links they hold."""
    count, at = read_gamma(stream, at)
    taken = 0
    if count > len(more) // format.min_interval:
        return INTERVALS, at, taken
    for interval in range(count):
        code, at = read_gamma(stream, at)
        start = _first_node(node, code) if interval == 0 else node + code + 1
        length, at = read_gamma(stream, at)
        length += format.min_interval
        if length > len(more) - taken or not 0 <= start < nodes or length > nodes - start:
            return INTERVALS, at, taken
        for i in range(length):
            more[taken + i] = start + i
        taken += length
        node = start + length
    return 0, at, taken


@jit
def _read_residuals(
    stream: U8, at: int, format: BvgraphFormat, node: int, nodes: int, more: U32
) -> tuple[int, int]:
    """Read as many links as there is room for; return a fault (0: none) and the position."""
    for i in range(len(more)):
        code, at = read_code(stream, at, format.residuals, format.zeta_k)
        node = _first_node(node, code) if i == 0 else node + code + 1
        if not 0 <= node < nodes:
            return RESIDUALS, at
        more[i] = node
    return 0, at


@jit
def _merge(row: U32, filled: int, more: U32) -> int:
    """Merge ascending links into the first ones of a row; return a fault, or 0."""
    fault, i, j = 0, filled - 1, len(more) - 1
    while j >= 0:
        if i >= 0 and row[i] > more[j]:
            row[i + j + 1] = row[i]
            i -= 1
            continue
        if i >= 0 and row[i] == more[j]:
            fault = TWICE
        row[i + j + 1] = more[j]
        j -= 1
    return fault


@jit
def _read_row(
    stream: U8,
    at: int,
    format: BvgraphFormat,
    node: int,
    indptr: I64,
    indices: U32,
    scratch: U32,
) -> tuple[int, int]:
    """Decode what follows a degree of at least 1; return a fault (0: none) and the position."""
    row, nodes = indices[indptr[node] : indptr[node + 1]], len(indptr) - 1
    fault, reference, filled = 0, 0, 0
    if format.window > 0:
        reference, at = read_code(stream, at, format.references, format.zeta_k)
    if reference > min(format.window, node):
        return REFERENCE, at
    if reference > 0:
        other = node - reference
        source = indices[indptr[other] : indptr[other + 1]]
        fault, at, filled = _copy_blocks(stream, at, format, source, row)
    if fault == 0 and filled < len(row) and format.min_interval > 0:
        more = scratch[: len(row) - filled]
        fault, at, taken = _read_intervals(stream, at, format, node, nodes, more)
        if fault == 0:
            fault = _merge(row, filled, more[:taken])
            filled += taken
    if fault == 0 and filled < len(row):
        more = scratch[: len(row) - filled]
        fault, at = _read_residuals(stream, at, format, node, nodes, more)
        if fault == 0:
            fault = _merge(row, filled, more)
    return fault, at


@jit
def _read_rows(
    stream: U8,
    at: int,
    format: BvgraphFormat,
    offsets: I64 | None,
    node: int,
    indptr: I64,
    indices: U32,
    scratch: U32,
) -> tuple[int, int, int]:
    """Decode some rows from this node's on; return a fault (0: none), the next node, the position.

    After a fault the next node is that of the row refused.
    """
    nodes, work = len(indptr) - 1, 0
    while node < nodes and work < WORK_AT_ONCE:
        degree, at = read_code(stream, at, format.degrees, format.zeta_k)
        fault = 0
        if degree > min(nodes, len(indices) - indptr[node]):
            fault = DEGREE
        else:
            indptr[node + 1] = indptr[node] + degree
            if degree > 0:
                fault, at = _read_row(stream, at, format, node, indptr, indices, scratch)
        if at > 8 * len(stream):
            fault = END
        if offsets is not None and fault == 0 and at != offsets[node + 1]:
            fault = OFFSET
        if fault != 0:
            return fault, node, at
        node += 1
        work += 1 + degree
    return 0, node, at


def bvgraph_rows(
    stream: U8,
    format: BvgraphFormat,
    offsets: I64 | None,
    indptr: I64,
    indices: U32,
    threads: int,
) -> RowReport:
    """See `fastmml._kernels.Kernels.bvgraph_rows`."""
    bits, places = readonly(stream), readonly_or_none(offsets)
    nodes = len(indptr) - 1
    scratch = np.empty(nodes, np.uint32)
    indptr[0] = 0
    fault, node, at = 0, 0, 0
    while node < nodes and fault == 0:
        fault, node, at = _read_rows(bits, at, format, places, node, indptr, indices, scratch)
    return RowReport(fault, node if fault else 0, at)


@jit
def _read_offsets(
    stream: U8, at: int, coding: int, limit: int, node: int, offsets: I64
) -> tuple[int, int, int]:
    """Decode some offsets from this node's on; return as `_read_rows` does."""
    end = min(node + WORK_AT_ONCE, len(offsets))
    while node < end:
        more, at = read_code(stream, at, coding, 1)
        before = offsets[node - 1] if node > 0 else 0
        if at > 8 * len(stream):
            return END, node, at
        if more > limit - before:
            return OFFSET, node, at
        offsets[node] = before + more
        node += 1
    return 0, node, at


def bvgraph_offsets(stream: U8, coding: int, limit: int, offsets: I64) -> RowReport:
    """See `fastmml._kernels.Kernels.bvgraph_offsets`."""
    bits = readonly(stream)
    fault, node, at = 0, 0, 0
    while node < len(offsets) and fault == 0:
        fault, node, at = _read_offsets(bits, at, coding, limit, node, offsets)
    return RowReport(fault, node if fault else 0, at)
