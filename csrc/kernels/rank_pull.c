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
#include "../links.h"

/* Links and rows in a block: large enough to hide a block's cost (0.1 us against about 50),
 * small enough that 16 threads balance on the smallest graph where they pay. */
enum { BLOCK_WORK = 1 << 16 };

typedef struct problem {
    const int64_t *indptr;
    links links;
    const real *inverse_strength;
    const number *teleport, *jump, *x;
    ptrdiff_t teleport_stride, jump_stride;
    number jumping, stay; /* factors of jump and teleport */
    real damping;
    ptrdiff_t n;
} problem;

/* Inlined with constants for `weights` (NULL or not) and `uniform` (whether the teleport and the
 * jump are single numbers), so that the loop tests neither. */
FML_INLINE void pull_rows(const problem *p, const double *weights, bool uniform, ptrdiff_t start,
                          ptrdiff_t end, number *restrict y, number *restrict next_contribution,
                          wide *change, wide *dangling_mass)
{
    const int64_t *indptr = p->indptr;
    const links l = {p->links.indices, weights, p->links.values};
    const number *x = p->x, *teleport = p->teleport, *jump = p->jump;
    const real *inverse_strength = p->inverse_strength;
    const ptrdiff_t teleport_stride = uniform ? 0 : p->teleport_stride;
    const ptrdiff_t jump_stride = uniform ? 0 : p->jump_stride;
    const real damping = p->damping;
    const number jumping = p->jumping, stay = p->stay;
    const int64_t last_full = indptr[p->n] - 4; /* four links can be read at or before */
    wide moved = {0}, dangling = {0};
    for (ptrdiff_t i = start; i < end; i++) {
        int64_t first = indptr[i], last = indptr[i + 1];
        number sum =
            last <= last_full ? fml_sum_links(l, first, last) : fml_sum_one_by_one(l, first, last);
        number base = jumping * jump[i * jump_stride] + stay * teleport[i * teleport_stride];
        number value = damping * sum + base;
        moved += FML_CONVERT(fml_abs(value - x[i]), wide);
        dangling += FML_CONVERT(fml_keep_all_if(inverse_strength[i] == 0, value), wide);
        y[i] = value;
        next_contribution[i] = value * inverse_strength[i];
    }
    *change = moved;
    *dangling_mass = dangling;
}

static void pull_block(const problem *p, ptrdiff_t start, ptrdiff_t end, number *y,
                       number *next_contribution, wide *change, wide *dangling_mass)
{
    bool uniform = p->teleport_stride == 0 && p->jump_stride == 0;
    const double *weights = p->links.weights;
    if (weights && uniform)
        pull_rows(p, weights, true, start, end, y, next_contribution, change, dangling_mass);
    else if (weights)
        pull_rows(p, weights, false, start, end, y, next_contribution, change, dangling_mass);
    else if (uniform)
        pull_rows(p, NULL, true, start, end, y, next_contribution, change, dangling_mass);
    else
        pull_rows(p, NULL, false, start, end, y, next_contribution, change, dangling_mass);
}

/* A factor of each column. */
static void set_factors(number *factors, double factor, const double *of_column)
{
    wide all;
    for (int column = 0; column < FML_COLUMNS; column++)
        fml_set_column(&all, column, factor * of_column[column]);
    *factors = FML_CONVERT(all, number);
}

fml_status FML(rank_pull)(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                          const double *weights, const real *inverse_strength, const real *teleport,
                          ptrdiff_t teleport_stride, const real *jump, ptrdiff_t jump_stride,
                          double damping, const double *total, const double *mass, const real *x,
                          const real *contribution, real *y, real *next_contribution,
                          double *change, double *dangling_mass, int threads)
{
    problem p = {.indptr = indptr,
                 .links = {indices, weights, (const number *)contribution},
                 .inverse_strength = inverse_strength,
                 .teleport = (const number *)teleport,
                 .jump = (const number *)jump,
                 .x = (const number *)x,
                 .teleport_stride = teleport_stride,
                 .jump_stride = jump_stride,
                 .damping = (real)damping,
                 .n = n};
    set_factors(&p.jumping, damping, mass);
    set_factors(&p.stay, 1 - damping, total);
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
        const fml_row_range rows = fml_rows_of(indptr, n, BLOCK_WORK, block);
        pull_block(&p, rows.start, rows.end, (number *)y, (number *)next_contribution,
                   &changes[block], &masses[block]);
    }
    fml_status status = fml_watch_status(&watch);
    if (status == FML_OK) {
        fml_sum_columns(changes, blocks, (wide *)change);
        fml_sum_columns(masses, blocks, (wide *)dangling_mass);
    }
    fml_free(parts);
    return status;
}
