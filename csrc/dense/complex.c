/* Complex products as real ones.
 *
 * With the parts of its numbers side by side, as they lie in memory, row i of A is a row of 2 k
 * reals, and row i of C one of 2 n. C = A E holds for the real matrix E (2 k x 2 n) in which each
 * number x + iy of B becomes the rows (x, y) and (-y, x); B is expanded to it where it is packed.
 * The flops are those of the complex product. Cost: 8 m n k flops.
 */
#include "dense.h"

/* Columns of A that are copied at a time, where the parts of its rows do not lie side by side or
 * are to be conjugated: two blocks of the real product's sums. */
enum { COPIED_COLUMNS = BLOCK_K };
/* Rows that are copied together: in a transposed matrix a cache line or two of each column. */
enum { COPIED_ROWS = 8 };
/* Reals of scratch on the stack, so that a small product allocates nothing. */
enum { SMALL_SCRATCH = 1024 };
/* Reals that are worth a second thread. */
enum { THREAD_REALS = 1 << 17 };

/* So many numbers of each of some rows, a column at a time. */
FML_INLINE void copy_rows(const product *x, ptrdiff_t rows, bool conjugate, const real *a,
                          ptrdiff_t columns, real *out)
{
    for (ptrdiff_t p = 0; p < columns; p++)
        for (ptrdiff_t r = 0; r < rows; r++) {
            const real *from = a + r * x->a_row + p * x->a_col;
            real *to = out + (r * columns + p) * 2;
            to[0] = from[0];
            to[1] = conjugate ? -from[1] : from[1];
        }
}

/* Columns start .. start + columns - 1 of A, side by side. */
static void copy_columns(const product *x, bool conjugate, ptrdiff_t start, ptrdiff_t columns,
                         real *out, int threads)
{
    ptrdiff_t parts = x->m * columns / THREAD_REALS + 1, blocks = fml_blocks_of(x->m, COPIED_ROWS);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, parts))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        ptrdiff_t row = block * COPIED_ROWS, rows = smaller(COPIED_ROWS, x->m - row);
        const real *a = x->a + row * x->a_row + start * x->a_col;
        if (rows == COPIED_ROWS && !conjugate) /* known to the compiler */
            copy_rows(x, COPIED_ROWS, false, a, columns, out + row * 2 * columns);
        else
            copy_rows(x, rows, conjugate, a, columns, out + row * 2 * columns);
    }
}

/* The real product of terms start .. start + terms - 1; sizes of x count complex numbers, strides
 * reals. */
static product as_real(const product *x, ptrdiff_t start, ptrdiff_t terms)
{
    product y = *x;
    y.n = 2 * x->n;
    y.k = 2 * terms;
    y.a += start * x->a_col;
    y.a_col = 1;
    y.b += start * x->b_row;
    y.expanded = true;
    y.add = x->add || start > 0;
    y.triangle = 2 * x->triangle;
    return y;
}

/* C (+)= A B by copies of columns of A. */
static fml_status multiply_copied(const product *x, bool conjugate, ptrdiff_t columns,
                                  real *scratch, int threads)
{
    fml_status status = FML_OK;
    fml_watch watch; /* of all copies: each product may be too short to see a signal */
    fml_watch_start(&watch);
    for (ptrdiff_t start = 0; start < x->k && status == FML_OK; start += columns) {
        ptrdiff_t terms = smaller(columns, x->k - start);
        product y = as_real(x, start, terms);
        copy_columns(x, conjugate, start, terms, scratch, threads);
        y.a = scratch;
        y.a_row = 2 * terms;
        status = fml_stopped(&watch) ? FML_INTERRUPTED : FML(multiply)(&y, threads);
    }
    return status;
}

/* C (+)= A B, with the conjugates of A if asked for. */
static fml_status multiply_complex(const product *x, bool conjugate, int threads)
{
    if (!conjugate && x->a_col == 2) {
        product y = as_real(x, 0, x->k);
        return FML(multiply)(&y, threads);
    }
    ptrdiff_t columns = smaller(x->k, COPIED_COLUMNS);
    real small[SMALL_SCRATCH], *large = NULL;
    if (2 * x->m > SMALL_SCRATCH / columns) {
        large = fml_alloc(2 * x->m, (size_t)columns * sizeof *large);
        if (!large)
            return FML_NO_MEMORY;
    }
    fml_status status = multiply_copied(x, conjugate, columns, large ? large : small, threads);
    fml_free(large);
    return status;
}

static fml_status multiply_plain(const product *x, int threads)
{
    return multiply_complex(x, false, threads);
}

fml_status FML(matmul_complex)(const fml_stack *stack, const real *a, const real *b, real *c,
                               int threads)
{
    return FML(multiply_stack)(stack, 2, multiply_plain, a, b, c, threads);
}

fml_status FML(matmul_complex_strassen)(const fml_stack *stack, int halvings, const real *a,
                                        const real *b, real *c, int threads)
{
    return FML(multiply_strassen)(stack, 2, multiply_plain, halvings, a, b, c, threads);
}

fml_status FML(gram_complex)(ptrdiff_t k, ptrdiff_t n, const real *x, ptrdiff_t row, ptrdiff_t col,
                             real *c, int threads)
{
    if (k == 0)
        memset(c, 0, (size_t)(2 * n * n) * sizeof *c);
    if (k == 0 || n == 0)
        return FML_OK;
    product y = FML(gram_product)(k, n, x, row, col, 2, c);
    fml_status status = multiply_complex(&y, true, threads);
    if (status == FML_OK)
        FML(mirror)(c, n, 2, threads);
    return status;
}
