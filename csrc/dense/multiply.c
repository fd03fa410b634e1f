/* Which way one product is computed. The choice depends on its sizes and strides alone. */
#include "dense.h"

/* Multiply-adds from which on operands are packed for all threads: direct products keep their speed
 * up to 512^3 on Zen 5 (double: 127 GFLOP/s both ways), and need no scratch memory. */
#ifndef FML_BLOCKED_WORK
#define FML_BLOCKED_WORK ((ptrdiff_t)512 * 512 * 512)
#endif
/* Numbers of B and of C up to which panels of them are in a cache: 2 MB of double. In memory these
 * are short pieces far from each other, and packing and fetching them saves up to half the time. */
enum { CACHED_NUMBERS = 1 << 18 };
/* Columns of C that are not worth packing A. */
enum { FEW_COLUMNS = 2 * COLUMNS };
/* Rows that are not worth packing B: 32 take 0.7 to 0.8 of the time, 64 as long. */
enum { FEW_ROWS = 32 };
/* Numbers of a row of A that are so near to each other share cache lines. */
enum { NEAR = 2 };
/* Results of a product that is cut along its sums, at most, and terms of each, at least: packing
 * for all threads took five times as long for 100 x 100 results of a million terms. */
enum { TALL_RESULTS = 256 * 256, TALL_TERMS = 16384 };
/* Parts for each of several threads, so that all finish together, and multiply-adds of a part, at
 * most: some milliseconds. */
enum { PARTS_PER_THREAD = 4, PART_WORK = 1 << 26 };

void FML(multiply_small)(const product *x)
{
    if (FML(is_vector)(x))
        FML(multiply_vector)(x);
    else
        FML(multiply_direct)(x, NULL);
}

/* Rows row .. row + rows - 1 of the product, and so many columns. */
static product part_of(const product *x, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column,
                       ptrdiff_t columns)
{
    product part = *x;
    part.m = smaller(rows, x->m - row);
    part.n = smaller(columns, x->n - column);
    part.a += row * x->a_row;
    part.b = at_b(x, 0, column);
    part.c += row * x->c_row + column;
    part.first_row += row;
    part.first_column += column;
    return part;
}

/* Size of the parts when `size` is cut into at most `parts`, of whole units. */
static ptrdiff_t part_size(ptrdiff_t size, ptrdiff_t parts, ptrdiff_t unit)
{
    return fml_blocks_of(fml_blocks_of(size, parts), unit) * unit;
}

/* One part of a product, on one thread. */
typedef void part_function(const product *x);

static void multiply_directly(const product *x)
{
    if (is_wanted(x, x->m - 1, 0))
        FML(multiply_direct)(x, NULL);
}

/* Cuts C into parts for the threads. A part of one column is computed as the whole would be: by a
 * vector kernel its sums would be other bits. */
static fml_status multiply_parts(const product *x, part_function *multiply, int threads)
{
    ptrdiff_t shared = threads > 1 ? (ptrdiff_t)PARTS_PER_THREAD * threads : 1;
    ptrdiff_t wanted = shared + work_of(x) / PART_WORK;
    ptrdiff_t columns = part_size(x->n, wanted, COLUMNS), across = fml_blocks_of(x->n, columns);
    ptrdiff_t rows = part_size(x->m, fml_blocks_of(wanted, across), ROWS);
    ptrdiff_t parts = fml_blocks_of(x->m, rows) * across;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, parts))
    for (ptrdiff_t p = 0; p < parts; p++) {
        if (fml_stopped(&watch))
            continue;
        product part = part_of(x, p / across * rows, rows, p % across * columns, columns);
        multiply(&part);
        if (x->is_streamed)
            fml_end_stream();
    }
    return fml_watch_status(&watch);
}

static bool is_cached_b(const product *x)
{
    return x->k <= CACHED_NUMBERS / x->n;
}

/* Whether B, far larger than A and C, is best read once, as it lies. */
static bool is_flat(const product *x)
{
    return x->m <= FEW_ROWS && x->b_col == 1 && !is_cached_b(x) && !x->is_streamed &&
           !x->expanded && x->triangle == 0;
}

/* Whether the product is best read as it lies: B in a cache, and C too, but where A has too few
 * uses to be packed. Columns of A would be read as single numbers far from each other, many of
 * which share a set of the first-level cache. */
static bool is_direct(const product *x)
{
    if (x->a_col < 1 || x->a_col > NEAR || !is_cached_b(x))
        return false;
    return x->n <= FEW_COLUMNS || (x->m <= CACHED_NUMBERS / x->n && work_of(x) < FML_BLOCKED_WORK);
}

/* By what its parts are computed; NULL where operands are better packed for all of them. */
static part_function *way_of(const product *x)
{
    if (is_flat(x))
        return FML(multiply_flat);
    if (FML(is_vector)(x))
        return FML(multiply_vector);
    return is_direct(x) ? multiply_directly : NULL;
}

fml_status FML(multiply)(const product *x, int threads)
{
    if (work_of(x) < FML_THREAD_WORK) {
        FML(multiply_small)(x);
        return FML_OK;
    }
    if (x->k >= TALL_TERMS && x->m <= TALL_RESULTS / x->n)
        return FML(multiply_tall)(x, threads);
    part_function *way = way_of(x);
    return way ? multiply_parts(x, way, threads) : FML(multiply_blocked)(x, threads);
}
