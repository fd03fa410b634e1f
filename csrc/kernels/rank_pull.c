/* One pass of the PageRank map, pulled along in-links.
 *
 *   y = damping (P'x + mass jump) + (1 - damping) total teleport
 *
 * Page, Brin, Motwani, Winograd, The PageRank citation ranking, 1999; dangling nodes as in
 * Langville & Meyer, Deeper inside PageRank, Internet Mathematics 1 (2004), section 3. Every row
 * is written by one thread, so nothing is locked; rows are cut into blocks of equal work, and the
 * partial sums of the blocks are added in a fixed order.
 * Several columns are several maps of the same links, in one walk over them.
 * Cost: 4 bytes a link read (12 with weights), one random read of 8 bytes a link, 50 bytes a node.
 */
#include "../map.h"

/* Links and rows in a block: large enough to hide a block's cost (0.1 us against about 50),
 * small enough that 16 threads balance on the smallest graph where they pay. */
enum { BLOCK_WORK = 1 << 16 };

typedef struct problem {
    map map;
    const real *inverse_strength;
    const number *x;
} problem;

FML_INLINE void pull_rows(const problem *p, map m, ptrdiff_t start, ptrdiff_t end,
                          number *restrict y, number *restrict next_contribution, wide *change,
                          wide *dangling_mass)
{
    const number *x = p->x;
    const real *inverse_strength = p->inverse_strength;
    wide moved = {0}, dangling = {0};
    for (ptrdiff_t i = start; i < end; i++) {
        number value = fml_map_row(&m, i);
        moved += FML_CONVERT(fml_abs(value - x[i]), wide);
        dangling += FML_CONVERT(fml_keep_all_if(inverse_strength[i] == 0, value), wide);
        y[i] = value;
        next_contribution[i] = value * inverse_strength[i];
    }
    *change = moved;
    *dangling_mass = dangling;
}

static void pull_block(const problem *p, fml_row_range rows, number *y, number *next, wide *change,
                       wide *dangling)
{
    const map *m = &p->map;
    const ptrdiff_t start = rows.start, end = rows.end;
    const bool uniform = fml_map_is_uniform(m);
    if (m->links.weights && uniform)
        pull_rows(p, fml_map_where(m, true, true), start, end, y, next, change, dangling);
    else if (m->links.weights)
        pull_rows(p, fml_map_where(m, true, false), start, end, y, next, change, dangling);
    else if (uniform)
        pull_rows(p, fml_map_where(m, false, true), start, end, y, next, change, dangling);
    else
        pull_rows(p, fml_map_where(m, false, false), start, end, y, next, change, dangling);
}

fml_status FML(rank_pull)(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                          const double *weights, const real *inverse_strength, const real *teleport,
                          ptrdiff_t teleport_stride, const real *jump, ptrdiff_t jump_stride,
                          double damping, const double *total, const double *mass, const real *x,
                          const real *contribution, real *y, real *next_contribution,
                          double *change, double *dangling_mass, int threads)
{
    problem p = {.map = {.indptr = indptr,
                         .links = {indices, weights, (const number *)contribution},
                         .teleport = (const number *)teleport,
                         .jump = (const number *)jump,
                         .teleport_stride = teleport_stride,
                         .jump_stride = jump_stride,
                         .damping = (real)damping,
                         .last_full = indptr[n] - 4},
                 .inverse_strength = inverse_strength,
                 .x = (const number *)x};
    fml_set_factors(&p.map.jumping, damping, mass);
    fml_set_factors(&p.map.stay, 1 - damping, total);
    ptrdiff_t blocks = fml_count_row_blocks(indptr, n, BLOCK_WORK);
    wide *parts = fml_alloc(blocks, 2 * sizeof *parts);
    if (!parts)
        return FML_NO_MEMORY;
    wide *changes = parts, *masses = parts + blocks;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        pull_block(&p, fml_rows_of(indptr, n, BLOCK_WORK, block), (number *)y,
                   (number *)next_contribution, &changes[block], &masses[block]);
    }
    fml_status status = fml_watch_status(&watch);
    if (status == FML_OK) {
        fml_sum_columns(changes, blocks, (wide *)change);
        fml_sum_columns(masses, blocks, (wide *)dangling_mass);
    }
    fml_free(parts);
    return status;
}
