"""A call of every kernel on a fixed small input, for counting its instructions.

``python -m benchmarks.kernel_cases`` calls them all, in the order of `CASES`, with the C function
``getppid`` before and after each counted call: `benchmarks.instructions` runs it under callgrind
and has the counts written whenever that function is entered.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastmml import Graph, _backend
from fastmml._kernels import (
    CODINGS,
    COLUMNS,
    EUCLIDEAN,
    TILE_EDGES,
    BvgraphFormat,
    EdgeFormat,
    Kernels,
)
from fastmml.graph.plan import prepare

Call = Callable[[], object]

#: Two tiles of edges, and so few nodes that rows are long enough to show in the counts.
NODES, EDGES = 1 << 12, TILE_EDGES + 5000
SHIFT = 9
BUCKETS, TILES = NODES >> SHIFT, 2
VECTORS = 4
LINES = 4000
SMALL_BATCH = 203
THREADS = 1


def scrambled(count: int, salt: int) -> NDArray[np.uint64]:
    """Numbers that look random and are the same everywhere and in every version of NumPy."""
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15 + 2 * salt)
    x ^= x >> np.uint64(29)
    return x * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(32)


def node_ids(salt: int) -> NDArray[np.uint32]:
    """Ids of `EDGES` nodes, low ones more often, as in a web graph."""
    uniform = scrambled(EDGES, salt) % np.uint64(NODES)
    return (uniform * uniform // np.uint64(NODES)).astype(np.uint32)


def reals(shape: tuple[int, ...], salt: int) -> NDArray[np.float64]:
    """Numbers between 0 and 1."""
    return (scrambled(int(np.prod(shape)), salt) / 2**32).reshape(shape)


def offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of the counts before each place, and of all."""
    return np.concatenate([[0], np.cumsum(counts)])


