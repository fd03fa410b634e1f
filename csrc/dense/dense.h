/* What the files of a matrix product share. From the outside in:
 *   matmul.c   a stack of products, split over threads
 *   run.c      small products one after the other
 *   fitting.c  those of matrices that fit a vector each
 *   complex.c  complex products as real ones of twice the size
 *   gram.c     X'X, one triangle of it
 *   multiply.c which way one product is computed
 *   blocked.c  large products: operands packed for the caches, shared by threads
 *   bools.c    truth values, a bit each
 *   short.c    numbers of 8 and 16 bits, summed up in 32
 *   strassen.c large products in fewer multiplications, where that is asked for
 *   tall.c     few results of long sums, which are cut into blocks
 *   direct.c   smaller products: A is read where it lies
 *   flat.c     few rows by a large matrix, which is read once, where it lies
 *   vector.c   a matrix times a vector, inner products
 *   pack.c     panels: rows or columns side by side
 *   tile.c     the innermost loops
 * All of it is compiled for real and for unsigned numbers; signed ones wrap around to the same
 * bits.
 */
#ifndef FASTMML_DENSE_H
#define FASTMML_DENSE_H

#include "vectors.h"

/* A tile of C is ROWS x COLUMNS sums in registers: 16 of AVX-512's 32, 12 of AVX2's 16, 8 of SSE's
 * 16 (which needs one more for each product). Tiles of 12 x 2 and 8 x 3 vectors reach the same
 * 98 % of the peak on Zen 5; 8 x 2 divides the usual sizes. */
#if FML_MASKS || defined(__aarch64__)
#define ROWS 8
#elif defined(__AVX2__)
#define ROWS 6
#else
#define ROWS 4
#endif
#define VECTORS 2
#define COLUMNS (VECTORS * LANES)
/* The last columns that are read where they lie may be a tile of three vectors, where there are
 * registers for them: a tile of one is slower to load its numbers than to add them up. */
#if FML_MASKS
#define MOST_VECTORS 3
#else
#define MOST_VECTORS VECTORS
#endif

/* Rows of a tile of one vector, where there are registers for them. */
#if FML_MASKS
#define TALLEST (2 * ROWS)
#else
#define TALLEST ROWS
#endif

/* Sums run over this many terms at a time: a panel of B, 16 columns of double, then takes 32 KB
 * of a first-level cache of 48. */
enum { BLOCK_K = 256 };

/* C = A B, with A (m x k), B (k x n) and C (m x n), none of them empty. Strides count elements;
 * columns of C are next to each other. */
typedef struct product {
    ptrdiff_t m, n, k;
    const real *a;
    ptrdiff_t a_row, a_col;
    const real *b;
    ptrdiff_t b_row, b_col;
    real *c;
    ptrdiff_t c_row;
    bool add; /* C += A B instead */
    /* Whether C, with its stack, is to go past the caches, and whether its rows are whole lines. */
    bool is_streamed, is_in_lines;
    /* 0, or: only elements whose column is below (row + 1) * triangle are asked for, where row and
     * column count from first_row and first_column. */
    ptrdiff_t triangle, first_row, first_column;
    /* Whether b is a complex matrix, which stands for the real one of twice its rows and columns
     * that complex.c describes; k and n count those of the latter, b_row and b_col are its own. */
    bool expanded;
} product;

/* Where row p and column j of B are; of an expanded one, both are even. */
FML_INLINE const real *at_b(const product *x, ptrdiff_t p, ptrdiff_t j)
{
    ptrdiff_t times = x->expanded ? 2 : 1;
    return x->b + p / times * x->b_row + j / times * x->b_col;
}

/* Gives strides of a dimension of one element the values that other code can use best. */
FML_INLINE void settle_strides(product *x, ptrdiff_t unit)
{
    if (x->m == 1)
        x->a_row = x->c_row = 0;
    if (x->k == 1)
        x->a_col = x->b_row = unit;
    if (x->n == 1)
        x->b_col = unit;
}

/* Multiply-adds; what does not fit counts as very many. */
FML_INLINE ptrdiff_t work_of(const product *x)
{
    ptrdiff_t work;
    if (__builtin_mul_overflow(x->m, x->n, &work) || __builtin_mul_overflow(work, x->k, &work))
        return PTRDIFF_MAX;
    return work;
}

/* Multiply-adds that are worth a second thread: 30 microseconds of double. A sleeping thread takes
 * as long to wake, and on a busy machine ten times as long. */
#ifndef FML_THREAD_WORK
#define FML_THREAD_WORK (1 << 21)
#endif

/* Whether something in rows up to `row` and in columns from `column` on is asked for. */
FML_INLINE bool is_wanted(const product *x, ptrdiff_t row, ptrdiff_t column)
{
    return x->triangle == 0 || x->first_column + column < (x->first_row + row + 1) * x->triangle;
}

FML_INLINE ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

/* Reals of several terms (short.c) have sums that start from other numbers than 0, unless `starts`
 * is NULL: those of row i from starts[i * starts_row] on, in whole vectors. */
#if FML_TERMS(FML_TYPE)
#define FML_STARTS , const real *starts, ptrdiff_t starts_row
#else
#define FML_STARTS
#endif
/* How sums get into C: written, added to what is there, or written past the caches (of which a row
 * of the tile fills whole lines). */
