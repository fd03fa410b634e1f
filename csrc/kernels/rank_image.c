/* One pass of the PageRank map that proves ranks: their image, how far it is from them, and what
 * bounds its rounding errors.
 *
 *   y = max(0, damping (P'x + mass jump) / total + (1 - damping) teleport)
 *
 * The pass of rank_pull over ranks that are known up to their scale, without what only a next pass
 * would need. Cost: 4 bytes a link read (12 with weights), one random read of 8 bytes a link, 24
 * bytes a node.
 */
#include "../map.h"

/* Links and rows in a block, as in rank_pull. */
enum { BLOCK_WORK = 1 << 16 };

typedef struct problem {
    map map;
    const number *x;
    number total;
    double roundings;
} problem;

FML_INLINE void map_rows(const problem *p, map m, ptrdiff_t start, ptrdiff_t end,
                         number *restrict y, number *change, number *rounded)
{
    const number *x = p->x, total = p->total;
    const double roundings = p->roundings;
    number moved = {0}, sum = {0};
    for (ptrdiff_t i = start; i < end; i++) {
        number value = fml_map_row(&m, i);
        number rank = fml_not_negative(value / total);
        moved += fml_abs(value - x[i]);
        sum += ((double)(m.indptr[i + 1] - m.indptr[i]) + roundings) * rank;
        y[i] = rank;
    }
    *change = moved;
    *rounded = sum;
}

static void map_block(const problem *p, fml_row_range rows, number *y, number *change,
                      number *rounded)
{
    const map *m = &p->map;
    const ptrdiff_t start = rows.start, end = rows.end;
    const bool uniform = fml_map_is_uniform(m);
    if (m->links.weights && uniform)
        map_rows(p, fml_map_where(m, true, true), start, end, y, change, rounded);
    else if (m->links.weights)
        map_rows(p, fml_map_where(m, true, false), start, end, y, change, rounded);
    else if (uniform)
        map_rows(p, fml_map_where(m, false, true), start, end, y, change, rounded);
    else
        map_rows(p, fml_map_where(m, false, false), start, end, y, change, rounded);
}

fml_status FML(rank_image)(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                           const double *weights, const double *teleport, ptrdiff_t teleport_stride,
                           const double *jump, ptrdiff_t jump_stride, double damping,
                           const double *total, const double *mass, double roundings,
                           const double *x, const double *contribution, double *y, double *change,
                           double *rounded, int threads)
{
    problem p = {.map = {.indptr = indptr,
                         .links = {indices, weights, (const number *)contribution},
                         .teleport = (const number *)teleport,
                         .jump = (const number *)jump,
                         .teleport_stride = teleport_stride,
                         .jump_stride = jump_stride,
                         .damping = damping,
                         .last_full = indptr[n] - 4},
                 .x = (const number *)x,
                 .total = *(const number *)total,
                 .roundings = roundings};
    fml_set_factors(&p.map.jumping, damping, mass);
    fml_set_factors(&p.map.stay, 1 - damping, total);
    ptrdiff_t blocks = fml_count_row_blocks(indptr, n, BLOCK_WORK);
    number *parts = fml_alloc(blocks, 2 * sizeof *parts);
    if (!parts)
        return FML_NO_MEMORY;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++)
        if (!fml_stopped(&watch))
            map_block(&p, fml_rows_of(indptr, n, BLOCK_WORK, block), (number *)y, &parts[block],
                      &parts[blocks + block]);
    fml_status status = fml_watch_status(&watch);
    if (status == FML_OK) {
        fml_sum_columns(parts, blocks, (number *)change);
        fml_sum_columns(parts + blocks, blocks, (number *)rounded);
    }
    fml_free(parts);
    return status;
}
