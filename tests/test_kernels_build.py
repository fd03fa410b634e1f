"""The kernels that build a graph, on every backend, against NumPy and plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import THREADS, UNIT_ROUNDOFF, assert_same_for_all_threads, frozen

from fastmml._kernels import F64, I64, TILE_EDGES, U16, U32, Kernels

# ---- from edges to rows ----


@dataclass(frozen=True)
class Edges:
    """Edges in the order of the input, and how wide the buckets are."""

    nodes: int
    shift: int
    src: U32
    dst: U32
    weights: F64 | None

    @property
    def tiles(self) -> list[slice]:
        starts = range(0, len(self.dst), TILE_EDGES)
        return [slice(start, start + TILE_EDGES) for start in starts]

    @property
    def buckets(self) -> int:
        return -(-self.nodes >> self.shift)

    def counts(self, kernels: Kernels, threads: int) -> I64:
        counts = np.full((len(self.tiles), self.buckets), -1, np.int64)
        kernels.bucket_count(self.dst, self.shift, counts, threads)
        return counts

    def scatter(
        self, kernels: Kernels, positions: I64, threads: int
    ) -> tuple[U32, U16, F64 | None]:
        out_src, out_local = np.empty_like(self.src), np.empty(len(self.dst), np.uint16)
        out_weights = None if self.weights is None else np.empty_like(self.weights)
        kernels.bucket_scatter(
            self.src, self.dst, self.weights, self.shift, positions, out_src, out_local,
            out_weights, threads,
        )  # fmt: skip
        return out_src, out_local, out_weights

    @property
    def sources(self) -> int:
        return max(self.nodes, int(self.src.max(initial=0)) + 1)

    def rows(self, kernels: Kernels, threads: int = 2) -> tuple[I64, U32, F64]:
        """Build compressed rows with the three bucket kernels, as a graph is built."""
        counts = self.counts(kernels, threads)
        bounds = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
        positions = bounds[:-1] + np.cumsum(counts, axis=0) - counts
        src, local, weights = self.scatter(kernels, positions, threads)
        indptr = np.full(self.nodes + 1, -1, np.int64)
        kernels.bucket_sort(self.sources, self.shift, bounds, local, src, weights, indptr, threads)
        return indptr, src, np.empty(0) if weights is None else weights

    def expected_rows(self) -> tuple[I64, U32, F64]:
        """Compute the same by NumPy's stable sort."""
        order = np.lexsort((self.src, self.dst))
        sizes = np.bincount(self.dst, minlength=self.nodes)
        weights = np.empty(0) if self.weights is None else self.weights[order]
        return np.concatenate([[0], np.cumsum(sizes)]), self.src[order], weights


