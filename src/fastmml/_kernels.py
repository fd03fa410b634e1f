"""The contract of every kernel, documented once; both backends satisfy it.

All arrays are C-contiguous, aligned, of exactly the dtype named here and already validated by the
public functions. Arrays called ``out`` in a docstring are written, all others are only read.
Results do not depend on ``threads``, bit for bit. Long kernels raise ``KeyboardInterrupt`` on
Ctrl-C and ``MemoryError`` when scratch memory cannot be had.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
U64: TypeAlias = NDArray[np.uint64]
U32: TypeAlias = NDArray[np.uint32]
U16: TypeAlias = NDArray[np.uint16]
U8: TypeAlias = NDArray[np.uint8]
#: float64 or float32, the same for all of a kernel's arguments of this type.
Real: TypeAlias = NDArray[Any]

Bool: TypeAlias = NDArray[np.bool_]
#: What a function returns that is called by another.
T = TypeVar("T")
#: bool, int8, uint8 or int16.
Short: TypeAlias = NDArray[Any]

#: Edges are counted and scattered in tiles of this many (FML_TILE_EDGES in csrc/fastmml.h).
TILE_EDGES = 1 << 16


class EdgeFormat(NamedTuple):
    """How the lines of an edge list look."""

    spans: bool  #: ids are text: report where each stands, ``offset << 32 | length``
    delimiter: str  #: one character; a space stands for any run of spaces and tabs
    columns: int  #: how many every line has, at least 2
    weighted: bool  #: the third column is a weight
    comments: str  #: a line whose first visible character is one of these (at most 7) is skipped


class EdgeReport(NamedTuple):
    """What `Kernels.parse_edges` found."""

    edges: int
    lines: int
    min_id: int
    max_id: int
    fault: int  #: 0, or a key of `LINE_FAULTS`
    fault_line: int  #: counted from 0
    fault_offset: int  #: where that line starts in the text


#: Kinds of segments (fml_segment_kind in csrc/fastmml.h): each node depends on earlier ones and
#: itself, on any of the segment, on none of it.
ACYCLIC, CYCLIC, INDEPENDENT = 0, 1, 2
#: Links to node 0 that follow the last row of a plan.
PLAN_PADDING = 4
#: Most blocks in a wave.
WAVE_BLOCKS = 4
#: Columns that kernels for several of them take side by side.
COLUMNS = 8
#: What becomes of a squared distance (fml_distance in csrc/fastmml.h): its root, itself, its half,
#: at most 2.
EUCLIDEAN, SQEUCLIDEAN, COSINE = 0, 1, 2
#: Most rows of a matrix that kernels on many small ones take (FML_SMALL_ROWS in csrc/fastmml.h).
SMALL_ROWS = 16
#: The same for `Kernels.small_qr` (FML_SMALL_QR_ROWS).
SMALL_QR_ROWS = 32


class RankPlan(NamedTuple):
    """A graph in the order in which its ranks are solved.

    Nodes are renumbered and lie in segments that depend on earlier segments only; those of a level
    do not depend on each other. A segment is cut
    into blocks; block b of a cyclic one is swept in wave b modulo its number of waves, at the same
    time as the others of that wave. A row starts with its links from earlier segments;
    ``source + n`` stands for a link from another block of the same wave, which reads the value from
    before the sweep.
    """

    indptr: I64  #: (n + 1,)
    indices: U32  #: (links + PLAN_PADDING,)
    weights: F64 | None  #: (links + PLAN_PADDING,)
    earlier: (
        U32  #: (n,): links of each row from earlier segments; in acyclic ones, from other nodes
    )
    blocks: I64  #: where each block starts, and n
    segments: I64  #: the first block of each segment, and the number of blocks
    kinds: U8  #: of each segment
    waves: U8  #: of each segment, at least 1
    levels: I64  #: the first segment of each level, and the number of segments
    kept: F64 | None  #: (n,): the weight of each node's links within its segment; None: no scaling


#: Why a line was refused (fml_line_fault in csrc/fastmml.h).
LINE_FAULTS = {
    1: "expected {columns} columns",
    2: "a node id is not an integer",
    3: "a node id is beyond 64 bits",
    4: "the weight is not a finite number of at least 0 (in at most 255 characters)",
    5: "a quoted field does not close, or holds a quote",
}

#: How the numbers of a BVGraph are coded (fml_coding in csrc/fastmml.h).
CODINGS = {"GAMMA": 0, "DELTA": 1, "UNARY": 2, "ZETA": 3, "NIBBLE": 4}


class BvgraphFormat(NamedTuple):
    """How the rows of a BVGraph are coded: values of `CODINGS`, and its parameters."""

    degrees: int
    references: int
    block_counts: int
    blocks: int
    residuals: int
    zeta_k: int  #: 1 to 31
    window: int  #: how far back a row refers, at least 0; 0: no row refers to another
    min_interval: int  #: at least 0; 0: no intervals


class RowReport(NamedTuple):
    """What `Kernels.bvgraph_rows` and `Kernels.bvgraph_offsets` found."""

    fault: int  #: 0, or a key of `ROW_FAULTS`
    node: int  #: of the first row refused
    bits: int  #: where the last one ends, in bits, when none was


#: Why a row was refused (fml_row_fault in csrc/fastmml.h).
ROW_FAULTS = {
    1: "the stream ends within it, or a number in it has more than 62 bits",
    2: "it has more links than there are nodes, or than the header leaves for it",
    3: "it refers to a row beyond the window or before the first",
    4: "it copies more links than the row that it refers to has, or than it has itself",
    5: "its intervals go beyond the nodes, or hold more links than it has",
    6: "it links beyond the nodes",
    7: "it has a link twice",
    8: "it is not where the offsets say",
}


class Interner(Protocol):
    """A table that numbers distinct byte strings in the order in which they first appear."""

    def __len__(self) -> int:
        """How many distinct strings were added."""
        ...

    def add(self, text: U8, first: I64, second: I64, first_ids: U32, second_ids: U32) -> None:
        """Number the strings of ``text`` at the spans ``first[0], second[0], first[1], ...``.

        A span is ``offset << 32 | length``. ``first_ids`` and ``second_ids`` (out, as long as
        ``first``) receive the numbers. Raises OverflowError past 2**32 - 1 distinct strings.
        """
        ...

    def labels(self) -> tuple[I64, U8]:
        """Offsets (length + 1) and the bytes of all strings, end to end."""
        ...


class Kernels(Protocol):
    """A backend: an object with these methods."""

    @property
    def name(self) -> str:
        """``"native"`` or ``"numba"``."""
        ...

    @property
    def isa(self) -> str:
        """The CPU level that the kernels were compiled for."""
        ...

    def get_num_threads(self) -> int:
        """How many threads kernels use by default in the calling thread."""
        ...

    def set_num_threads(self, threads: int) -> None:
        """Set what `get_num_threads` answers in the calling thread."""
        ...

    def with_team(self, function: Callable[[], T], threads: int) -> T:
        """Call a function of several kernels, between which their threads stay awake.

        Only those that share their loops with a team (csrc/team.h) use threads meanwhile.
        """
        ...

    def empty(
        self, shape: int | tuple[int, ...], dtype: DTypeLike, order: Literal["C", "F"] = "C"
    ) -> NDArray[Any]:
        """Like `numpy.empty`, for an array that is written from end to end.

        Large ones lie on large pages, in memory of large arrays that were dropped where there is
        some: first touches of new memory take as long as a product of small matrices.
        """
        ...

    # ---- PageRank ----

    def rank_pull(
        self,
        indptr: I64,
        indices: U32,
        weights: F64 | None,
        inverse_strength: Real,
        teleport: Real,
        jump: Real,
        damping: float,
        total: float,
        mass: float,
        x: Real,
        contribution: Real,
        y: Real,
        next_contribution: Real,
        threads: int,
    ) -> tuple[float, float]:
        """One pass of the PageRank map.

        ``y = damping (Pᵀx + mass jump) + (1 - damping) total teleport``, where ``total`` is the sum
        of x and ``mass`` that of dangling nodes.

        Row i of ``(indptr, indices, weights)`` lists the links into node i. With
        ``contribution = x * inverse_strength`` given, ``(Pᵀx)[i]`` is the sum of
        ``weights * contribution`` over row i. ``inverse_strength`` (n,) is 0 for dangling nodes.
        ``teleport`` and ``jump`` have n values, or 1 that stands for all. Out: ``y`` (n,) and
        ``next_contribution = y * inverse_strength`` (n,).

        Returns ``(sum |y - x|, sum of y over dangling nodes)``. Reads 4 bytes a link (12 with
        weights) and about 50 bytes a node.
        """
        ...

    def rank_image(
        self,
        indptr: I64,
        indices: U32,
        weights: F64 | None,
        teleport: F64,
        jump: F64,
        damping: float,
        total: float,
        mass: float,
        roundings: float,
        x: F64,
        contribution: F64,
        y: F64,
        threads: int,
    ) -> tuple[float, float]:
        """The pass of `rank_pull` over ranks ``x`` up to their scale, as a proof needs it.

        Out: ``y``, that pass's divided by ``total``, negative entries replaced by 0. Returns
        ``sum |y total - x|``, before those are replaced, and the sum of each y times the number of
        its links and ``roundings``.
        """
        ...

    def rank_solve(
        self,
        plan: RankPlan,
        inverse_strength: F64,
        base: F64,
        damping: float,
        tolerance: float,
        max_sweeps: int,
        y: F64,
        c: F64,
        threads: int,
    ) -> tuple[float, float, int]:
        """Solve ``y = damping Pᵀy + base`` segment by segment.

        y (n, inout) holds a guess at first. A cyclic segment is swept by Gauss-Seidel until the
        1-norm of the next sweep's change, as far as the last ones tell, is at most ``tolerance``
        times the segment's share of the nodes of cyclic segments (that of the last one is at most
        ten times as much), or ``max_sweeps`` are spent. Where the plan has ``kept``, every sweep is
        scaled so that the sum of the segment's ranks is its base and what it keeps. ``base`` has
        length n, or 1 for a uniform one; c (2 n, out) receives ``y * inverse_strength``, twice.

        Returns the sum of y, its sum over dangling nodes, and the number of links read.
        """
        ...

    def rank_pull_columns(
        self,
        indptr: I64,
        indices: U32,
        weights: F64 | None,
        inverse_strength: F64,
        teleport: F64,
        jump: F64,
        damping: float,
        total: F64,
        mass: F64,
        x: F64,
        contribution: F64,
        y: F64,
        next_contribution: F64,
        threads: int,
    ) -> tuple[F64, F64]:
        """`rank_pull` for each of `COLUMNS` columns, in one walk over the links.

        All vectors but ``inverse_strength`` have `COLUMNS` columns; ``total`` and ``mass``
        (COLUMNS,), as what is returned.
        """
        ...

    def rank_image_columns(
        self,
        indptr: I64,
        indices: U32,
        weights: F64 | None,
        teleport: F64,
        jump: F64,
        damping: float,
        total: F64,
        mass: F64,
        roundings: float,
        x: F64,
        contribution: F64,
        y: F64,
        threads: int,
    ) -> tuple[F64, F64]:
        """`rank_image` for each of `COLUMNS` columns, in one walk over the links.

        All vectors have `COLUMNS` columns; ``total`` and ``mass`` (COLUMNS,), as what is returned.
        """
        ...

    def rank_solve_columns(
        self,
        plan: RankPlan,
        inverse_strength: F64,
        base: F64,
        damping: float,
        tolerance: float,
        max_sweeps: int,
        y: F64,
        c: F64,
        threads: int,
    ) -> tuple[F64, F64, int]:
        """`rank_solve` for each of `COLUMNS` columns, in one walk over the links.

        ``base``, y and c have `COLUMNS` columns. A segment is swept until all of them are done.
        """
        ...

    def rank_push(
        self,
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
        """Approximate ``y = damping Pᵀy + base`` from the links of nodes near the seeds alone.

        Row i of ``(indptr, indices, weights)`` lists the links out of node i, ``strength`` (None
        without weights) the sums of the rows. ``base`` belongs to the distinct ``seeds`` and is 0
        elsewhere. Out: ``nodes`` that were found, seeds first; their ``ranks``, from below; the
        ``images`` of the ranks under the map, all with room for every node (at most 2**31).

        Goes on until ``damping |images - ranks|`` is at most ``tolerance`` times ``(1 - damping)
        |ranks| + |images - ranks|`` (1-norms), or the next step would read more than ``max_links``
        links. Returns how many nodes were found and how many links read.
        """
        ...

    def difference_gram(self, x: Real, threads: int) -> F64:
        """Gram matrix of the differences ``x[i + 1] - x[i]`` of consecutive rows.

        ``x`` is (count + 1, n), count at least 1; the result is (count, count), exactly symmetric.
        """
        ...

    def combine(self, coefficients: F64, x: Real, y: Real, threads: int) -> float:
        """``y = max(0, coefficients @ x)`` for ``x`` (count, n); ``y`` (n,) is out.

        ``y`` may be anything but a row of ``x``. Returns the sum of y.
        """
        ...

    # ---- sparse rows ----

    def sparse_times(
        self, indptr: I64, indices: U32, values: Real, b: F64, shift: F64, out: F64, threads: int
    ) -> None:
        """``out = A @ b - shift`` (m, columns; out) for the sparse rows of A.

        ``b`` has at least as many rows as the largest index tells, and a column at least, as has
        ``out``, which has a row, too. Indices of a row may come in any order, and repeat.
        """
        ...

    def sparse_gram_times(
        self,
        indptr: I64,
        indices: U32,
        values: Real,
        b: Real,
        scale: F64 | None,
        along: F64 | None,
        parts: int,
        out: Real,
        threads: int,
    ) -> None:
        """``out = b @ C.T @ C`` for ``C = A - np.outer(scale, along)``, in one pass over A.

        A has sparse rows, at least one, as in `sparse_times`; b and ``out`` (count, n) are not
        empty. A ``scale`` (m,) or ``along`` (n,) of None is 1 everywhere. Sums over each of
        ``parts`` parts of the rows are of the type of b, those of parts float64.
        """
        ...

    # ---- many small matrices ----
    #
    # Of one element type, 1 to `SMALL_ROWS` rows, at least one matrix; inputs have any strides.
    # Arithmetic is float64. The result of a matrix does not depend on the others, bit for bit.

    def small_solve(self, a: Real, b: Real, x: Real, threads: int) -> bool:
        """``x`` (batch, n, columns; out) with ``a @ x = b``; ``a`` (batch, n, n).

        Returns whether a pivot of any matrix is 0; ``x`` is of no meaning then.
        """
        ...

    def small_inverse(self, a: Real, x: Real, threads: int) -> bool:
        """Inverses ``x`` (batch, n, n; out) of ``a``; returns what `small_solve` does."""
        ...

    def small_det(self, a: Real, det: Real, threads: int) -> None:
        """Determinants ``det`` (batch,; out) of ``a`` (batch, n, n); 0 where a pivot is 0."""
        ...

    def small_eigh(self, a: Real, upper: bool, values: Real, vectors: Real, threads: int) -> bool:
        """Eigenvalues, ascending, and eigenvectors of symmetric ``a`` (batch, n, n), n >= 2.

        The upper or the lower triangle is read. Out: ``values`` (batch, n), and ``vectors``
        (batch, n, n) with a vector in each column. Returns whether any matrix holds an infinity or
        NaN; its results are NaN.
        """
        ...

    # The same for few matrices that take no preparation, None for everything else, and where the
    # public functions have something to say: a way past their checks, as `matmul_plain`. Arrays
    # have the dimensions that users gave them, two or three.

    def small_solve_plain(self, a: Any, b: Any) -> Real | None:
        """The solution of ``a @ x = b``; a vector ``b`` for one matrix, or as many matrices."""
        ...

    def small_inverse_plain(self, a: Any) -> Real | None:
        """The inverses of ``a``."""
        ...

    def small_det_plain(self, a: Any) -> Any:
        """The determinants of ``a``, or that of a single matrix as a scalar."""
        ...

    def small_eigh_plain(self, a: Any, upper: bool) -> tuple[Real, Real] | None:
        """Eigenvalues and eigenvectors of ``a``."""
        ...

    def small_qr(self, a: Real, q: Real | None, r: Real, threads: int) -> None:
        """Factors of ``a`` (batch, m, n) = q @ r, with m and n at most `SMALL_QR_ROWS`.

        Out: ``q`` (batch, m, k; None: not wanted), of orthonormal columns at any rank, and upper
        triangular ``r`` (batch, k, n); k is m or min(m, n). Where a column of a matrix holds an
        infinity or NaN, it and those to its right are of no meaning.
        """
        ...

    # ---- matrix products ----

    def matmul(self, a: Real, b: Real, out: Real, threads: int) -> None:
        """``out = a @ b`` for stacks of matrices: (..., m, k), (..., k, n) and (..., m, n).

        All three have the same dtype (float64, float32, complex128, complex64, or integers of 64,
        32 or 16 bits, which wrap around) and the same leading dimensions. Unlike elsewhere,
        strides may be any multiple of the size of a real, and 0 or negative in ``a`` and ``b``;
        in ``out`` that of the last or the one before is the size of an element. ``out`` overlaps
        neither ``a`` nor ``b``. Sums of no terms are 0. NaN and infinities as IEEE 754 has them;
        errors are at most gamma(k) |a| |b| elementwise.
        """
        ...

    def matmul_strassen(self, a: Real, b: Real, out: Real, halvings: int, threads: int) -> None:
        """``out = a @ b`` for two matrices, by Winograd's form of Strassen's algorithm.

        Dtypes as in `matmul`. Products are cut into quarters ``halvings`` times, and no size is
        below ``2**halvings``. Rows of ``out`` are contiguous, rows or columns of a and of b.
        ``out`` overlaps neither. Whole numbers are exact; of others, errors are bounded as
        `fastmml.matmul` says.
        """
        ...

    def matmul_short(self, a: Short, b: Short, out: U32, threads: int) -> None:
        """``out = a @ b`` for two matrices of short numbers, with sums of 32 bits that wrap around.

        a and b are of int8, uint8 or int16 each, with strides as in `matmul`. Rows of ``out``
        are contiguous; it overlaps neither.
        """
        ...

    def matmul_bool(self, a: Bool, b: Bool, out: Bool, threads: int) -> None:
        """``out = a @ b`` for two matrices of bools: "or" of "and".

        a and b have any strides. Rows of ``out`` are contiguous; it overlaps neither.
        """
        ...

    def matmul_plain(self, a: Any, b: Any, out: Any, /) -> Any:
        """``a @ b``, in ``out`` if that is not None, where it takes no preparation; else None.

        A way past the checks of `fastmml.matmul`, which take longer than a small product: for two
        arrays of the same dtype that fit together and can be read as they lie.
        """
        ...

    def matmul_short_plain(self, a: Any, b: Any, dtype: Any, /) -> Any:
        """The same for two matrices that `matmul_short` takes, with a new result of ``dtype``."""
        ...

    def gram(self, x: Real, out: Real, threads: int) -> None:
        """``out = x* @ x`` for x (k, n) of strides and dtypes as in `matmul`.

        ``out`` (n, n) is C-contiguous, and exactly Hermitian in the end.
        """
        ...

    def gram_plain(self, x: Any) -> Real | None:
        """The Gram matrix of x where that takes no preparation, as in `matmul_plain`."""
        ...

    def solve_right(self, a: Real, u: Real, out: Real, threads: int) -> None:
        """``out = a @ inv(u[0]) @ inv(u[1]) ...``, by substitution, for upper triangles.

        u is (n, n) or (count, n, n), of diagonals that are not 0, and what is below them is not
        read. a (m, n) has any strides; u and ``out`` (m, n) are C-contiguous, and ``out`` may be
        a. All are of one dtype, float64 or float32. Each row solves a system whose u differs by at
        most gamma(n) |u|.
        """
        ...

    def centred_gram(self, x: Real, y: Real, shift: Real, scale: Real | None, threads: int) -> F64:
        """Gram matrix of the rows ``scale * (x - shift, y - shift, 1)``, exactly symmetric.

        x (k, n) and y (k, p) have any strides, as in `matmul`; p may be 0. ``shift`` (n + p,) and
        ``scale`` (k,) are of their dtype, float64 or float32; no scale is one of ones. The result
        is (n + p + 1, n + p + 1): the last row and column hold the sums of ``scale**2`` times the
        others, and the sum of ``scale**2``. Sums are float64; products of float32 are added up in
        float32 over 1024 rows at most. Reads x and y once.
        """
        ...

    def solved_gram(self, a: Real, b: Real | None, u: Real, out: Real, threads: int) -> None:
        """Gram matrix, exactly symmetric, of what `solve_right` computes and of b beside it.

        u is (count, n, n). b (m, p) has any strides; None stands for no columns. ``out``
        (n + p, n + p) is C-contiguous. Reads a and b once.
        """
        ...

    def gram_times(self, x: Real, b: Real, offset: Real, y: Real, out: Real, threads: int) -> None:
        """``y = x @ b.T - offset`` (m, count) and ``out = y.T @ x`` (count, n), in one pass over x.

        x (m, n) and b (count, n) are not empty. Sums of at most 4096 terms are of their
        type.
        """
        ...

    def residual_products(
        self,
        x: F64,
        y: F64,
        coef: F64,
        constant: F64,
        unit: F64,
        scale: F64 | None,
        products: F64,
        squares: F64,
        threads: int,
    ) -> None:
        """Products of rows with the residuals of a linear model, to some 100 bits.

        With ``rest = unit * y - constant[0] - constant[1] - x @ coef.T`` for x (m, n) and y (m, p)
        of any strides, coef (p, n), and powers of two unit (p,), the sum of the two ``products``
        (2, p, n + 1) is ``(weight * rest).T @ (x, 1)``, for weights ``scale**2``, or 1. ``squares``
        (p,) are ordinary sums of ``weight * rest**2``. No size is 0; rows of weight 0 may be any
        finite numbers.
        """
        ...

    # ---- distances ----

    def pairwise_distances(
        self,
        x: Real,
        x_scale: F64 | None,
        y: Real | None,
        y_scale: F64 | None,
        kind: int,
        out: Real,
        threads: int,
    ) -> None:
        """Distances ``out`` (m, n) between the rows of x (m, k) and those of y (n, k).

        x and y have any strides; nothing is empty, and all numbers are finite. Rows are multiplied
        by their scales, positive, which both x and y have or neither. Without y: between the rows
        of x, exactly symmetric and 0 for equal rows. A squared distance has a relative error of at
        most 4 (k + 48) u, u being half the distance from 1 to the next number, unless it is below
        k times the least normal number divided by u**2 or overflows float64.
        """
        ...

    def kneighbors(
        self,
        x: Real,
        x_scale: F64 | None,
        y: Real | None,
        y_scale: F64 | None,
        kind: int,
        distances: Real,
        indices: I64,
        threads: int,
    ) -> None:
        """The nearest rows of y to each row of x, as many as ``indices`` has columns.

        In ascending order of squared distances that are computed by differences in float64, then
        of indices. Out: ``distances`` and ``indices``. Arguments as in `pairwise_distances`;
        without y: among the other rows of x. There are as many rows.
        """
        ...

    # ---- projections ----

    def project_rows(
        self,
        x: Real,
        shift: Real,
        basis: Real,
        coordinates: Real | None,
        errors: F64 | None,
        threads: int,
    ) -> None:
        """Coordinates ``z @ basis.T`` of the rows ``z = (x - shift[0]) - shift[1]``, in one pass.

        x (m, n), n > 0, has any strides, as in `matmul`; ``shift`` is (2, n) and ``basis`` (k, n)
        of orthonormal rows, of its dtype. Out: ``coordinates`` (m, k), and ``errors`` (m,), the
        squared lengths of ``z - coordinates @ basis``, from this difference and summed up in
        float64; None: not wanted. k may be 0. A row's results do not depend on the other rows,
        but for the numba backend's BLAS.
        """
        ...

    def reconstruct_rows(self, y: Real, basis: Real, shift: Real, out: Real, threads: int) -> None:
        """``out = (y @ basis + shift[1]) + shift[0]``, written once.

        y (m, k) has any strides; ``basis`` is (k, n), n > 0, and ``shift`` (2, n), ``out`` (m, n).
        """
        ...

    # ---- building a graph ----

    def bucket_count(self, dst: U32, shift: int, counts: I64, threads: int) -> None:
        """Count the edges of every tile that fall into every bucket of ``2**shift`` targets.

        ``counts`` (tiles, buckets) is out; tile t holds edges ``t * TILE_EDGES`` and on.
        """
        ...

    def bucket_scatter(
        self,
        src: U32,
        dst: U32,
        weights: F64 | None,
        shift: int,
        positions: I64,
        out_src: U32,
        out_local: U16,
        out_weights: F64 | None,
        threads: int,
    ) -> None:
        """Move every edge to the place that its tile keeps for it in its bucket.

        ``positions`` (tiles, buckets) says where each tile starts to write in each bucket and is
        advanced. Out: the source, the low ``shift`` (at most 16) bits of the target, the weight.
        """
        ...

    def bucket_sort(
        self,
        sources: int,
        shift: int,
        bounds: I64,
        local: U16,
        src: U32,
        weights: F64 | None,
        indptr: I64,
        threads: int,
    ) -> None:
        """Sort every bucket by target, then source, stably.

        Bucket b is ``bounds[b]:bounds[b + 1]`` of ``local`` (targets), ``src`` (all below
        ``sources``) and ``weights`` (both sorted in place). Out: ``indptr`` (n + 1).
        """
        ...

    def component_order(
        self, indptr: I64, indices: U32, is_sink: U8, order: U32
    ) -> tuple[I64, U8, I64]:
        """Order nodes (``order``, out) so that a strong component follows all that link to it.

        Nodes without links out (``is_sink``), from which links count for nothing, come last.
        Returns where segments start, and n; the kind of each: a strong component, or single nodes;
        and the first segment of each level, and their number. Segments of a level do not depend on
        each other.
        """
        ...

    def degree_order(
        self, indptr: I64, out_degree: F64, is_sink: U8, order: U32, threads: int
    ) -> tuple[int, int]:
        """Order nodes (``order``, out) by falling out-degree, rounded down to a power of two.

        Equals by falling number of links in, counted in fours and up to 31 of them. But nodes
        without links in come first and nodes without links out (``is_sink``) last; returns where
        the first kind ends and where the last begins.
        """
        ...

    def permute_nodes(
        self,
        order: U32,
        indptr: I64,
        strength: F64,
        position: U32,
        out_indptr: I64,
        inverse_strength: F64,
        threads: int,
    ) -> None:
        """Make node ``order[i]`` node i: ``position[order] = arange(n)``.

        Out: ``position``; the starts of the rows in the new order, ``out_indptr`` (n + 1); the
        inverse of each strength, 0 for 0, in the new order.
        """
        ...

    def gather_values(
        self, order: U32, values: F64, first: int, count: int, out: F64, threads: int
    ) -> None:
        """``out = values[order, first : first + count]``, the last column repeated.

        ``values`` is (n, k), with at least ``first + count`` columns; ``out`` has ``count`` columns
        or more.
        """
        ...

    def scatter_values(
        self, order: U32, values: F64, out: F64, first: int, count: int, threads: int
    ) -> None:
        """``out[order, first : first + count] = values[:, :count]``."""
        ...

    def permute_rows(
        self,
        indptr: I64,
        indices: U32,
        weights: F64 | None,
        position: U32,
        plan: RankPlan,
        threads: int,
    ) -> None:
        """Fill the plan's ``indices``, ``weights`` and ``earlier`` from rows in the given order.

        Node i becomes node ``position[i]``.
        """
        ...

    def out_strength(self, indices: U32, weights: F64 | None, strength: F64, threads: int) -> None:
        """Sum of the weights of the links out of every node, their number without weights.

        ``strength`` (n,) is out. Weights are summed with compensation (Neumaier): the error is a
        few ulp whatever the degree.
        """
        ...

    def mark_ids(self, ids: U32, present: U8, threads: int) -> None:
        """``present[ids] = 1``; ``present`` starts as zeros and is longer than the largest id."""
        ...

    def relabel(self, table: U32, ids: U32, threads: int) -> None:
        """``ids = table[ids]``, in place."""
        ...

    def rmat_edges(
        self, scale: int, seed: int, first: int, src: U32, dst: U32, threads: int
    ) -> None:
        """Edges ``first, first + 1, ...`` of the R-MAT graph of ``2**scale`` nodes.

        Edge e draws one 64-bit number per level from a counter-based generator, so that any part
        of the graph can be made alone. ``src`` and ``dst`` are out. Every backend makes the same
        edges. See `fastmml.rmat`.
        """
        ...

    # ---- reading text ----

    def parse_edges(
        self, text: U8, format: EdgeFormat, src: I64, dst: I64, weights: F64 | None, threads: int
    ) -> EdgeReport:
        """Parse the lines of ``text`` (the last may lack its newline; below 2 GiB) into edges.

        Out: ``src`` and ``dst`` (ids, or spans when ``format.spans``) and ``weights``. When the
        report counts more lines than the outputs can hold, nothing was parsed. A malformed line
        is reported by ``fault``; it is the first one of the text.
        """
        ...

    def interner(self) -> Interner:
        """An empty `Interner`."""
        ...

    # ---- reading bits ----

    def bvgraph_offsets(self, stream: U8, coding: int, limit: int, offsets: I64) -> RowReport:
        """Decode a stream of differences to ``offsets`` (out), which ascend to at most ``limit``.

        A malformed stream is reported by ``fault``.
        """
        ...

    def bvgraph_rows(
        self,
        stream: U8,
        format: BvgraphFormat,
        offsets: I64 | None,
        indptr: I64,
        indices: U32,
        threads: int,
    ) -> RowReport:
        """Decode the rows of a BVGraph: the links out of each of its nodes, ascending.

        Out: ``indptr`` (nodes + 1) and ``indices``, which may be longer than the rows. With
        ``offsets`` (nodes + 1, ascending, within the stream: where each row starts in bits, and
        where the last ends) rows are decoded on several threads, else on one. Every row is checked;
        the first that is refused is reported by ``fault``, and the outputs are of no meaning then.
        """
        ...
