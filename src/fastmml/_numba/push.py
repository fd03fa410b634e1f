"""Personalised PageRank by local push; the reasoning stands in csrc/graph/push.c.

What C keeps in a hash table lies here in arrays of all nodes, of which the system makes the pages
that are touched.
"""

from __future__ import annotations

import numpy as np

from fastmml._kernels import F64, I64, U32
from fastmml._numba._jit import jit, readonly, readonly_or_none, signed

#: Of the mean rest per link, what a push must be worth.
_WORTH = 0.75
#: Nodes and links swept in one call: a few milliseconds.
_WORK_AT_ONCE = 1 << 20

# Slots of the search's counters.
_COUNT, _LINKS, _VOLUME, _EXHAUSTED = range(4)


@jit
def _number_of(node: int, numbers: U32, counters: I64, nodes: U32, ranks: F64, rests: F64) -> int:
    """Return the number of a node, which may be new; ``numbers`` holds 1 more."""
    if numbers[node] == 0:
        count = counters[_COUNT]
        nodes[count] = node
        ranks[count] = rests[count] = 0.0
        counters[_COUNT] = numbers[node] = count + 1
    return signed(numbers[node]) - 1


@jit
def _degree(indptr: I64, strength: F64 | None, node: int) -> int:
    """Count the links of a node; none where they have no weight."""
    if strength is not None and strength[node] == 0:
        return 0
    return signed(indptr[node + 1] - indptr[node])


@jit
def _hand_on(
    i: int,
    amount: float,
    damping: float,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    strength: F64 | None,
    numbers: U32,
    counters: I64,
    nodes: U32,
    ranks: F64,
    rests: F64,
) -> None:
    node = signed(nodes[i])
    degree = _degree(indptr, strength, node)
    counters[_LINKS] += degree
    if degree == 0:
        return
    share = amount * (damping / (degree if strength is None else strength[node]))
    for k in range(indptr[node], indptr[node + 1]):
        target = _number_of(signed(indices[k]), numbers, counters, nodes, ranks, rests)
        rests[target] += share if weights is None else weights[k] * share


@jit
def _sweep(
    first: int,
    threshold: float,
    damping: float,
    max_links: int,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    strength: F64 | None,
    numbers: U32,
    counters: I64,
    nodes: U32,
    ranks: F64,
    rests: F64,
) -> int:
    """Push nodes from the given one on; returns where to go on."""
    i, work = first, 0
    while i < counters[_COUNT] and work < _WORK_AT_ONCE:
        degree = _degree(indptr, strength, signed(nodes[i]))
        rest = rests[i]
        work += 1
        if rest > threshold * degree:
            volume = counters[_VOLUME] + (degree if ranks[i] == 0 else 0)
            if counters[_LINKS] + degree + volume > max_links:
                counters[_EXHAUSTED] = 1
                break
            counters[_VOLUME] = volume
            rests[i] = 0
            ranks[i] += rest
            _hand_on(
                i, rest, damping, indptr, indices, weights, strength, numbers, counters, nodes,
                ranks, rests,
            )  # fmt: skip
            work += degree
        i += 1
    return i


@jit
def _weigh(
    indptr: I64, strength: F64 | None, count: int, nodes: U32, ranks: F64, rests: F64
) -> tuple[float, float, float]:
    """Sums of the ranks, of the rests, and of the links of nodes with rests, and 1."""
    rank, rest, volume = 0.0, 0.0, 1.0
    for i in range(count):
        rank += ranks[i]
        rest += rests[i]
        if rests[i] > 0:
            volume += _degree(indptr, strength, signed(nodes[i]))
    return rank, rest, volume


@jit
def _add_images(
    first: int,
    damping: float,
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    strength: F64 | None,
    numbers: U32,
    counters: I64,
    nodes: U32,
    ranks: F64,
    rests: F64,
) -> int:
    """Hand on the ranks of nodes from the given one on; returns where to go on."""
    i, until = first, counters[_LINKS] + _WORK_AT_ONCE
    while i < counters[_COUNT] and counters[_LINKS] < until:
        if ranks[i] > 0:
            _hand_on(
                i, ranks[i], damping, indptr, indices, weights, strength, numbers, counters, nodes,
                ranks, rests,
            )  # fmt: skip
        i += 1
    return i


def rank_push(
    indptr: I64,
    indices: U32,
    weights: F64 | None,
    strength: F64 | None,
    seeds: U32,
    base: F64,
    damping: float,
    tolerance: float,
    max_links: int,
    nodes: U32,
    ranks: F64,
    images: F64,
) -> tuple[int, int]:
    """See `fastmml._kernels.Kernels.rank_push`."""
    numbers, counters = np.zeros(len(indptr) - 1, np.uint32), np.zeros(4, np.int64)
    for seed, mass in zip(seeds.tolist(), base.tolist(), strict=True):
        images[_number_of(seed, numbers, counters, nodes, ranks, images)] = mass
    rows, links = readonly(indptr), readonly(indices)
    sums = readonly_or_none(strength)
    state = rows, links, readonly_or_none(weights), sums, numbers, counters, nodes, ranks, images
    while not counters[_EXHAUSTED]:
        rank, rest, volume = _weigh(rows, sums, int(counters[_COUNT]), nodes, ranks, images)
        if not damping * rest > tolerance * ((1 - damping) * rank + rest):
            break
        place = 0
        while place < counters[_COUNT] and not counters[_EXHAUSTED]:
            place = _sweep(place, _WORTH * rest / volume, damping, max_links, *state)
    images[: counters[_COUNT]] = 0
    images[: len(seeds)] = base
    place = 0
    while place < counters[_COUNT]:
        place = _add_images(place, damping, *state)
    return int(counters[_COUNT]), int(counters[_LINKS])
