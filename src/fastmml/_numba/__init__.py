"""The numba backend: every kernel in Python, compiled for the CPU at hand on first use.

It needs no compiler at install, and is what the compiled backend is tested against. The compiled
code is kept in numba's cache (see ``NUMBA_CACHE_DIR``), so that only the first run waits for it.
"""

from __future__ import annotations

import os

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np

from fastmml._numba import (
    _blocks,
    build,
    bvgraph,
    dense,
    distances,
    order,
    push,
    rank,
    residuals,
    rmat,
    solve,
    sparse,
    strassen,
    systems,
    text,
)
from fastmml._numba.intern import NumbaInterner

__all__ = ["NumbaInterner", "NumbaKernels"]


class NumbaKernels:
    """See `fastmml._kernels.Kernels`."""

    name = "numba"

    get_num_threads = staticmethod(_blocks.get_num_threads)
    set_num_threads = staticmethod(_blocks.set_num_threads)
    with_team = staticmethod(_blocks.with_team)
    empty = staticmethod(np.empty)

    rank_pull = staticmethod(rank.rank_pull)
    rank_pull_columns = staticmethod(rank.rank_pull_columns)
    rank_image = staticmethod(rank.rank_image)
    rank_image_columns = staticmethod(rank.rank_image_columns)
    rank_solve = staticmethod(solve.rank_solve)
    rank_solve_columns = staticmethod(solve.rank_solve_columns)
    rank_push = staticmethod(push.rank_push)
    difference_gram = staticmethod(rank.difference_gram)
    combine = staticmethod(rank.combine)

    sparse_times = staticmethod(sparse.sparse_times)
    sparse_gram_times = staticmethod(sparse.sparse_gram_times)

    small_solve = staticmethod(systems.small_solve)
    small_inverse = staticmethod(systems.small_inverse)
    small_det = staticmethod(systems.small_det)
    small_eigh = staticmethod(systems.small_eigh)
    small_solve_plain = staticmethod(systems.small_solve_plain)
    small_inverse_plain = staticmethod(systems.small_inverse_plain)
    small_det_plain = staticmethod(systems.small_det_plain)
    small_eigh_plain = staticmethod(systems.small_eigh_plain)
    small_qr = staticmethod(systems.small_qr)

    matmul = staticmethod(dense.matmul)
    matmul_strassen = staticmethod(strassen.matmul_strassen)
    matmul_short = staticmethod(dense.matmul_short)
    matmul_bool = staticmethod(dense.matmul_bool)
    matmul_plain = staticmethod(dense.matmul_plain)
    matmul_short_plain = staticmethod(dense.matmul_short_plain)
    gram = staticmethod(dense.gram)
    gram_plain = staticmethod(dense.gram_plain)
    solve_right = staticmethod(dense.solve_right)
    centred_gram = staticmethod(dense.centred_gram)
    solved_gram = staticmethod(dense.solved_gram)
    gram_times = staticmethod(dense.gram_times)
    residual_products = staticmethod(residuals.residual_products)
    project_rows = staticmethod(dense.project_rows)
    reconstruct_rows = staticmethod(dense.reconstruct_rows)

    pairwise_distances = staticmethod(distances.pairwise_distances)
    kneighbors = staticmethod(distances.kneighbors)

    component_order = staticmethod(order.component_order)
    degree_order = staticmethod(order.degree_order)
    permute_nodes = staticmethod(order.permute_nodes)
    gather_values = staticmethod(order.gather_values)
    scatter_values = staticmethod(order.scatter_values)
    permute_rows = staticmethod(order.permute_rows)
    bucket_count = staticmethod(build.bucket_count)
    bucket_scatter = staticmethod(build.bucket_scatter)
    bucket_sort = staticmethod(build.bucket_sort)
    out_strength = staticmethod(build.out_strength)
    mark_ids = staticmethod(build.mark_ids)
    relabel = staticmethod(build.relabel)
    rmat_edges = staticmethod(rmat.rmat_edges)

    parse_edges = staticmethod(text.parse_edges)

    bvgraph_offsets = staticmethod(bvgraph.bvgraph_offsets)
    bvgraph_rows = staticmethod(bvgraph.bvgraph_rows)

    @property
    def isa(self) -> str:
        """The CPU that numba compiles for, in LLVM's words."""
        return os.environ.get("NUMBA_CPU_NAME") or str(llvm.get_host_cpu_name())

    def interner(self) -> NumbaInterner:
        """See `fastmml._kernels.Kernels.interner`."""
        return NumbaInterner()
