/* Small products one after the other, at equal distances.
 *
 * Each matrix is too short for the CPU to see it coming, so the operands of later products are
 * fetched while one is computed: without, 100,000 products of 16 x 16 matrices of float took 2.8
 * times as long, of 8 x 8 twice. Memory then sets the pace: 30 of 29 GB/s.
 */
#include "dense.h"

/* How far ahead matrices are fetched, in numbers: 4 KB (2 KB: 16 x 16 of double in 1.2 times as
 * long); and the longest that are, since the CPU sees longer ones coming. */
enum { FETCHED_AHEAD = 4096 / sizeof(real), LONGEST_FETCHED = 1 << 12 };

/* Terms below which one tile of twice the rows is faster than two: 10 x 10 of float in 0.8 of the
 * time. */
enum { FEW_TERMS = 16 };

/* How many products later matrices are fetched; 0: they need not be. */
static ptrdiff_t fetch_distance(const run *x)
{
    ptrdiff_t largest = x->a > x->b ? x->a : x->b;
    if (x->a < 0 || x->b < 0 || largest < CACHE_LINE || largest > LONGEST_FETCHED)
        return 0;
    return largest < FETCHED_AHEAD ? FETCHED_AHEAD / largest : 1;
}

/* Sizes of the matrices, without gaps between them. */
static ahead sizes_of(const run *x)
{
    const product *p = &x->p;
    return (ahead){.a_size = smaller(x->a, p->m * p->k),
                   .b_size = smaller(x->b, p->k * p->n),
                   .c_size = writing_of(p, 0) == STREAMED ? 0 : smaller(x->c, p->m * p->n)};
}

/* Products of one tile each. */
static void multiply_tiles(run x, ptrdiff_t count, ptrdiff_t distance)
{
    const product *p = &x.p;
    tile_function *tile = FML(tile)(p->m, p->n);
    ahead sizes = sizes_of(&x);
    for (ptrdiff_t i = 0; i < count; i++, next_product(&x)) {
        if (i + distance < count && distance > 0) {
            fetch(p->a + distance * x.a, 0, sizes.a_size);
            fetch(p->b + distance * x.b, 0, sizes.b_size);
            fetch(p->c + distance * x.c, 0, sizes.c_size);
        }
        tile(p->k, p->a, p->a_row, p->a_col, p->b, p->b_row, last_lanes(p->n), p->c, p->c_row,
             writing_of(p, 0));
    }
}

/* Products of several tiles, with which pieces of later matrices take turns. */
static void multiply_larger(run x, ptrdiff_t count, ptrdiff_t distance)
{
    const product *p = &x.p;
    ahead soon = sizes_of(&x);
    ptrdiff_t largest = soon.a_size > soon.b_size ? soon.a_size : soon.b_size;
    if (soon.c_size > largest)
        largest = soon.c_size;
    soon.piece =
        fml_blocks_of(fml_blocks_of(largest, FML(direct_tiles)(p)), CACHE_LINE) * CACHE_LINE;
    for (ptrdiff_t i = 0; i < count; i++, next_product(&x)) {
        soon.a = p->a + distance * x.a;
        soon.b = p->b + distance * x.b;
        soon.c = p->c + distance * x.c;
        soon.done = 0;
        FML(multiply_direct)(p, i + distance < count ? &soon : NULL);
    }
}

static bool is_one_tile(const product *p)
{
    bool is_whole = FML_MASKS || p->n % LANES == 0;
    ptrdiff_t rows = p->n > 1 && p->n <= LANES && p->k < FEW_TERMS ? TALLEST : ROWS;
    return p->m <= rows && p->n <= COLUMNS && p->k <= BLOCK_K && p->b_col == 1 && is_whole;
}

/* multiply_vectors adds terms in the order of a tile, so that the last few products of a stack, for
 * which it is not worth while, come out as the others do; multiply_vector may not. */
void FML(multiply_run)(run x, ptrdiff_t count)
{
    ptrdiff_t distance = fetch_distance(&x);
    bool is_tile = is_one_tile(&x.p), in_order = is_tile || !FML(is_vector)(&x.p);
    if (in_order && FML(fits_vectors)(&x, count))
        FML(multiply_vectors)(x, count);
    else if (is_tile)
        multiply_tiles(x, count, distance);
    else if (distance > 0 && in_order)
        multiply_larger(x, count, distance);
    else
        for (ptrdiff_t i = 0; i < count; i++, next_product(&x))
            FML(multiply_small)(&x.p);
}
