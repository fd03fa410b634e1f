/* Few results of long sums: the terms are cut into blocks of a fixed length, whose sums are added
 * pairwise.
 *
 * Threads share the blocks, which do not depend on them. Errors grow with the length of a block and
 * the logarithm of their number. Cost: 2 m n k flops; A and B are read once.
 */
#include "dense.h"

/* Terms of a block: at 4096, 32 columns of double take 1 MB, some 30 microseconds of reading. */
enum { TERMS = 4096 };
/* Rows of X'X that are multiplied while the next ones are fetched, and bytes of them, at least:
 * both are in a first-level cache. With tiles cut off at the diagonal 0.52 to 0.74 of the time of
 * 256 at once, from 16 to 200 columns. */
enum { CACHED_ROWS = 64, CACHED_BYTES = 1 << 13 };

void FML(add_parts)(real *parts, ptrdiff_t count, ptrdiff_t size)
{
    for (ptrdiff_t step = 1; step < count; step *= 2)
        for (ptrdiff_t i = 0; i + step < count; i += 2 * step)
            for (ptrdiff_t e = 0; e < size; e++)
                parts[i * size + e] = (real)(parts[i * size + e] + parts[(i + step) * size + e]);
}

/* Whether the product is X'X of rows that lie one after the other. */
static bool is_gram(const product *x)
{
    return x->triangle == 1 && x->a == x->b && x->a_row == 1 && x->a_col == x->m && !x->expanded;
}

/* X'X of so many rows, some at a time, and beyond them `rest` more in memory. */
static void multiply_rows(product x, ptrdiff_t rest)
{
    const ptrdiff_t rows = x.k, n = x.m, fit = CACHED_BYTES / (ptrdiff_t)sizeof(real) / n;
    const ptrdiff_t most = fit > CACHED_ROWS ? fit : CACHED_ROWS;
    ptrdiff_t tiles = 0;
    for (ptrdiff_t column = 0; column < n; column += COLUMNS)
        tiles += fml_blocks_of(n - column, ROWS);
    for (ptrdiff_t row = 0; row < rows; row += most, x.b = x.a, x.add = true) {
        x.k = smaller(most, rows - row);
        ahead soon = {.a = x.a + x.k * n,
                      .a_size = smaller(most, rows + rest - row - x.k) * n,
                      .piece = (most * n / CACHE_LINE / tiles + 1) * CACHE_LINE};
        FML(multiply_direct)(&x, &soon);
        x.a += x.k * n;
    }
}

static void multiply_terms(const product *x, ptrdiff_t block, real *out)
{
    product terms = *x;
    ptrdiff_t start = block * TERMS;
    terms.k = smaller(TERMS, x->k - start);
    terms.a += start * x->a_col;
    terms.b = at_b(x, start, 0);
    terms.c = out;
    terms.c_row = x->n;
    terms.add = false;
    if (is_gram(x) && !FML(is_vector)(x))
        multiply_rows(terms, x->k - start - terms.k);
    else
        FML(multiply_small)(&terms);
}

static void put(const product *x, const real *sums)
{
    for (ptrdiff_t i = 0; i < x->m; i++)
        for (ptrdiff_t j = 0; j < x->n; j++) {
            real *c = x->c + i * x->c_row + j, sum = sums[i * x->n + j];
            *c = x->add ? (real)(*c + sum) : sum;
        }
}

fml_status FML(multiply_tall)(const product *x, int threads)
{
    ptrdiff_t blocks = fml_blocks_of(x->k, TERMS), size = x->m * x->n;
    real *parts = fml_alloc(blocks, (size_t)size * sizeof *parts);
    if (!parts)
        return FML_NO_MEMORY;
    if (x->triangle) /* what is not asked for is added up, too */
        memset(parts, 0, (size_t)(blocks * size) * sizeof *parts);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++)
        if (!fml_stopped(&watch))
            multiply_terms(x, block, parts + block * size);
    fml_status status = fml_watch_status(&watch);
    if (status == FML_OK) {
        FML(add_parts)(parts, blocks, size);
        put(x, parts);
    }
    fml_free(parts);
    return status;
}
