"""A call of every kernel on a fixed small input, for counting its instructions.

``python -m benchmarks.kernel_cases`` calls them all, in the order of `CASES`, with the C function
``getppid`` before and after each counted call: `benchmarks.instructions` runs it under callgrind
and has the counts written whenever that function is entered.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

from benchmarks.cases import edges, files, products, ranks, rows, small
from benchmarks.cases.inputs import Call
from fastmml import _backend
from fastmml._kernels import Kernels

#: Makers of calls. The first word of a name is the method of `Kernels` that is called.
CASES: dict[str, Callable[[Kernels], Call]] = {
    "empty": rows.empty,
    "rank_pull": ranks.rank_pull,
    "rank_solve": ranks.rank_solve,
    "rank_pull_columns": ranks.rank_pull_columns,
    "rank_image": ranks.rank_image,
    "rank_image_columns": ranks.rank_image_columns,
    "rank_solve_columns": ranks.rank_solve_columns,
    "rank_push": ranks.rank_push,
    "rank_push weighted": lambda kernels: ranks.rank_push(kernels, weighted=True),
    "component_order": ranks.component_order,
    "degree_order": ranks.degree_order,
    "permute_nodes": ranks.permute_nodes,
    "gather_values": ranks.gather_values,
    "scatter_values": ranks.scatter_values,
    "permute_rows": ranks.permute_rows,
    "rank_pull weighted": lambda kernels: ranks.rank_pull(kernels, weighted=True),
    "difference_gram": ranks.difference_gram,
    "combine": ranks.combine,
    "sparse_times": lambda kernels: products.sparse_times(kernels, "d"),
    "sparse_times single": lambda kernels: products.sparse_times(kernels, "f"),
    "sparse_gram_times": lambda kernels: products.sparse_gram_times(kernels, "d"),
    "sparse_gram_times single": lambda kernels: products.sparse_gram_times(kernels, "f"),
    "small_solve 4x4": lambda kernels: small.small_solve(kernels, 4),
    "small_solve 8x8": lambda kernels: small.small_solve(kernels, 8),
    "small_inverse 4x4": lambda kernels: small.small_inverse(kernels, 4),
    "small_inverse 8x8": lambda kernels: small.small_inverse(kernels, 8),
    "small_det 4x4": lambda kernels: small.small_det(kernels, 4),
    "small_det 8x8": lambda kernels: small.small_det(kernels, 8),
    "small_eigh 4x4": lambda kernels: small.small_eigh(kernels, 4),
    "small_eigh 8x8": lambda kernels: small.small_eigh(kernels, 8),
    "small_solve_plain": small.small_solve_plain,
    "small_inverse_plain": small.small_inverse_plain,
    "small_det_plain": small.small_det_plain,
    "small_eigh_plain": small.small_eigh_plain,
    "small_qr 3x3": lambda kernels: small.small_qr(kernels, 3, 3),
    "small_qr 16x4": lambda kernels: small.small_qr(kernels, 16, 4),
    "matmul": lambda kernels: products.matmul(kernels, 100, 90, 80),
    "matmul packed": lambda kernels: products.matmul(kernels, 520, 520, 520, dtype="f"),
    "matmul turned": lambda kernels: products.matmul(kernels, 30, 300, 70, turned=True),
    "matmul stack": lambda kernels: products.matmul(kernels, 4, 4, 4, count=1000),
    "matmul vector": lambda kernels: products.matmul(kernels, 300, 200, 1),
    "matmul complex": lambda kernels: products.matmul(kernels, 40, 50, 60, dtype="D"),
    "matmul integers": lambda kernels: products.matmul(kernels, 40, 50, 60, dtype="Q"),
    "matmul_strassen": products.matmul_strassen,
    "matmul_short": products.matmul_short,
    "matmul_short turned": lambda kernels: products.matmul_short(kernels, turned=True),
    "matmul_bool": products.matmul_bool,
    "matmul_plain": products.matmul_plain,
    "matmul_short_plain": products.matmul_short_plain,
    "gram": products.gram,
    "gram_plain": products.gram_plain,
    "solve_right": products.solve_right,
    "centred_gram": products.centred_gram,
    "centred_gram weighted": lambda kernels: products.centred_gram(kernels, weighted=True),
    "centred_gram wide": lambda kernels: products.centred_gram(kernels, is_wide=True),
    "solved_gram": products.solved_gram,
    "residual_products": products.residual_products,
    "gram_times": lambda kernels: products.gram_times(kernels, "f"),
    "gram_times double": lambda kernels: products.gram_times(kernels, "d"),
    "project_rows": lambda kernels: rows.project_rows(kernels, "f"),
    "project_rows double": lambda kernels: rows.project_rows(kernels, "d"),
    "reconstruct_rows": lambda kernels: rows.reconstruct_rows(kernels, "f"),
    "reconstruct_rows double": lambda kernels: rows.reconstruct_rows(kernels, "d"),
    "pairwise_distances": lambda kernels: rows.pairwise_distances(kernels, False, "f"),
    "pairwise_distances own": lambda kernels: rows.pairwise_distances(kernels, True, "d"),
    "kneighbors": rows.kneighbors,
    "bucket_count": edges.bucket_count,
    "bucket_scatter": edges.bucket_scatter,
    "bucket_scatter weighted": lambda kernels: edges.bucket_scatter(kernels, weighted=True),
    "bucket_sort": edges.bucket_sort,
    "bucket_sort weighted": lambda kernels: edges.bucket_sort(kernels, weighted=True),
    "out_strength": edges.out_strength,
    "out_strength weighted": lambda kernels: edges.out_strength(kernels, weighted=True),
    "mark_ids": edges.mark_ids,
    "relabel": edges.relabel,
    "rmat_edges": edges.rmat_edges,
    "parse_edges": files.parse_edges,
    "parse_edges weighted": lambda kernels: files.parse_edges(kernels, weighted=True),
    "parse_edges spans": lambda kernels: files.parse_edges(kernels, spans=True),
    "interner": files.interner,
    "bvgraph_rows": files.bvgraph_rows,
    "bvgraph_rows offsets": lambda kernels: files.bvgraph_rows(kernels, by_offsets=True),
    "bvgraph_offsets": files.bvgraph_offsets,
}
#: Methods of `Kernels` that compute nothing.
NOT_COUNTED = {"name", "isa", "get_num_threads", "set_num_threads", "with_team"}


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