typedef enum writing { PUT = false, ADDED = true, STREAMED } writing;
/* A tile of C (+)= A B over k terms. Without masks, rows of b reach to whole vectors. `last` lanes
 * of the last vector are stored. */
typedef void tile_function(ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col,
                           const real *b, ptrdiff_t b_row, ptrdiff_t last, real *c, ptrdiff_t c_row,
                           writing how FML_STARTS);

/* The function for a tile of this size, at most ROWS x MOST_VECTORS vectors, or TALLEST x 1. */
tile_function *FML(tile)(ptrdiff_t rows, ptrdiff_t columns);

/* How sums of terms from `start` on get into C. */
FML_INLINE writing writing_of(const product *x, ptrdiff_t start)
{
    if (x->add || start > 0)
        return ADDED;
    return x->is_streamed && x->is_in_lines ? STREAMED : PUT;
}

FML_INLINE ptrdiff_t last_lanes(ptrdiff_t columns)
{
    return (columns - 1) % LANES + 1;
}

/* out[p * width + l] = in[l * lane + p * step] for l < lanes, p < k. The width is ROWS or COLUMNS;
 * for COLUMNS, zeros follow up to a whole vector. */
void FML(pack_panel)(ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t k, const real *in, ptrdiff_t lane,
                     ptrdiff_t step, real *out);

/* Rows of B from `row` on, so many, and columns from `column` on, at most COLUMNS, to a panel. */
void FML(pack_columns)(const product *x, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column,
                       ptrdiff_t columns, real *out);

enum { CACHE_LINE = 64 / sizeof(real) };

FML_INLINE void fetch(const real *x, ptrdiff_t start, ptrdiff_t end)
{
    for (ptrdiff_t i = start; i < end; i += CACHE_LINE)
        __builtin_prefetch(x + i);
}

/* Matrices that are needed soon, fetched piece by piece while a product is computed (run.c). */
typedef struct ahead {
    const real *a, *b, *c;
    ptrdiff_t a_size, b_size, c_size;
    ptrdiff_t done, piece; /* numbers of each that were and that are fetched */
} ahead;

FML_INLINE void fetch_piece(ahead *soon)
{
    ptrdiff_t start = soon->done, end = start + soon->piece;
    fetch(soon->a, start, smaller(end, soon->a_size));
    fetch(soon->b, start, smaller(end, soon->b_size));
    fetch(soon->c, start, smaller(end, soon->c_size));
    soon->done = end;
}

/* A product, and the distances to the next one. */
typedef struct run {
    product p;
    ptrdiff_t a, b, c;
} run;

FML_INLINE void next_product(run *x)
{
    x->p.a += x->a;
    x->p.b += x->b;
    x->p.c += x->c;
}

/* Whether each matrix fits a vector, and they are enough; multiply_vectors takes no others. */
bool FML(fits_vectors)(const run *x, ptrdiff_t count);
void FML(multiply_vectors)(run x, ptrdiff_t count);
/* So many products on one thread, each by the ways of multiply_small. */
void FML(multiply_run)(run x, ptrdiff_t count);

/* Whether C is one row or one column, and A and B can be read in vectors; multiply_vector takes
 * no other product. */
bool FML(is_vector)(const product *x);
void FML(multiply_vector)(const product *x);
/* `soon` may be NULL. */
void FML(multiply_direct)(const product *x, ahead *soon);
/* How many tiles that takes, before each of which a piece is fetched. */
ptrdiff_t FML(direct_tiles)(const product *x);
void FML(multiply_flat)(const product *x);
fml_status FML(multiply_blocked)(const product *x, int threads);
fml_status FML(multiply_tall)(const product *x, int threads);
/* Adds so many arrays of `size` numbers to the first one, pairwise. */
void FML(add_parts)(real *parts, ptrdiff_t count, ptrdiff_t size);

/* The product on one thread without packing all of it: by multiply_vector or multiply_direct. */
void FML(multiply_small)(const product *x);
/* Any product, whichever way fits. */
typedef fml_status multiply_function(const product *x, int threads);
multiply_function FML(multiply);

/* Every product of a stack of matrices of elements of `unit` numbers, by this function. */
fml_status FML(multiply_stack)(const fml_stack *stack, ptrdiff_t unit, multiply_function *multiply,
                               const real *a, const real *b, real *c, int threads);

/* The product of two matrices by Strassen and Winograd's algorithm, in which `multiply` takes the
 * products at its end. */
fml_status FML(multiply_strassen)(const fml_stack *stack, ptrdiff_t unit,
                                  multiply_function *multiply, int halvings, const real *a,
                                  const real *b, real *c, int threads);

/* The product x'x of an array of `unit` numbers an element, as fml_gram describes it. */
product FML(gram_product)(ptrdiff_t k, ptrdiff_t n, const real *x, ptrdiff_t row, ptrdiff_t col,
                          ptrdiff_t unit, real *c);
/* Copies the lower triangle of the (n, n) array to the upper one, conjugated if unit is 2. */
void FML(mirror)(real *c, ptrdiff_t n, ptrdiff_t unit, int threads);

#endif
