/* Gram matrix of the differences of consecutive vectors, without storing the differences.
 *
 * The vectors are read once, in blocks of columns that stay in the first-level cache; the blocks'
 * matrices are added pairwise, so that the order of additions never changes.
 * Cost: count (count + 1) n flops, 8 (count + 1) n bytes read.
 */
#include "../kernel.h"

#include <string.h>

/* 512 columns of 9 differences take 37 KB: within a first-level cache of 48 KB. */
enum { BLOCK_COLUMNS = 512 };

/* Columns start .. start + columns of the differences, row by row. */
static void take_differences(ptrdiff_t count, ptrdiff_t n, const real *x, ptrdiff_t start,
                             ptrdiff_t columns, real *differences)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        const real *row = x + i * n + start;
        real *out = differences + i * BLOCK_COLUMNS;
        for (ptrdiff_t c = 0; c < columns; c++)
            out[c] = row[c + n] - row[c];
        memset(out + columns, 0, (size_t)(BLOCK_COLUMNS - columns) * sizeof *out);
    }
}

/* Eight sums side by side, a fixed number whatever the vector length, for equal bits. */
static inline double inner_product(const real *a, const real *b)
{
    double sums[8] = {0};
    for (ptrdiff_t c = 0; c < BLOCK_COLUMNS; c += 8)
        for (ptrdiff_t lane = 0; lane < 8; lane++)
            sums[lane] += (double)a[c + lane] * (double)b[c + lane];
    return fml_sum_pairwise(sums, 8);
}

static void block_gram(ptrdiff_t count, const real *differences, double *gram, ptrdiff_t stride)
{
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t j = 0; j <= i; j++)
            gram[(i * count + j) * stride] =
                inner_product(differences + i * BLOCK_COLUMNS, differences + j * BLOCK_COLUMNS);
}

fml_status FML(difference_gram)(ptrdiff_t count, ptrdiff_t n, const real *x, double *gram,
                                int threads)
{
    ptrdiff_t blocks = fml_blocks_of(n, BLOCK_COLUMNS);
    ptrdiff_t entries = count * count;
    int team = fml_clamp_threads(threads, blocks);
    fml_status status = FML_NO_MEMORY;
    double *parts = fml_alloc(blocks, (size_t)entries * sizeof *parts); /* entries x blocks */
    real *scratch = fml_alloc(team, (size_t)(count * BLOCK_COLUMNS) * sizeof *scratch);
    if (!parts || !scratch)
        goto done;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (int member = 0; member < team; member++) {
        real *differences = scratch + member * count * BLOCK_COLUMNS;
        for (ptrdiff_t block = member; block < blocks && !fml_stopped(&watch); block += team) {
            ptrdiff_t start = block * BLOCK_COLUMNS;
            ptrdiff_t columns = n - start < BLOCK_COLUMNS ? n - start : BLOCK_COLUMNS;
            take_differences(count, n, x, start, columns, differences);
            block_gram(count, differences, parts + block, blocks);
        }
    }
    status = fml_watch_status(&watch);
    for (ptrdiff_t i = 0; status == FML_OK && i < count; i++)
        for (ptrdiff_t j = 0; j <= i; j++)
            gram[i * count + j] = gram[j * count + i] =
                fml_sum_pairwise(parts + (i * count + j) * blocks, blocks);
done:
    fml_free(scratch);
    fml_free(parts);
    return status;
}
