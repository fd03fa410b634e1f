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

/* Links and rows in a block: large enough to hide a block's cost (0.1 us against about 50),
 * small enough that 16 threads balance on the smallest graph where they pay. */
enum { BLOCK_WORK = 1 << 16 };

typedef struct problem {
    const int64_t *indptr;
    const uint32_t *indices;
    const double *weights;
    const real *inverse_strength, *teleport, *jump, *x, *contribution;
    ptrdiff_t teleport_stride, jump_stride;
    double damping, mass;
    ptrdiff_t n;
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

static inline real link_value(const uint32_t *indices, const double *weights,
                              const real *contribution, ptrdiff_t k)
{
    real value = contribution[indices[k]];
    return weights ? (real)weights[k] * value : value;
}

static inline real sum_links_one_by_one(const uint32_t *indices, const double *weights,
                                        const real *contribution, ptrdiff_t links)
{
    real sum = 0;
    for (ptrdiff_t k = 0; k < links; k++)
        sum += link_value(indices, weights, contribution, k);
    return sum;
}

/* Four sums run side by side, since one would wait for each addition. The last 0 to 4 links are
 * taken without a branch, which would be mispredicted in most rows (a fifth of the time of a
 * pass): four links are read in any case, those of later rows among them, and masked. */
static inline real sum_links(const uint32_t *indices, const double *weights,
                             const real *contribution, ptrdiff_t links)
{
    real s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    ptrdiff_t k = 0;
    for (; k + 4 < links; k += 4) {
        s0 += link_value(indices, weights, contribution, k);
        s1 += link_value(indices, weights, contribution, k + 1);
        s2 += link_value(indices, weights, contribution, k + 2);
        s3 += link_value(indices, weights, contribution, k + 3);
    }
    vec4 last = {link_value(indices, weights, contribution, k),
                 link_value(indices, weights, contribution, k + 1),
                 link_value(indices, weights, contribution, k + 2),
                 link_value(indices, weights, contribution, k + 3)};
    last = fml_keep_first(last, links - k);
    return ((s0 + s1) + (s2 + s3)) + ((last[0] + last[1]) + (last[2] + last[3]));
}

/* Inlined with constants for `weights` (NULL or not) and `uniform` (whether the teleport and the
 * jump are single numbers), so that the loop tests neither. */
static inline void pull_rows(const problem *p, const double *weights, bool uniform, ptrdiff_t start,
                             ptrdiff_t end, real *restrict y, real *restrict next_contribution,
                             double *change, double *dangling_mass)
{
    const int64_t *indptr = p->indptr;
    const uint32_t *indices = p->indices;
    const real *contribution = p->contribution, *inverse_strength = p->inverse_strength;
    const real *x = p->x, *teleport = p->teleport, *jump = p->jump;
    const ptrdiff_t teleport_stride = uniform ? 0 : p->teleport_stride;
    const ptrdiff_t jump_stride = uniform ? 0 : p->jump_stride;
    const real damping = (real)p->damping, stay = (real)(1 - p->damping);
    const real jumping = (real)(p->damping * p->mass);
    const int64_t last_full = indptr[p->n] - 4; /* four links can be read at or before */
    double moved = 0, dangling = 0;
    for (ptrdiff_t i = start; i < end; i++) {
        int64_t first = indptr[i];
        ptrdiff_t links = (ptrdiff_t)(indptr[i + 1] - first);
        const double *row_weights = weights ? weights + first : NULL;
        real sum = indptr[i + 1] <= last_full
                       ? sum_links(indices + first, row_weights, contribution, links)
                       : sum_links_one_by_one(indices + first, row_weights, contribution, links);
        real base = jumping * jump[i * jump_stride] + stay * teleport[i * teleport_stride];
        real value = damping * sum + base;
        real step = value - x[i];
        moved += (double)(step < 0 ? -step : step);
        dangling += (double)fml_keep_if(inverse_strength[i] == 0, value);
        y[i] = value;
        next_contribution[i] = value * inverse_strength[i];
    }
    *change = moved;
    *dangling_mass = dangling;
}

static void pull_block(const problem *p, ptrdiff_t start, ptrdiff_t end, real *y,
                       real *next_contribution, double *change, double *dangling_mass)
{
    bool uniform = p->teleport_stride == 0 && p->jump_stride == 0;
    if (p->weights && uniform)
        pull_rows(p, p->weights, true, start, end, y, next_contribution, change, dangling_mass);
    else if (p->weights)
        pull_rows(p, p->weights, false, start, end, y, next_contribution, change, dangling_mass);
    else if (uniform)
        pull_rows(p, NULL, true, start, end, y, next_contribution, change, dangling_mass);
    else
        pull_rows(p, NULL, false, start, end, y, next_contribution, change, dangling_mass);
}

fml_status FML(rank_pull)(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                          const double *weights, const real *inverse_strength, const real *teleport,
                          ptrdiff_t teleport_stride, const real *jump, ptrdiff_t jump_stride,
                          double damping, double mass, const real *x, const real *contribution,
                          real *y, real *next_contribution, double *change, double *dangling_mass,
                          int threads)
{
    problem p = {indptr,       indices,         weights,     inverse_strength, teleport, jump, x,
                 contribution, teleport_stride, jump_stride, damping,          mass,     n};
    ptrdiff_t blocks = (ptrdiff_t)((indptr[n] + n) / BLOCK_WORK) + 1;
    double *parts = fml_alloc(blocks, 2 * sizeof *parts);
    if (!parts)
        return FML_NO_MEMORY;
    double *changes = parts, *masses = parts + blocks;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        ptrdiff_t start = row_at(indptr, n, block * BLOCK_WORK);
        ptrdiff_t end = block + 1 < blocks ? row_at(indptr, n, (block + 1) * BLOCK_WORK) : n;
        pull_block(&p, start, end, y, next_contribution, &changes[block], &masses[block]);
    }
    fml_status status = fml_watch_status(&watch);
    if (status == FML_OK) {
        *change = fml_sum_pairwise(changes, blocks);
        *dangling_mass = fml_sum_pairwise(masses, blocks);
    }
    fml_free(parts);
    return status;
}
