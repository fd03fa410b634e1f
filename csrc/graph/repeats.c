/* Which rows repeat the row before them.
 *
 * Pages made from one template have the same in-links; a kernel that sums over rows need not sum
 * the same links twice. Rows of the same length are compared from their start, so that rows which
 * differ cost little.
 * Cost: 8 bytes a row read, and as many links as are equal.
 */
#include "../runtime.h"

#include <string.h>

enum { BLOCK_ROWS = 1 << 13 };

static bool same_row(const int64_t *indptr, const uint32_t *indices, const double *weights,
                     ptrdiff_t i)
{
    int64_t before = indptr[i - 1], start = indptr[i], links = indptr[i + 1] - start;
    if (links == 0 || start - before != links || indices[before] != indices[start])
        return false;
    return memcmp(indices + before, indices + start, (size_t)links * sizeof *indices) == 0 &&
           (!weights ||
            memcmp(weights + before, weights + start, (size_t)links * sizeof *weights) == 0);
}

fml_status fml_mark_repeats(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                            const double *weights, uint8_t *repeats, int threads)
{
    fml_watch watch;
    fml_watch_start(&watch);
    ptrdiff_t blocks = n / BLOCK_ROWS + (n % BLOCK_ROWS != 0);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        ptrdiff_t start = block * BLOCK_ROWS;
        ptrdiff_t end = n - start < BLOCK_ROWS ? n : start + BLOCK_ROWS;
        for (ptrdiff_t i = start; i < end; i++)
            repeats[i] = i > 0 && same_row(indptr, indices, weights, i);
    }
    return fml_watch_status(&watch);
}
