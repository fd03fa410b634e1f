/* What the kernels of distances between rows share: blocks of rows, centred and packed for tile.c,
 * inner products of them, and how far those can be trusted.
 *
 * From |x - y|^2 = |x|^2 + |y|^2 - 2 x'y, rows centred first, comes a squared distance at the speed
 * of a matrix product, within FML(product_error) (|x|^2 + |y|^2) of the exact one. Where that is
 * not enough, squared_difference sums up the squares of differences in double.
 */
#ifndef FASTMML_PAIRS_H
#define FASTMML_PAIRS_H

#include "../kernel.h"
#include "dense.h"

#include <float.h>
#include <math.h>

#define REAL_MIN (sizeof(real) == sizeof(float) ? (real)FLT_MIN : (real)DBL_MIN)
#define REAL_MAX (sizeof(real) == sizeof(float) ? (real)FLT_MAX : (real)DBL_MAX)
#define ROUNDOFF (sizeof(real) == sizeof(float) ? (real)(FLT_EPSILON / 2) : (real)(DBL_EPSILON / 2))

/* Rows of a matrix; strides count elements. */
typedef struct side {
    ptrdiff_t count;
    const real *data;
    ptrdiff_t row, col;
    const double *scale; /* or NULL: all 1 */
} side;

typedef struct pairs {
    side x, y;
    bool is_own;      /* y is x */
    bool is_triangle; /* and what lies above the diagonal is not asked for */
    ptrdiff_t k;
    ptrdiff_t x_rows, y_rows; /* of a block */
    real *scratch, *centre;   /* centre: k numbers */
    real *panels, *norms;     /* of the block of y that all threads read */
    real *own;                /* what each thread has for itself */
    ptrdiff_t own_size;
} pairs;

/* Inner products of some rows of x with at most COLUMNS rows of y. */
typedef struct strip {
    ptrdiff_t row, rows, column, columns;
    const real *x_norms, *y_norms; /* squared lengths of the centred rows */
    real *sums;                    /* rows of COLUMNS, which the user may overwrite */
} strip;
typedef void strip_function(const void *task, const strip *at);

/* Chooses blocks, allocates for so many threads and finds the centre; false: no memory. */
bool FML(pairs_start)(pairs *p, const fml_rows *x, const fml_rows *y, ptrdiff_t k, int team);
/* How many threads such a job is worth. */
int FML(pairs_team)(ptrdiff_t x_rows, int threads);
/* Within a team: computes every strip and has it used; of a triangle those that reach below or onto
 * the diagonal. A row of x has its strips from one thread at a time, in the order of columns. */
void FML(walk_pairs)(const pairs *p, strip_function *use, const void *task, fml_watch *watch);
/* |x[i] - y[j]|^2 by differences in double. */
double FML(squared_difference)(const pairs *p, ptrdiff_t i, ptrdiff_t j);
/* Bound on the error of norm + norm - 2 sum, relative to norm + norm, against the exact distance
 * of the rows as they were given; besides, k REAL_MIN for what underflows. */
real FML(product_error)(ptrdiff_t k);

/* What comparisons of vectors answer: all bits of a lane, or none. */
typedef mask answers __attribute__((vector_size(FML_VECTOR_BYTES)));

FML_INLINE vec choose(answers which, vec yes, vec no)
{
    return (vec)((which & (answers)yes) | (~which & (answers)no));
}

FML_INLINE bool all_true(answers x)
{
    answers none = {0};
    x = ~x;
    return memcmp(&x, &none, sizeof x) == 0;
}

FML_INLINE double finish(fml_distance kind, double squared)
{
    if (kind == FML_EUCLIDEAN)
        return sqrt(squared);
    return kind == FML_COSINE ? fmin(squared / 2, 2) : squared;
}

#endif
