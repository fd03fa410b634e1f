/* What kernels share that divide the rows of a matrix by upper triangles: X = A U^-1, each row by
 * forward substitution, some of them side by side in a panel.
 */
#ifndef FASTMML_SUBSTITUTION_H
#define FASTMML_SUBSTITUTION_H

#include "dense.h"

/* Rows of (X, B) for X = A U_1^-1 U_2^-1 ..., of so many upper triangles, and B of p columns, which
 * may be 0. */
typedef struct systems {
    ptrdiff_t m, n, p, width, count; /* width: n + p */
    const real *a, *b;
    ptrdiff_t a_row, a_col, b_row, b_col; /* in elements */
    const real *u;                        /* count (n, n) */
    real *inverse;                        /* of the diagonals of u */
    ptrdiff_t ahead;                      /* rows are fetched so many before they are read */
} systems;

/* Fills in what systems are made of, with strides in bytes; false: no memory. fml_free(s->inverse)
 * ends it. */
bool FML(systems_start)(systems *s, ptrdiff_t m, const fml_side_by_side *sides, ptrdiff_t count,
                        const real *u);
/* Solves for so many rows, at most COLUMNS, side by side in the panel of COLUMNS * width numbers.
 * Asks for rows that are read some panels later, and for where they go, unless `out`, where the
 * first one goes, is NULL. */
void FML(solve_side_by_side)(const systems *s, ptrdiff_t first, ptrdiff_t lanes, const real *out,
                             real *panel);
/* Solves for rows first .. end - 1, whose first goes to `out`; is_cached: `out` needs not be
 * fetched. */
void FML(solve_rows)(const systems *s, ptrdiff_t first, ptrdiff_t end, bool is_cached, real *panel,
                     real *out);

#endif
