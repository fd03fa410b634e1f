/* Few results of long sums: the terms are cut into blocks of a fixed length, whose sums are added
 * pairwise.
 *
 * Threads share the blocks, which do not depend on them. Errors grow with the length of a block and
 * the logarithm of their number. Cost: 2 m n k flops; A and B are read once.
 */
#include "dense.h"

/* Terms of a block: at 4096, 32 columns of double take 1 MB, some 30 microseconds of reading. */
enum { TERMS = 4096 };

void FML(add_parts)(real *parts, ptrdiff_t count, ptrdiff_t size)
{
    for (ptrdiff_t step = 1; step < count; step *= 2)
        for (ptrdiff_t i = 0; i + step < count; i += 2 * step)
            for (ptrdiff_t e = 0; e < size; e++)
                parts[i * size + e] = (real)(parts[i * size + e] + parts[(i + step) * size + e]);
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
    ptrdiff_t blocks = blocks_of(x->k, TERMS), size = x->m * x->n;
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
