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
#include "../team.h"

/* Links and rows in a block, as in rank_pull. */
enum { BLOCK_WORK = 1 << 16 };

typedef struct problem {
    map map;
    const number *x;
    number total;
    double roundings;
    ptrdiff_t n, blocks;
    number *y, *parts; /* parts: (2, blocks) */
    fml_watch *watch;
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

static void map_block(const problem *p, ptrdiff_t block)
{
    const map *m = &p->map;
    const fml_row_range rows = fml_rows_of(m->indptr, p->n, BLOCK_WORK, block);
    const ptrdiff_t start = rows.start, end = rows.end;
    number *y = p->y, *change = &p->parts[block], *rounded = &p->parts[p->blocks + block];
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

static void map_blocks(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const problem *p = job;
    for (ptrdiff_t block = first; block < last && !fml_stopped(p->watch); block++)
        map_block(p, block);
}

static void map_all(fml_team *team, void *job)
{
    fml_share(team, ((const problem *)job)->blocks, 1, map_blocks, job);
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
                 .roundings = roundings,
                 .n = n,
                 .blocks = fml_count_row_blocks(indptr, n, BLOCK_WORK),
                 .y = (number *)y};
    fml_set_factors(&p.map.jumping, damping, mass);
    fml_set_factors(&p.map.stay, 1 - damping, total);
    p.parts = fml_alloc(p.blocks, 2 * sizeof *p.parts);
    if (!p.parts)
        return FML_NO_MEMORY;
    fml_watch watch;
    fml_watch_start(&watch);
    p.watch = &watch;
    fml_lead_team(fml_clamp_threads(threads, p.blocks), map_all, &p);
    fml_status status = fml_watch_status(&watch);
    if (status == FML_OK) {
        fml_sum_columns(p.parts, p.blocks, (number *)change);
        fml_sum_columns(p.parts + p.blocks, p.blocks, (number *)rounded);
    }
    fml_free(p.parts);
    return status;
}
