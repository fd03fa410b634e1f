/* Rows of in-links in another order of the nodes, ready for Gauss-Seidel by segments and blocks.
 *
 * Links from earlier segments come first in a row: they are summed once, the others at every sweep.
 * A link from another block of the same segment becomes source + n: it reads the value from before
 * the sweep, which the solver keeps n places further on, so that blocks can be swept at the same
 * time with the same result (csrc/kernels/rank_solve.c).
 * Cost: 8 bytes a link (24 with weights) and one random read of 4 bytes a link.
 */
#include "../runtime.h"

/* Rows ahead whose start, and whose first links, are called into cache: they lie anywhere. */
enum { TILE_ROWS = 1 << 10, STARTS_AHEAD = 16, LINKS_AHEAD = 8 };

/* Nodes of the block that a row belongs to, and where its segment begins. */
typedef struct range {
    uint32_t segment_start, start, end;
} range;

/* First index i in [0, count) with starts[i + 1] > value. */
static ptrdiff_t find(const int64_t *starts, ptrdiff_t count, int64_t value)
{
    ptrdiff_t low = 0, high = count - 1;
    while (low < high) {
        ptrdiff_t middle = low + (high - low) / 2;
        if (starts[middle + 1] > value)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static range range_of(const fml_rank_plan *plan, int64_t node)
{
    ptrdiff_t block = find(plan->blocks, plan->num_blocks, node);
    ptrdiff_t segment = find(plan->segments, plan->num_segments, block);
    return (range){(uint32_t)plan->blocks[plan->segments[segment]], (uint32_t)plan->blocks[block],
                   (uint32_t)plan->blocks[block + 1]};
}

/* Returns how many of the row's links come from earlier segments. */
static uint32_t permute_row(ptrdiff_t links, const uint32_t *indices, const double *weights,
                            const uint32_t *position, uint32_t n, range in, uint32_t *out_indices,
                            double *out_weights)
{
    ptrdiff_t low = 0, high = links - 1;
    for (ptrdiff_t k = 0; k < links; k++) {
        uint32_t source = position[indices[k]];
        ptrdiff_t earlier = source < in.segment_start;
        uint32_t other_block = (source < in.start) | (source >= in.end);
        ptrdiff_t place = earlier ? low : high;
        low += earlier;
        high -= 1 - earlier;
        out_indices[place] = source + (n & -(other_block & (uint32_t)!earlier));
        if (weights)
            out_weights[place] = weights[k];
    }
    return (uint32_t)low;
}

static void permute_tile(const int64_t *indptr, const uint32_t *indices, const double *weights,
                         const uint32_t *order, const uint32_t *position, ptrdiff_t start,
                         ptrdiff_t end, const fml_rank_plan *plan)
{
    range in = {0, 0, 0};
    for (ptrdiff_t i = start; i < end; i++) {
        if (i >= in.end)
            in = range_of(plan, i);
        if (i + STARTS_AHEAD < end)
            __builtin_prefetch(indptr + order[i + STARTS_AHEAD]);
        if (i + LINKS_AHEAD < end)
            __builtin_prefetch(indices + indptr[order[i + LINKS_AHEAD]]);
        int64_t from = indptr[order[i]], to = plan->indptr[i];
        plan->earlier[i] = permute_row((ptrdiff_t)(indptr[order[i] + 1] - from), indices + from,
                                       weights ? weights + from : NULL, position, (uint32_t)plan->n, in,
                                       plan->indices + to, weights ? plan->weights + to : NULL);
    }
}

fml_status fml_permute_rows(const int64_t *indptr, const uint32_t *indices, const double *weights,
                            const uint32_t *order, const uint32_t *position,
                            const fml_rank_plan *plan, int threads)
{
    ptrdiff_t n = plan->n, tiles = n / TILE_ROWS + (n % TILE_ROWS != 0);
    for (ptrdiff_t k = 0; k < FML_PLAN_PADDING; k++) {
        plan->indices[plan->indptr[n] + k] = 0;
        if (weights)
            plan->weights[plan->indptr[n] + k] = 0;
    }
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, tiles))
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        if (fml_stopped(&watch))
            continue;
        ptrdiff_t start = tile * TILE_ROWS;
        ptrdiff_t end = n - start < TILE_ROWS ? n : start + TILE_ROWS;
        permute_tile(indptr, indices, weights, order, position, start, end, plan);
    }
    return fml_watch_status(&watch);
}
