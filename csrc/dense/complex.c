/* Complex products as real ones.
 *
 * With the parts of its numbers side by side, as they lie in memory, row i of A is a row of 2 k
 * reals, and row i of C one of 2 n. C = A E holds for the real matrix E (2 k x 2 n) in which each
 * number x + iy of B becomes the rows (x, y) and (-y, x). The flops are those of the complex
 * product. Cost: 8 m n k flops; E is written in blocks of rows, of twice the size of those of B.
 */
#include "dense.h"

/* Rows of B that are expanded at a time: two blocks of the real product's sums. */
enum { EXPANDED_ROWS = BLOCK_K };
/* Reals of scratch on the stack, so that a small product allocates nothing. */
enum { SMALL_SCRATCH = 1024 };
/* Reals that are worth a second thread. */
enum { THREAD_REALS = 1 << 17 };

/* A row of B to two rows of E. */
FML_INLINE void expand_row(const real *b, ptrdiff_t b_col, ptrdiff_t n, real *first, real *second)
{
    for (ptrdiff_t j = 0; j < n; j++) {
        real re = b[j * b_col], im = b[j * b_col + 1];
        first[2 * j] = second[2 * j + 1] = re;
        first[2 * j + 1] = im;
        second[2 * j] = -im;
    }
}

/* Rows start .. start + rows - 1 of B to 2 rows of E. */
static void expand(const product *x, ptrdiff_t start, ptrdiff_t rows, real *e, int threads)
{
    ptrdiff_t blocks = rows * x->n / THREAD_REALS + 1;
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t p = 0; p < rows; p++) {
        const real *b = x->b + (start + p) * x->b_row;
        real *first = e + p * 4 * x->n, *second = first + 2 * x->n;
        if (x->b_col == 2) /* known to the compiler, which then works in vectors */
            expand_row(b, 2, x->n, first, second);
        else
            expand_row(b, x->b_col, x->n, first, second);
    }
}

/* Columns start .. start + columns - 1 of A, side by side. */
static void copy_columns(const product *x, bool conjugate, ptrdiff_t start, ptrdiff_t columns,
                         real *out, int threads)
{
    ptrdiff_t blocks = x->m * columns / THREAD_REALS + 1;
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t i = 0; i < x->m; i++) {
        const real *a = x->a + i * x->a_row + start * x->a_col;
        real *row = out + i * 2 * columns;
        for (ptrdiff_t p = 0; p < columns; p++) {
            row[2 * p] = a[p * x->a_col];
            row[2 * p + 1] = conjugate ? -a[p * x->a_col + 1] : a[p * x->a_col + 1];
        }
    }
}

/* The real product of a block of terms; scratch holds E, and the copy of A if there is one. */
static fml_status multiply_terms(const product *x, bool conjugate, ptrdiff_t start, ptrdiff_t terms,
                                 bool copied, real *scratch, int threads)
{
    real *copy = scratch + 4 * x->n * terms;
    product y = {.m = x->m,
                 .n = 2 * x->n,
                 .k = 2 * terms,
                 .a = x->a + start * x->a_col,
                 .a_row = x->a_row,
                 .a_col = 1,
                 .b = scratch,
                 .b_row = 2 * x->n,
                 .b_col = 1,
                 .c = x->c,
                 .c_row = x->c_row,
                 .add = x->add || start > 0,
                 .triangle = 2 * x->triangle};
    expand(x, start, terms, scratch, threads);
    if (copied) {
        copy_columns(x, conjugate, start, terms, copy, threads);
        y.a = copy;
        y.a_row = 2 * terms;
    }
    return FML(multiply)(&y, threads);
}

/* C (+)= A B, with the conjugates of A if asked for; sizes count complex numbers, strides reals. */
static fml_status multiply_complex(const product *x, bool conjugate, int threads)
{
    ptrdiff_t terms = smaller(x->k, EXPANDED_ROWS);
    bool copied = conjugate || x->a_col != 2;
    real small[SMALL_SCRATCH], *large = NULL;
    ptrdiff_t width = 4 * x->n + (copied ? 2 * x->m : 0);
    if (width > SMALL_SCRATCH / terms) {
        large = fml_alloc(width, (size_t)terms * sizeof *large);
        if (!large)
            return FML_NO_MEMORY;
    }
    fml_status status = FML_OK;
    for (ptrdiff_t start = 0; start < x->k && status == FML_OK; start += terms)
        status = multiply_terms(x, conjugate, start, smaller(terms, x->k - start), copied,
                                large ? large : small, threads);
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
    memset(c, 0, (size_t)(2 * n * n) * sizeof *c);
    if (k == 0 || n == 0)
        return FML_OK;
    product y = FML(gram_product)(k, n, x, row, col, 2, c);
    fml_status status = multiply_complex(&y, true, threads);
    if (status == FML_OK)
        FML(mirror)(c, n, 2);
    return status;
}
