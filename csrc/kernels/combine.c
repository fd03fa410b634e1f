/* A linear combination of vectors, with negative entries cut to zero, and its sum.
 *
 * Cost: 2 count n flops, 8 (count + 1) n bytes.
 */
#include "../kernel.h"

/* 1024 sums of 8 bytes stay in the first-level cache while the vectors pass by. */
enum { BLOCK_COLUMNS = 1024 };

static double combine_block(ptrdiff_t count, ptrdiff_t n, const double *coefficients, const real *x,
                            ptrdiff_t columns, real *y)
{
    double sums[BLOCK_COLUMNS] = {0};
    for (ptrdiff_t k = 0; k < count; k++)
        for (ptrdiff_t c = 0; c < columns; c++)
            sums[c] += coefficients[k] * (double)x[k * n + c];
    double total = 0;
    for (ptrdiff_t c = 0; c < columns; c++) {
        y[c] = (real)(sums[c] < 0 ? 0 : sums[c]); /* NaN stays */
        total += (double)y[c];
    }
    return total;
}

fml_status FML(combine)(ptrdiff_t count, ptrdiff_t n, const double *coefficients, const real *x,
                        real *y, double *total, int threads)
{
    ptrdiff_t blocks = fml_blocks_of(n, BLOCK_COLUMNS);
    double *sums = fml_alloc(blocks, sizeof *sums);
    if (!sums)
        return FML_NO_MEMORY;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        ptrdiff_t start = block * BLOCK_COLUMNS;
        ptrdiff_t columns = n - start < BLOCK_COLUMNS ? n - start : BLOCK_COLUMNS;
        sums[block] = combine_block(count, n, coefficients, x + start, columns, y + start);
    }
    fml_status status = fml_watch_status(&watch);
    if (status == FML_OK)
        *total = fml_sum_pairwise(sums, blocks);
    fml_free(sums);
    return status;
}
