/* One pass of the PageRank map, pulled along in-links.
 *
 *   y = damping (P'x + mass jump) + (1 - damping) teleport
 *
 * Page, Brin, Motwani, Winograd, The PageRank citation ranking, 1999; dangling nodes as in
 * Langville & Meyer, Deeper inside PageRank, Internet Mathematics 1 (2004), section 3. Every row
 * is written by one thread, so nothing is locked; rows are cut into blocks of equal work, and the
 * partial sums of the blocks are added in a fixed order.
 * Cost: 4 bytes a link read (12 with weights), one random read of 8 bytes a link, 50 bytes a node.
 */
#include "../kernel.h"

#include <math.h>

/* Links and rows in a block: large enough to hide a block's cost (0.1 us against about 50),
 * small enough that 16 threads balance on the smallest graph where they pay. */
enum { BLOCK_WORK = 1 << 16 };

typedef struct problem {
    const int64_t *indptr;
    const uint32_t *indices;
    const real *weights, *inverse_strength, *teleport, *jump, *x, *contribution;
    ptrdiff_t teleport_stride, jump_stride;
    real damping, mass;
} problem;

/* First row r in [0, n] with indptr[r] + r >= work. */
static ptrdiff_t row_at(const int64_t *indptr, ptrdiff_t n, int64_t work)
{
    ptrdiff_t low = 0, high = n;
    while (low < high) {
        ptrdiff_t middle = low + (high - low) / 2;
        if (indptr[middle] + middle < work)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Four sums run side by side, since one would wait for each addition. */
static inline real sum_links(const uint32_t *indices, const real *contribution, ptrdiff_t links)
{
    real s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    ptrdiff_t k = 0;
    for (; k + 4 <= links; k += 4) {
        s0 += contribution[indices[k]];
        s1 += contribution[indices[k + 1]];
        s2 += contribution[indices[k + 2]];
        s3 += contribution[indices[k + 3]];
    }
    for (; k < links; k++)
        s0 += contribution[indices[k]];
    return (s0 + s1) + (s2 + s3);
}

static inline real sum_weighted_links(const uint32_t *indices, const real *weights,
                                      const real *contribution, ptrdiff_t links)
{
    real s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    ptrdiff_t k = 0;
    for (; k + 4 <= links; k += 4) {
        s0 += weights[k] * contribution[indices[k]];
        s1 += weights[k + 1] * contribution[indices[k + 1]];
        s2 += weights[k + 2] * contribution[indices[k + 2]];
        s3 += weights[k + 3] * contribution[indices[k + 3]];
    }
    for (; k < links; k++)
        s0 += weights[k] * contribution[indices[k]];
    return (s0 + s1) + (s2 + s3);
}

static void pull_rows(const problem *p, ptrdiff_t start, ptrdiff_t end, real *y,
                      real *next_contribution, real *change, real *dangling_mass)
{
    real moved = 0, dangling = 0;
    for (ptrdiff_t i = start; i < end; i++) {
        int64_t first = p->indptr[i];
        ptrdiff_t links = (ptrdiff_t)(p->indptr[i + 1] - first);
        real sum = p->weights ? sum_weighted_links(p->indices + first, p->weights + first,
                                                   p->contribution, links)
                              : sum_links(p->indices + first, p->contribution, links);
        real value = p->damping * (sum + p->mass * p->jump[i * p->jump_stride]) +
                     (1 - p->damping) * p->teleport[i * p->teleport_stride];
        moved += (real)fabs((double)(value - p->x[i]));
        dangling += p->inverse_strength[i] == 0 ? value : 0;
        y[i] = value;
        next_contribution[i] = value * p->inverse_strength[i];
    }
    *change = moved;
    *dangling_mass = dangling;
}

fml_status FML(rank_pull)(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                          const real *weights, const real *inverse_strength, const real *teleport,
                          ptrdiff_t teleport_stride, const real *jump, ptrdiff_t jump_stride,
                          real damping, real mass, const real *x, const real *contribution,
                          real *y, real *next_contribution, real *change, real *dangling_mass,
                          int threads)
{
    problem p = {indptr,          indices,      weights, inverse_strength, teleport, jump, x,
                 contribution,    teleport_stride, jump_stride, damping, mass};
    ptrdiff_t blocks = (ptrdiff_t)((indptr[n] + n) / BLOCK_WORK) + 1;
    real *parts = fml_alloc(blocks, 2 * sizeof *parts);
    if (!parts)
        return FML_NO_MEMORY;
    real *changes = parts, *masses = parts + blocks;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        ptrdiff_t start = row_at(indptr, n, block * BLOCK_WORK);
        ptrdiff_t end = block + 1 < blocks ? row_at(indptr, n, (block + 1) * BLOCK_WORK) : n;
        pull_rows(&p, start, end, y, next_contribution, &changes[block], &masses[block]);
    }
    fml_status status = fml_watch_status(&watch);
    if (status == FML_OK) {
        *change = fml_sum_pairwise(changes, blocks);
        *dangling_mass = fml_sum_pairwise(masses, blocks);
    }
    fml_free(parts);
    return status;
}