def in_rows() -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Offsets and sources of the links into each node."""
    src, dst = node_ids(1), node_ids(2)
    return offsets(np.bincount(dst, minlength=NODES)), src[np.lexsort((src, dst))]


def rank_pull(kernels: Kernels, weighted: bool = False) -> Call:
    """A pass of PageRank."""
    indptr, indices = in_rows()
    weights = reals((EDGES,), 3) if weighted else None
    uniform = np.full(1, 1 / NODES)
    x, inverse = reals((NODES,), 4), reals((NODES,), 5)
    contribution = x * inverse
    y, following = np.empty(NODES), np.empty(NODES)
    return lambda: kernels.rank_pull(
        indptr, indices, weights, inverse, uniform, uniform, 0.85, 1.0, 0.1, x, contribution, y,
        following, THREADS,
    )  # fmt: skip


def rank_pull_columns(kernels: Kernels) -> Call:
    """A pass of PageRank for several columns."""
    indptr, indices = in_rows()
    uniform, total = np.full((1, COLUMNS), 1 / NODES), np.ones(COLUMNS)
    x, inverse = reals((NODES, COLUMNS), 4), reals((NODES,), 5)
    contribution = x * inverse[:, None]
    y, following = np.empty((2, NODES, COLUMNS))
    return lambda: kernels.rank_pull_columns(
        indptr, indices, None, inverse, uniform, uniform, 0.85, total, total, x, contribution, y,
        following, THREADS,
    )  # fmt: skip


def rank_image(kernels: Kernels) -> Call:
    """The pass of PageRank that proves."""
    indptr, indices = in_rows()
    uniform = np.full(1, 1 / NODES)
    x, contribution, y = reals((NODES,), 4), reals((NODES,), 5), np.empty(NODES)
    return lambda: kernels.rank_image(
        indptr, indices, None, uniform, uniform, 0.85, 1.0, 0.1, 64.0, x, contribution, y, THREADS
    )


def rank_image_columns(kernels: Kernels) -> Call:
    """The pass that proves, for several columns."""
    indptr, indices = in_rows()
    uniform, total = np.full((1, COLUMNS), 1 / NODES), np.ones(COLUMNS)
    x, contribution, y = reals((3, NODES, COLUMNS), 4)
    return lambda: kernels.rank_image_columns(
        indptr, indices, None, uniform, uniform, 0.85, total, total, 64.0, x, contribution, y,
        THREADS,
    )  # fmt: skip


def difference_gram(kernels: Kernels) -> Call:
    """Products of differences of vectors."""
    x = reals((VECTORS + 1, NODES), 6)
    return lambda: kernels.difference_gram(x, THREADS)


def combine(kernels: Kernels) -> Call:
    """A combination of vectors."""
    coefficients, x, y = reals((VECTORS,), 7), reals((VECTORS, NODES), 8), np.empty(NODES)
    return lambda: kernels.combine(coefficients, x, y, THREADS)


def sparse_times(kernels: Kernels, dtype: str) -> Call:
    """Sparse rows times a tile of columns, and one more."""
    indptr = np.arange(0, 20 * NODES + 1, 20)
    indices = (scrambled(20 * NODES, 8) % NODES).astype(np.uint32)
    values, b = reals((20 * NODES,), 9).astype(dtype), reals((NODES, 9), 10)
    shift, out = reals((9,), 11), np.empty((NODES, 9))
    return lambda: kernels.sparse_times(indptr, indices, values, b, shift, out, THREADS)


def sparse_gram_times(kernels: Kernels, dtype: str) -> Call:
    """Sparse rows and their transpose times two tiles of rows, the second not full."""
    indptr = np.arange(0, 20 * NODES + 1, 20)
    indices = (scrambled(20 * NODES, 8) % NODES).astype(np.uint32)
    values, b = reals((20 * NODES,), 9).astype(dtype), reals((9, NODES), 10).astype(dtype)
    offset, out, moments = reals((9,), 11).astype(dtype), np.empty((9, NODES), dtype), np.empty(9)
    return lambda: kernels.sparse_gram_times(
        indptr, indices, values, b, None, offset, 4, out, moments, THREADS
    )


def small_matrices(rows: int) -> NDArray[np.float64]:
    """A few hundred matrices whose pivots are in all places."""
    return reals((SMALL_BATCH, rows, rows), 10)


def small_solve(kernels: Kernels, rows: int) -> Call:
    """Solve small systems."""
    a, b = small_matrices(rows), reals((SMALL_BATCH, rows, 1), 11)
    x = np.empty_like(b)
    return lambda: kernels.small_solve(a, b, x, THREADS)


def small_inverse(kernels: Kernels, rows: int) -> Call:
    """Invert small matrices."""
    a, x = small_matrices(rows), np.empty((SMALL_BATCH, rows, rows))
    return lambda: kernels.small_inverse(a, x, THREADS)


def small_det(kernels: Kernels, rows: int) -> Call:
    """Determinants of small matrices."""
    a, det = small_matrices(rows), np.empty(SMALL_BATCH)
    return lambda: kernels.small_det(a, det, THREADS)


def small_solve_plain(kernels: Kernels) -> Call:
    """A system whose checks take longer."""
    a, b = small_matrices(4)[0], reals((4,), 11)
    return lambda: kernels.small_solve_plain(a, b)


def small_inverse_plain(kernels: Kernels) -> Call:
    """The same for an inverse."""
    a = small_matrices(4)[0]
    return lambda: kernels.small_inverse_plain(a)


def small_det_plain(kernels: Kernels) -> Call:
    """The same for a determinant."""
    a = small_matrices(4)[0]
    return lambda: kernels.small_det_plain(a)


def small_eigh_plain(kernels: Kernels) -> Call:
    """The same for eigenvectors."""
    a = small_matrices(4)[0]
    return lambda: kernels.small_eigh_plain(a, True)


def small_eigh(kernels: Kernels, rows: int) -> Call:
    """Eigenvalues and eigenvectors of small matrices."""
    a, values = small_matrices(rows), np.empty((SMALL_BATCH, rows))
    vectors = np.empty_like(a)
    return lambda: kernels.small_eigh(a, True, values, vectors, THREADS)


def small_qr(kernels: Kernels, rows: int, columns: int) -> Call:
    """Factorise small matrices."""
    a, k = reals((SMALL_BATCH, rows, columns), 10), min(rows, columns)
    q, r = np.empty((SMALL_BATCH, rows, k)), np.empty((SMALL_BATCH, k, columns))
    return lambda: kernels.small_qr(a, q, r, THREADS)


def in_graph() -> Graph:
    """The same links as a graph."""
    return Graph(node_ids(1), node_ids(2), num_nodes=NODES)


def component_order(kernels: Kernels) -> Call:
    """Find strong components."""
    g, order = in_graph(), np.empty(NODES, np.uint32)
    is_sink = (g.out_strength() == 0).view(np.uint8)
    return lambda: kernels.component_order(g.indptr, g.indices, is_sink, order)


def degree_order(kernels: Kernels) -> Call:
    """Sort nodes by degree."""
    g, order = in_graph(), np.empty(NODES, np.uint32)
    degree = g.out_strength()
    is_sink = (degree == 0).view(np.uint8)
    return lambda: kernels.degree_order(g.indptr, degree, is_sink, order, THREADS)


def permute_nodes(kernels: Kernels) -> Call:
    """Bring what is known of nodes into another order."""
    g = in_graph()
    order = _order()
    out = np.empty(NODES, np.uint32), np.empty(NODES + 1, np.int64), np.empty(NODES)
    strength = g.out_strength()
    return lambda: kernels.permute_nodes(order, g.indptr, strength, *out, THREADS)


def gather_values(kernels: Kernels) -> Call:
    """Bring some columns into another order."""
    order, values = _order(), np.ones((NODES, 2 * COLUMNS))
    out = np.empty((NODES, COLUMNS))
    return lambda: kernels.gather_values(order, values, COLUMNS, COLUMNS, out, THREADS)


def scatter_values(kernels: Kernels) -> Call:
    """Bring some columns back."""
    order, values = _order(), np.ones((NODES, COLUMNS))
    out = np.empty((NODES, 2 * COLUMNS))
    return lambda: kernels.scatter_values(order, values, out, COLUMNS, COLUMNS, THREADS)


def _order() -> NDArray[np.uint32]:
    return np.random.default_rng(5).permutation(NODES).astype(np.uint32)


def permute_rows(kernels: Kernels) -> Call:
    """Bring rows into another order."""
    g = in_graph()
    prepared = prepare(g)
    position = np.argsort(prepared.order).astype(np.uint32)
    return lambda: kernels.permute_rows(g.indptr, g.indices, None, position, prepared.plan, THREADS)


def rank_solve(kernels: Kernels) -> Call:
    """Nine sweeps over components, with two combinations."""
    prepared = prepare(in_graph())
    base, y, c = np.full(1, 1 / NODES), np.full(NODES, 1 / NODES), np.empty(2 * NODES)
    return lambda: kernels.rank_solve(
        prepared.plan, prepared.inverse_strength, base, 0.85, 0.0, 9, y, c, THREADS
    )


def rank_solve_columns(kernels: Kernels) -> Call:
    """Nine sweeps for several columns."""
    prepared = prepare(in_graph())
    base = reals((NODES, COLUMNS), 9)
    y, c = np.ones((NODES, COLUMNS)), np.empty((2 * NODES, COLUMNS))
    return lambda: kernels.rank_solve_columns(
        prepared.plan, prepared.inverse_strength, base, 0.85, 0.0, 9, y, c, THREADS
    )


def rank_push(kernels: Kernels, weighted: bool = False) -> Call:
    """Push from two seeds until most nodes are found."""
    indptr, indices = in_rows()
    weights = strength = None
    if weighted:
        weights, rows = reals((EDGES,), 3), np.repeat(np.arange(NODES), np.diff(indptr))
        strength = np.bincount(rows, weights, NODES)
    seeds, base = np.array([3, 70], np.uint32), np.full(2, 0.075)
    nodes, ranks, images = np.empty(NODES, np.uint32), np.empty(NODES), np.empty(NODES)
    return lambda: kernels.rank_push(
        indptr, indices, weights, strength, seeds, base, 0.85, 1e-3, 1 << 40, nodes, ranks, images
    )


def matmul(
    kernels: Kernels, m: int, k: int, n: int, count: int = 1, dtype: str = "d", turned: bool = False
) -> Call:
    """Products of matrices."""
    a, b = reals((count, m, k), 10).astype(dtype), reals((count, k, n), 11).astype(dtype)
    if turned:
        b = np.ascontiguousarray(b.swapaxes(1, 2)).swapaxes(1, 2)
    out = np.empty((count, m, n), dtype)
    return lambda: kernels.matmul(a, b, out, THREADS)


def matmul_strassen(kernels: Kernels) -> Call:
    """A product that is cut into quarters twice, of sides that are not halved evenly."""
    a, b, out = reals((90, 101), 18), reals((101, 110), 19), np.empty((90, 110))
    return lambda: kernels.matmul_strassen(a, b, out, 2, THREADS)


def short_numbers(shape: tuple[int, int], salt: int) -> NDArray[np.int8]:
    """All numbers of 8 bits."""
    return scrambled(shape[0] * shape[1], salt).astype(np.int8).reshape(shape)


def matmul_short(kernels: Kernels, turned: bool = False) -> Call:
    """A product of numbers of 8 bits with sums of 32."""
    a, b = short_numbers((100, 90), 20), short_numbers((90, 80), 21)
    if turned:
        a, b = np.asfortranarray(a), np.asfortranarray(b)
    out = np.empty((100, 80), np.uint32)
    return lambda: kernels.matmul_short(a, b, out, THREADS)


def matmul_bool(kernels: Kernels) -> Call:
    """A product of bools of which one in 16 is true."""
    a, b = short_numbers((300, 200), 22) < -112, short_numbers((200, 400), 23) < -112
    out = np.empty((300, 400), bool)
    return lambda: kernels.matmul_bool(a, b, out, THREADS)


def matmul_plain(kernels: Kernels) -> Call:
    """A product whose checks take longer."""
    a, b = reals((4, 4), 12), reals((4, 4), 13)
    return lambda: kernels.matmul_plain(a, b, None)


def gram(kernels: Kernels) -> Call:
    """A product of a matrix with itself."""
    x, out = reals((300, 100), 14), np.empty((100, 100))
    return lambda: kernels.gram(x, out, THREADS)


def gram_plain(kernels: Kernels) -> Call:
    """A Gram matrix whose checks take longer."""
    x = reals((8, 4), 15)
    return lambda: kernels.gram_plain(x)


def solve_right(kernels: Kernels) -> Call:
    """Many rows against a small triangle."""
    a, u = reals((2000, 12), 16), np.triu(reals((12, 12), 17)) + 9 * np.eye(12)
    out = np.empty_like(a)
    return lambda: kernels.solve_right(a, u, out, THREADS)


def centred_gram(kernels: Kernels, weighted: bool = False, is_wide: bool = False) -> Call:
    """Products of the deviations of two arrays."""
    k, n = (300, 260) if is_wide else (5000, 12)
    x, y, shift = reals((k, n), 18), reals((k, 1), 19), reals((n + 1,), 20)
    scale = reals((k,), 21) if weighted else None
    return lambda: kernels.centred_gram(x, y, shift, scale, THREADS)


def solved_gram(kernels: Kernels) -> Call:
    """The Gram matrix of many rows against small triangles."""
    a, u = reals((2000, 12), 16), np.triu(reals((2, 12, 12), 17)) + 9 * np.eye(12)
    out = np.empty((12, 12))
    return lambda: kernels.solved_gram(a, None, u, out, THREADS)


def gram_times(kernels: Kernels, dtype: str) -> Call:
    """Some groups of rows times a panel and a part of one."""
    x, b = reals((250, 700), 33).astype(dtype), reals((11, 700), 34).astype(dtype)
    offset, y, out = np.ones(11, dtype), np.empty((250, 11), dtype), np.empty((11, 700), dtype)
    return lambda: kernels.gram_times(x, b, offset, y, out, THREADS)


def project_rows(kernels: Kernels, dtype: str) -> Call:
    """Coordinates and squared errors of several blocks of rows."""
    x, basis = reals((500, 70), 33).astype(dtype), reals((9, 70), 34).astype(dtype)
    shift, out, errors = np.ones((2, 70), dtype), np.empty((500, 9), dtype), np.empty(500)
    return lambda: kernels.project_rows(x, shift, basis, out, errors, THREADS)


def reconstruct_rows(kernels: Kernels, dtype: str) -> Call:
    """Several blocks of rows from their coordinates."""
    y, basis = reals((500, 9), 33).astype(dtype), reals((9, 70), 34).astype(dtype)
    shift, out = np.ones((2, 70), dtype), np.empty((500, 70), dtype)
    return lambda: kernels.reconstruct_rows(y, basis, shift, out, THREADS)


def pairwise_distances(kernels: Kernels, is_own: bool, dtype: str) -> Call:
    """Distances of random rows, few of which are near to each other."""
    x, y = reals((150, 70), 18).astype(dtype), reals((130, 70), 19).astype(dtype)
    out = np.empty((len(x), len(x if is_own else y)), dtype)
    other = None if is_own else y
    return lambda: kernels.pairwise_distances(x, None, other, None, EUCLIDEAN, out, THREADS)


def kneighbors(kernels: Kernels) -> Call:
    """The nearest of random rows."""
    x, y = reals((100, 70), 20).astype("f"), reals((1000, 70), 21).astype("f")
    distances, indices = np.empty((100, 5), "f"), np.empty((100, 5), np.int64)
    return lambda: kernels.kneighbors(x, None, y, None, EUCLIDEAN, distances, indices, THREADS)


def bucket_counts(dst: NDArray[np.uint32]) -> NDArray[np.int64]:
    """What the kernel of almost this name computes."""
    tiles = np.arange(EDGES) // TILE_EDGES
    cells = np.bincount(tiles * BUCKETS + (dst >> SHIFT), minlength=TILES * BUCKETS)
    return cells.reshape(TILES, BUCKETS)


def bucket_count(kernels: Kernels) -> Call:
    """Count edges by bucket."""
    dst, counts = node_ids(2), np.zeros((TILES, BUCKETS), np.int64)
    return lambda: kernels.bucket_count(dst, SHIFT, counts, THREADS)


def bucket_scatter(kernels: Kernels, weighted: bool = False) -> Call:
    """Move edges into buckets."""
    src, dst = node_ids(1), node_ids(2)
    by_bucket = offsets(bucket_counts(dst).T.ravel())[:-1]
    positions = np.ascontiguousarray(by_bucket.reshape(BUCKETS, TILES).T)
    weights = reals((EDGES,), 3) if weighted else None
    out_weights = np.empty(EDGES) if weighted else None
    out_src, out_local = np.empty(EDGES, np.uint32), np.empty(EDGES, np.uint16)
    return lambda: kernels.bucket_scatter(
        src, dst, weights, SHIFT, positions, out_src, out_local, out_weights, THREADS
    )


def bucket_sort(kernels: Kernels, weighted: bool = False) -> Call:
    """Sort the edges of each bucket."""
    src, dst = node_ids(1), node_ids(2)
    order = np.argsort(dst >> SHIFT, kind="stable")
    bounds = offsets(np.bincount(dst >> SHIFT, minlength=BUCKETS))
    local = (dst[order] & ((1 << SHIFT) - 1)).astype(np.uint16)
    weights = reals((EDGES,), 3) if weighted else None
    sources, indptr = src[order], np.empty(NODES + 1, np.int64)
    return lambda: kernels.bucket_sort(
        NODES, SHIFT, bounds, local, sources, weights, indptr, THREADS
    )


def out_strength(kernels: Kernels, weighted: bool = False) -> Call:
    """Sum the weights of links out of each node."""
    indices, strength = in_rows()[1], np.zeros(NODES)
    weights = reals((EDGES,), 3) if weighted else None
    return lambda: kernels.out_strength(indices, weights, strength, THREADS)


def mark_ids(kernels: Kernels) -> Call:
    """Mark the ids that occur."""
    ids, present = node_ids(1), np.zeros(NODES, np.uint8)
    return lambda: kernels.mark_ids(ids, present, THREADS)


def relabel(kernels: Kernels) -> Call:
    """Replace ids by their rank."""
    table, ids = np.arange(NODES, dtype=np.uint32)[::-1].copy(), node_ids(1)
    return lambda: kernels.relabel(table, ids, THREADS)


def rmat_edges(kernels: Kernels) -> Call:
    """Make edges of an R-MAT graph."""
    src, dst = np.empty(EDGES // 8, np.uint32), np.empty(EDGES // 8, np.uint32)
    return lambda: kernels.rmat_edges(16, 1, 0, src, dst, THREADS)


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


#: Makers of calls. The first word of a name is the method of `Kernels` that is called.
CASES: dict[str, Callable[[Kernels], Call]] = {
    "rank_pull": rank_pull,
    "rank_solve": rank_solve,
    "rank_pull_columns": rank_pull_columns,
    "rank_image": rank_image,
    "rank_image_columns": rank_image_columns,
    "rank_solve_columns": rank_solve_columns,
    "rank_push": rank_push,
    "rank_push weighted": lambda kernels: rank_push(kernels, weighted=True),
    "component_order": component_order,
    "degree_order": degree_order,
    "permute_nodes": permute_nodes,
    "gather_values": gather_values,
    "scatter_values": scatter_values,
    "permute_rows": permute_rows,
    "rank_pull weighted": lambda kernels: rank_pull(kernels, weighted=True),
    "difference_gram": difference_gram,
    "combine": combine,
    "sparse_times": lambda kernels: sparse_times(kernels, "d"),
    "sparse_times single": lambda kernels: sparse_times(kernels, "f"),
    "sparse_gram_times": lambda kernels: sparse_gram_times(kernels, "d"),
    "sparse_gram_times single": lambda kernels: sparse_gram_times(kernels, "f"),
    "small_solve 4x4": lambda kernels: small_solve(kernels, 4),
    "small_solve 8x8": lambda kernels: small_solve(kernels, 8),
    "small_inverse 4x4": lambda kernels: small_inverse(kernels, 4),
    "small_inverse 8x8": lambda kernels: small_inverse(kernels, 8),
    "small_det 4x4": lambda kernels: small_det(kernels, 4),
    "small_det 8x8": lambda kernels: small_det(kernels, 8),
    "small_eigh 4x4": lambda kernels: small_eigh(kernels, 4),
    "small_eigh 8x8": lambda kernels: small_eigh(kernels, 8),
    "small_solve_plain": small_solve_plain,
    "small_inverse_plain": small_inverse_plain,
    "small_det_plain": small_det_plain,
    "small_eigh_plain": small_eigh_plain,
    "small_qr 3x3": lambda kernels: small_qr(kernels, 3, 3),
    "small_qr 16x4": lambda kernels: small_qr(kernels, 16, 4),
    "matmul": lambda kernels: matmul(kernels, 100, 90, 80),
    "matmul packed": lambda kernels: matmul(kernels, 520, 520, 520, dtype="f"),
    "matmul turned": lambda kernels: matmul(kernels, 30, 300, 70, turned=True),
    "matmul stack": lambda kernels: matmul(kernels, 4, 4, 4, count=1000),
    "matmul vector": lambda kernels: matmul(kernels, 300, 200, 1),
    "matmul complex": lambda kernels: matmul(kernels, 40, 50, 60, dtype="D"),
    "matmul integers": lambda kernels: matmul(kernels, 40, 50, 60, dtype="Q"),
    "matmul_strassen": matmul_strassen,
    "matmul_short": matmul_short,
    "matmul_short turned": lambda kernels: matmul_short(kernels, turned=True),
    "matmul_bool": matmul_bool,
    "matmul_plain": matmul_plain,
    "gram": gram,
    "gram_plain": gram_plain,
    "solve_right": solve_right,
    "centred_gram": centred_gram,
    "centred_gram weighted": lambda kernels: centred_gram(kernels, weighted=True),
    "centred_gram wide": lambda kernels: centred_gram(kernels, is_wide=True),
    "solved_gram": solved_gram,
    "gram_times": lambda kernels: gram_times(kernels, "f"),
    "gram_times double": lambda kernels: gram_times(kernels, "d"),
    "project_rows": lambda kernels: project_rows(kernels, "f"),
    "project_rows double": lambda kernels: project_rows(kernels, "d"),
    "reconstruct_rows": lambda kernels: reconstruct_rows(kernels, "f"),
    "reconstruct_rows double": lambda kernels: reconstruct_rows(kernels, "d"),
    "pairwise_distances": lambda kernels: pairwise_distances(kernels, False, "f"),
    "pairwise_distances own": lambda kernels: pairwise_distances(kernels, True, "d"),
    "kneighbors": kneighbors,
    "bucket_count": bucket_count,
    "bucket_scatter": bucket_scatter,
    "bucket_scatter weighted": lambda kernels: bucket_scatter(kernels, weighted=True),
    "bucket_sort": bucket_sort,
    "bucket_sort weighted": lambda kernels: bucket_sort(kernels, weighted=True),
    "out_strength": out_strength,
    "out_strength weighted": lambda kernels: out_strength(kernels, weighted=True),
    "mark_ids": mark_ids,
    "relabel": relabel,
    "rmat_edges": rmat_edges,
    "parse_edges": parse_edges,
    "parse_edges weighted": lambda kernels: parse_edges(kernels, weighted=True),
    "parse_edges spans": lambda kernels: parse_edges(kernels, spans=True),
    "interner": interner,
    "bvgraph_rows": bvgraph_rows,
    "bvgraph_rows offsets": lambda kernels: bvgraph_rows(kernels, by_offsets=True),
    "bvgraph_offsets": bvgraph_offsets,
}
#: Methods of `Kernels` that compute nothing.
NOT_COUNTED = {"name", "isa", "get_num_threads", "set_num_threads"}


def uncounted_kernels() -> set[str]:
    """Methods of `Kernels` that no case calls."""
    methods = {name for name in vars(Kernels) if not name.startswith("_")}
    return methods - NOT_COUNTED - {name.split()[0] for name in CASES}


def count(call: Call) -> None:
    """Make a call between two marks."""
    mark = os.getppid
    mark()
    call()
    mark()


def main() -> None:
    """Count an empty call, then every case; each after a first call that is not counted."""
    gc.disable()
    kernels = _backend.kernels()
    count(lambda: None)
    for make in CASES.values():
        make(kernels)()
        count(make(kernels))


if __name__ == "__main__":
    main()
