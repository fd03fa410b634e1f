/* Rows z = scale (x - shift, y - shift, 1) of two arrays side by side, which are nowhere stored:
 * they are shifted while they are packed for tile.c, or read (centred_rows.c). The ones give
 * weights and sums beside products.
 */
#ifndef FASTMML_SHIFTED_H
#define FASTMML_SHIFTED_H

#include "../kernel.h"
#include "dense.h"

/* Rows of a tile that starts at a multiple of them within a panel. */
enum { STEP = COLUMNS % ROWS == 0 ? ROWS : 4 };

/* Columns of a tile that starts at the panel's column `column` and ends with row end - 1: whole
 * vectors, as many as there are below the diagonal. */
FML_INLINE ptrdiff_t tile_columns(ptrdiff_t column, ptrdiff_t column_end, ptrdiff_t end)
{
    ptrdiff_t wide = smaller(COLUMNS, column_end - column);
    return smaller(wide, fml_blocks_of(end - column, LANES) * LANES);
}

typedef struct shifted {
    ptrdiff_t rows, n, p, size, padded; /* columns of x, of y, of z, of its panels */
    const real *x, *y, *scale;
    ptrdiff_t x_row, x_col, y_row, y_col;
    const real *shift; /* one for each column of every panel: -1 for the last of z, then zeros */
} shifted;

/* The columns of z from `column` on that a panel holds, of these rows. */
void FML(pack_shifted)(const shifted *z, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t column,
                       real *panel);
/* The lower triangle of z'z, added to `out` (size x size), which is 0 before. */
fml_status FML(centred_parts)(const shifted *z, double *out, int threads);
fml_status FML(centred_shared)(const shifted *z, double *out, int threads);

/* The same of x alone, read where it lies: whether that serves, the numbers of the sums ("folded",
 * in an order of their own), products added to them, with as much scratch and a vector for each
 * column, and the lower triangle that they stand for. */
#if FML_MASKS
bool FML(lies_by_rows)(const shifted *z);
ptrdiff_t FML(folded_size)(ptrdiff_t n);
void FML(add_folded)(const shifted *z, ptrdiff_t first, ptrdiff_t end, real *scratch, double *sums,
                     fml_watch *watch);
void FML(unfold)(const shifted *z, const double *sums, double *out);
#endif

#endif