def random_edges(
    nodes: int, count: int, shift: int, weighted: bool = False, sources_ascend: bool = False
) -> Edges:
    """Half of the edges go to few targets, a bucket of them to the very last one."""
    random = np.random.default_rng(nodes + count)
    src = random.integers(0, nodes, count)
    dst = np.where(random.random(count) < 0.5, random.integers(0, nodes, count), src % 5)
    dst[: count // 20] = nodes - 1
    return Edges(
        nodes,
        shift,
        frozen((np.sort(src) if sources_ascend else src).astype(np.uint32)),
        frozen(dst.astype(np.uint32)),
        frozen(random.random(count)) if weighted else None,
    )


def assert_sorted_into_rows(kernels: Kernels, edges: Edges) -> None:
    for got, expected in zip(edges.rows(kernels), edges.expected_rows(), strict=True):
        np.testing.assert_array_equal(got, expected)


@st.composite
def small_edges(draw: st.DrawFn) -> Edges:
    nodes = draw(st.integers(1, 70))
    pairs = draw(st.lists(st.tuples(*[st.integers(0, nodes - 1)] * 2), max_size=80))
    weighted = draw(st.booleans())
    return Edges(
        nodes=nodes,
        shift=draw(st.integers(0, 7)),
        src=np.array([source for source, _ in pairs], np.uint32),
        dst=np.array([target for _, target in pairs], np.uint32),
        weights=np.arange(len(pairs), dtype=np.float64) if weighted else None,
    )


@given(edges=small_edges())
@settings(deadline=None, max_examples=100)
def test_bucket_kernels_sort_edges_stably(variant: Kernels, edges: Edges) -> None:
    assert_sorted_into_rows(variant, edges)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sources_ascend", [False, True])
@pytest.mark.parametrize("shift", [7, 12, 16])
def test_bucket_kernels_on_several_tiles(
    variant: Kernels, shift: int, sources_ascend: bool, weighted: bool
) -> None:
    edges = random_edges(70_000, 2 * TILE_EDGES + 12_345, shift, weighted, sources_ascend)
    assert_sorted_into_rows(variant, edges)


@pytest.mark.parametrize("nodes", [1 << 11, (1 << 11) + 1, 1 << 22, (1 << 22) + 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_bucket_sort_with_ids_of_one_two_and_three_digits(
    variant: Kernels, nodes: int, weighted: bool
) -> None:
    """Sources are sorted 11 bits at a time, as many times as the largest possible id needs."""
    random = np.random.default_rng(nodes)
    src = random.integers(0, nodes, 3000).astype(np.uint32)
    src[:2] = nodes - 1, 0
    dst = (random.integers(0, 3, 3000) * (nodes // 3)).astype(np.uint32)
    weights = random.random(3000) if weighted else None
    assert_sorted_into_rows(variant, Edges(nodes, 16, src, dst, weights))


def test_bucket_sort_with_more_sources_than_targets(variant: Kernels) -> None:
    """Some rows of a graph are sorted apart, out of core."""
    random = np.random.default_rng(0)
    src = random.integers(0, 2**32, 3000).astype(np.uint32)
    dst = random.integers(0, 5, 3000).astype(np.uint32)
    assert_sorted_into_rows(variant, Edges(5, 2, src, dst, None))


@pytest.mark.parametrize("count", [TILE_EDGES - 1, TILE_EDGES, TILE_EDGES + 1])
def test_bucket_count_counts_tiles_apart(variant: Kernels, count: int) -> None:
    edges = random_edges(1000, count, 6)
    expected = [np.bincount(edges.dst[tile] >> 6, minlength=16) for tile in edges.tiles]
    np.testing.assert_array_equal(edges.counts(variant, 2), expected)


def test_bucket_scatter_keeps_the_order_within_buckets_and_advances(variant: Kernels) -> None:
    edges = random_edges(1000, TILE_EDGES + 99, 6, weighted=True)
    counts = edges.counts(variant, 1)
    bounds = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
    starts = bounds[:-1] + np.cumsum(counts, axis=0) - counts
    positions = starts.copy()
    out_src, out_local, out_weights = edges.scatter(variant, positions, 2)
    order = np.argsort(edges.dst >> 6, kind="stable")
    np.testing.assert_array_equal(out_src, edges.src[order])
    np.testing.assert_array_equal(out_local, edges.dst[order] & 63)
    assert edges.weights is not None
    np.testing.assert_array_equal(out_weights, edges.weights[order])
    np.testing.assert_array_equal(positions, starts + counts)


@pytest.mark.parametrize("weighted", [False, True])
def test_bucket_kernels_have_the_same_result_for_all_threads(
    variant: Kernels, weighted: bool
) -> None:
    edges = random_edges(5000, 3 * TILE_EDGES, 8, weighted)
    assert_same_for_all_threads(lambda threads: edges.rows(variant, threads))


@pytest.mark.parametrize("nodes", [1, 5])
def test_bucket_kernels_without_edges(variant: Kernels, nodes: int) -> None:
    none = np.empty(0, np.uint32)
    indptr, src, _ = Edges(nodes, 1, none, none, None).rows(variant)
    assert indptr.tolist() == [0] * (nodes + 1)
    assert len(src) == 0


def test_bucket_sort_without_nodes(variant: Kernels) -> None:
    indptr = np.full(1, -1, np.int64)
    none = np.empty(0, np.uint32)
    local = np.empty(0, np.uint16)
    variant.bucket_sort(9, 4, np.zeros(1, np.int64), local, none, None, indptr, 2)
    assert indptr.tolist() == [0]


# ---- strengths ----


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("links", [0, 1, 1000, (1 << 21) + 17])
def test_out_strength_counts_links(variant: Kernels, links: int, threads: int) -> None:
    indices = np.random.default_rng(3).integers(0, 5000, links).astype(np.uint32)
    strength = np.full(5000, -1.0)
    variant.out_strength(frozen(indices), None, strength, threads)
    np.testing.assert_array_equal(strength, np.bincount(indices, minlength=5000))


def assert_is_strength(kernels: Kernels, indices: U32, weights: F64, nodes: int) -> None:
    """Off by at most a few ulp from the exact sum, whatever the number of terms."""
    strength = np.full(nodes, -1.0)
    kernels.out_strength(frozen(indices), frozen(weights), strength, 2)
    exact = np.array([math.fsum(weights[indices == node]) for node in range(nodes)])
    second_order = len(indices) ** 2 * UNIT_ROUNDOFF**2
    assert (np.abs(strength - exact) <= (2 * UNIT_ROUNDOFF + second_order) * exact).all()


@pytest.mark.parametrize("links", [1, 1000, (1 << 20) + 17])
def test_out_strength_of_weights(variant: Kernels, links: int) -> None:
    random = np.random.default_rng(4)
    indices = random.integers(0, 3, links).astype(np.uint32)
    assert_is_strength(variant, indices, random.random(links) * 10.0 ** (indices % 5), 4)


@pytest.mark.parametrize("huge_at", [0, 5000, 9999])
def test_out_strength_adds_small_weights_to_a_huge_one(variant: Kernels, huge_at: int) -> None:
    """Added without compensation, none of the small weights would count."""
    weights = np.ones(10_000)
    weights[huge_at] = 1e17
    assert_is_strength(variant, np.zeros(10_000, np.uint32), weights, 1)


@given(
    before=st.lists(st.integers(0, 9), max_size=8), after=st.lists(st.integers(0, 9), max_size=8)
)
@settings(deadline=None, max_examples=100)
def test_out_strength_rounds_once_where_the_carry_is_exact(
    variant: Kernels, before: list[int], after: list[int]
) -> None:
    """Small integers around a number in whose last place they are lost: the carry keeps them."""
    weights = np.array([*before, 2**55, *after], np.float64)
    strength = np.empty(1)
    variant.out_strength(np.zeros(len(weights), np.uint32), weights, strength, 2)
    assert strength[0] == math.fsum(weights)


# ---- ids ----

ID_COUNTS = (0, 1, 1000, (1 << 16) - 1, (1 << 16) + 1, 200_000)


@pytest.mark.parametrize("count", ID_COUNTS)
def test_mark_ids_marks_those_that_occur(variant: Kernels, count: int) -> None:
    ids = np.random.default_rng(5).integers(0, 300_000, count).astype(np.uint32)
    present = np.zeros(300_001, np.uint8)
    variant.mark_ids(frozen(ids), present, 3)
    np.testing.assert_array_equal(np.flatnonzero(present), np.unique(ids))
    assert present.max() <= 1


@pytest.mark.parametrize("count", ID_COUNTS)
def test_relabel_looks_every_id_up(variant: Kernels, count: int) -> None:
    random = np.random.default_rng(6)
    table = random.permutation(300_000).astype(np.uint32) + np.uint32(2**31)
    ids = random.integers(0, len(table), count).astype(np.uint32)
    expected = table[ids]
    variant.relabel(frozen(table), ids, 3)
    np.testing.assert_array_equal(ids, expected)


# ---- R-MAT ----

WORD = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    """Splitmix64's finalizer."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


def scramble(node: int, scale: int, key: int) -> int:
    for _ in range(3):
        key = mix(key + GOLDEN & WORD)
        node = node * (key | 1) + (key >> 32) & (1 << scale) - 1
        node ^= node >> max(scale // 2, 1)
    return node


def quadrant(draw: int) -> tuple[int, int]:
    """Row and column bit, with probabilities 0.57, 0.19, 0.19 and 0.05."""
    if draw < 2448131358:
        return 0, 0
    if draw < 3264175144:
        return 0, 1
    return (1, 0) if draw < 4080218931 else (1, 1)


def rmat_edge(scale: int, seed: int, edge: int) -> tuple[int, int]:
    """The definition of `Kernels.rmat_edges`, in integers of any size."""
    seed_key = mix(seed + GOLDEN & WORD)
    row = column = 0
    key = mix(seed_key + edge * GOLDEN & WORD)
    for _ in range(scale):
        key = key + GOLDEN & WORD
        down, right = quadrant(mix(key) >> 32)
        row, column = 2 * row + down, 2 * column + right
    return scramble(row, scale, seed_key), scramble(column, scale, seed_key)


def unmix(z: int) -> int:
    """Inverse of `mix`."""
    z ^= z >> 31 ^ z >> 62
    z = z * pow(0x94D049BB133111EB, -1, 2**64) & WORD
    z ^= z >> 27 ^ z >> 54
    z = z * pow(0xBF58476D1CE4E5B9, -1, 2**64) & WORD
    return z ^ z >> 30 ^ z >> 60


def seed_of_draw(draw: int) -> int:
    """A seed with which edge 0 draws this number first."""
    key = unmix(draw << 32) - GOLDEN & WORD
    return unmix(unmix(key)) - GOLDEN & WORD


def make_edges(
    kernels: Kernels, scale: int, seed: int, first: int, count: int, threads: int = 2
) -> tuple[U32, U32]:
    src, dst = np.empty(count, np.uint32), np.empty(count, np.uint32)
    kernels.rmat_edges(scale, seed, first, src, dst, threads)
    return src, dst


@given(
    scale=st.integers(0, 32),
    seed=st.integers(0, WORD),
    first=st.integers(0, 2**40),
    count=st.integers(0, 5),
)
@settings(deadline=None, max_examples=100)
def test_rmat_edges_are_those_of_the_definition(
    variant: Kernels, scale: int, seed: int, first: int, count: int
) -> None:
    src, dst = make_edges(variant, scale, seed, first, count)
    expected = [rmat_edge(scale, seed, first + e) for e in range(count)]
    assert list(zip(src.tolist(), dst.tolist(), strict=True)) == expected


@pytest.mark.parametrize("limit", [2448131358, 3264175144, 4080218931, 2**32])
def test_rmat_quadrants_have_exact_limits(variant: Kernels, limit: int) -> None:
    for draw in (limit - 1, limit % 2**32):
        seed = seed_of_draw(draw)
        src, dst = make_edges(variant, 1, seed, 0, 1)
        key = mix(seed + GOLDEN & WORD)
        expected = [scramble(bit, 1, key) for bit in quadrant(draw)]
        assert [src[0], dst[0]] == expected


def test_rmat_edges_can_be_made_in_parts(variant: Kernels) -> None:
    whole = np.array(make_edges(variant, 16, 7, 0, 70_000))
    cuts = [0, 1, 16_384, 16_385, 50_000, 70_000]
    parts = [make_edges(variant, 16, 7, start, end - start) for start, end in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_rmat_edges_are_the_same_for_all_threads(variant: Kernels) -> None:
    assert_same_for_all_threads(lambda threads: make_edges(variant, 20, 1, 5, 100_000, threads))


def test_rmat_nodes_of_small_graphs_all_occur(variant: Kernels) -> None:
    """The scrambling is a bijection: no id is lost, none is out of range."""
    src, dst = make_edges(variant, 4, 3, 0, 20_000)
    assert np.unique(np.concatenate([src, dst])).tolist() == list(range(16))
