/* X'X: one triangle is computed, the other is its mirror image.
 *
 * Cost: k n (n + 1) flops for X (k x n), and whole tiles on the diagonal.
 */
#include "dense.h"

/* Rows and columns that are mirrored at a time: both blocks stay in the first-level cache. */
enum { MIRROR = 32 };
/* Columns that are worth a second thread: 0.3 ms of float. */
enum { SHARED_MIRROR = 1024 };

/* The elements of a block on and below the diagonal. */
static void mirror_block(real *c, ptrdiff_t n, ptrdiff_t unit, ptrdiff_t row, ptrdiff_t column)
{
    for (ptrdiff_t i = row; i < smaller(row + MIRROR, n); i++)
        for (ptrdiff_t j = column; j < smaller(column + MIRROR, i); j++) {
            const real *from = c + (i * n + j) * unit;
            real *to = c + (j * n + i) * unit;
            to[0] = from[0];
            if (unit == 2)
                to[1] = (real)-from[1];
        }
}

static void mirror_rows(real *c, ptrdiff_t n, ptrdiff_t unit, ptrdiff_t row)
{
    for (ptrdiff_t column = 0; column <= row; column += MIRROR)
        mirror_block(c, n, unit, row, column);
}

void FML(mirror)(real *c, ptrdiff_t n, ptrdiff_t unit, int threads)
{
    if (n < SHARED_MIRROR) { /* without a team, even of one: it takes longer than a few columns */
        for (ptrdiff_t row = 0; row < n; row += MIRROR)
            mirror_rows(c, n, unit, row);
    } else {
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, n / MIRROR))
        for (ptrdiff_t row = 0; row < n; row += MIRROR)
            mirror_rows(c, n, unit, row);
    }
    for (ptrdiff_t i = 0; unit == 2 && i < n; i++)
        c[(i * n + i) * unit + 1] = 0; /* where rounding may leave something */
}

product FML(gram_product)(ptrdiff_t k, ptrdiff_t n, const real *x, ptrdiff_t row, ptrdiff_t col,
                          ptrdiff_t unit, real *c)
{
    row /= (ptrdiff_t)sizeof(real);
    col /= (ptrdiff_t)sizeof(real);
    product y = {.m = n,
                 .n = n,
                 .k = k,
                 .a = x,
                 .a_row = col,
                 .a_col = row,
                 .b = x,
                 .b_row = row,
                 .b_col = col,
                 .c = c,
                 .c_row = n * unit,
                 .triangle = 1};
    settle_strides(&y, unit);
    return y;
}

fml_status FML(gram)(ptrdiff_t k, ptrdiff_t n, const real *x, ptrdiff_t row, ptrdiff_t col, real *c,
                     int threads)
{
    if (k == 0)
        memset(c, 0, (size_t)(n * n) * sizeof *c);
    if (k == 0 || n == 0)
        return FML_OK;
    product y = FML(gram_product)(k, n, x, row, col, 1, c);
    fml_status status = FML(multiply)(&y, threads);
    if (status == FML_OK)
        FML(mirror)(c, n, 1, threads);
    return status;
}
