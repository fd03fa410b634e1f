/* Gram matrix of rows z = scale (x - shift, y - shift, 1), which are nowhere stored: weights, sums
 * and products of two arrays side by side, of which mean and covariance come without cancellation
 * when the shift is near the mean (T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing
 * the sample variance, The American Statistician 37, 1983).
 *
 * Rows are read once, shifted while they are packed into panels that stay in the cache, and
 * multiplied there by the tiles of matrix products, or read where they lie (centred_rows.c). Sums
 * are double for every type: products of float are added up in float over at most 1024 rows, at
 * most 256 at a time. Cost: k (n + p + 1)² flops for
 * x (k x n) and y (k x p), whole tiles on the diagonal; x and y are read once.
 */
#include "shifted.h"

/* Columns from which on threads share packed rows: parts would be as fast (0.93 times the time of
 * gram at 250 columns, for 1.03 at 260), but for the memory of their sums. */
enum { WIDE = 256 };

/* Copies the lower triangle to the upper one. */
static void mirror_sums(double *sums, ptrdiff_t size)
{
    for (ptrdiff_t i = 0; i < size; i++)
        for (ptrdiff_t j = 0; j < i; j++)
            sums[j * size + i] = sums[i * size + j];
}

fml_status FML(centred_gram)(ptrdiff_t k, const fml_side_by_side *sides, const real *shift,
                             const real *scale, double *out, int threads)
{
    const ptrdiff_t size = sides->n + sides->p + 1, padded = fml_blocks_of(size, COLUMNS) * COLUMNS;
    const ptrdiff_t unit = sizeof(real);
    memset(out, 0, (size_t)(size * size) * sizeof *out);
    if (k == 0)
        return FML_OK;
    real *shifts = fml_alloc(padded, sizeof *shifts);
    if (!shifts)
        return FML_NO_MEMORY;
    memset(shifts, 0, (size_t)padded * sizeof *shifts);
    memcpy(shifts, shift, (size_t)(size - 1) * sizeof *shifts);
    shifts[size - 1] = -1;
    const shifted z = {.rows = k,
                       .n = sides->n,
                       .p = sides->p,
                       .size = size,
                       .padded = padded,
                       .x = sides->x,
                       .y = sides->y,
                       .scale = scale,
                       .x_row = sides->x_row / unit,
                       .x_col = sides->x_col / unit,
                       .y_row = sides->y_row / unit,
                       .y_col = sides->y_col / unit,
                       .shift = shifts};
    fml_status status = (size < WIDE ? FML(centred_parts) : FML(centred_shared))(&z, out, threads);
    if (status == FML_OK)
        mirror_sums(out, size);
    fml_free(shifts);
    return status;
}
