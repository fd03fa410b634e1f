/* Gaussian elimination with partial pivoting (as LAPACK's getrf) of a small matrix in each lane.
 *
 * Lanes choose their pivots apart, the first entry of largest size, and exchange rows by selection.
 * A NaN is larger than nothing, and nothing is larger than it. Cost for n x n: n^3 / 3
 * multiply-adds, and twice as many selections. */
#ifndef FASTMML_LU_H
#define FASTMML_LU_H

#include "lanes.h"

enum { AT_ONCE = 4 /* columns whose entries are in registers while rows pass by */ };

/* What the pivots tell. */
typedef struct pivots {
    lanes sign;    /* -1 after an odd number of exchanges */
    lanes is_zero; /* 1 where a pivot is 0 */
} pivots;

FML_INLINE pivots fml_no_pivots(void)
{
    return (pivots){fml_all(1), fml_all(0)};
}

/* Finds the lanes, here[i], whose largest entry in column k from row k on is first in row i > k. */
FML_INLINE void fml_find_pivots(ptrdiff_t n, const lanes *a, ptrdiff_t k, lane_set *here)
{
    lanes largest = fml_size(a[k * n + k]);
    for (ptrdiff_t i = k + 1; i < n; i++)
        largest = fml_max(fml_size(a[i * n + k]), largest);
    lane_set taken = fml_equal(fml_size(a[k * n + k]), largest);
    for (ptrdiff_t i = k + 1; i < n; i++) {
        lane_set equal = fml_equal(fml_size(a[i * n + k]), largest);
        here[i] = (lane_set)(equal & ~taken);
        taken |= equal;
    }
}

/* A matrix in lanes, or the transpose of one: where the next row and column of entries are. */
typedef struct view {
    lanes *entries;
    ptrdiff_t down, across;
} view;

FML_INLINE void fml_exchange_columns(ptrdiff_t n, view a, ptrdiff_t count, ptrdiff_t k,
                                     const lane_set *here)
{
    lanes top[AT_ONCE], picked[AT_ONCE];
    for (ptrdiff_t c = 0; c < count; c++)
        top[c] = picked[c] = a.entries[k * a.down + c * a.across];
    for (ptrdiff_t i = k + 1; i < n; i++) {
        for (ptrdiff_t c = 0; c < count; c++) {
            lanes value = a.entries[i * a.down + c * a.across];
            picked[c] = fml_select(here[i], value, picked[c]);
            a.entries[i * a.down + c * a.across] = fml_select(here[i], top[c], value);
        }
    }
    for (ptrdiff_t c = 0; c < count; c++)
        a.entries[k * a.down + c * a.across] = picked[c];
}

/* Exchanges row k of n with row i > k in the lanes here[i], in so many columns. */
FML_INLINE void fml_exchange(ptrdiff_t n, view a, ptrdiff_t columns, ptrdiff_t k,
                             const lane_set *here)
{
    for (; columns >= AT_ONCE; columns -= AT_ONCE, a.entries += AT_ONCE * a.across)
        fml_exchange_columns(n, a, AT_ONCE, k, here);
    for (; columns > 0; columns--, a.entries += a.across)
        fml_exchange_columns(n, a, 1, k, here);
}

/* Step k: brings the pivot to row k, exchanging from a column on, and divides what is below it.
 * here[i] receives the lanes in which it was in row i > k. */
FML_INLINE void fml_pivot(ptrdiff_t n, lanes *a, ptrdiff_t from, ptrdiff_t k, lane_set *here,
                          pivots *found)
{
    fml_find_pivots(n, a, k, here);
    fml_exchange(n, (view){a + from, n, 1}, n - from, k, here);
    lanes pivot = a[k * n + k];
    found->is_zero = fml_select(fml_equal(pivot, fml_all(0)), fml_all(1), found->is_zero);
    for (ptrdiff_t i = k + 1; i < n; i++) {
        found->sign = fml_select(here[i], -found->sign, found->sign);
        a[i * n + k] /= pivot;
    }
}

/* Step k, with the multipliers below entry (k, k) of a: subtracts row k of an n x columns matrix
 * from the rows below, from a column on. */
FML_INLINE void fml_reduce(ptrdiff_t n, const lanes *a, ptrdiff_t columns, lanes *b, ptrdiff_t from,
                           ptrdiff_t k)
{
    for (ptrdiff_t i = k + 1; i < n; i++) {
        lanes factor = a[i * n + k];
        for (ptrdiff_t j = from; j < columns; j++)
            b[i * columns + j] -= factor * b[k * columns + j];
    }
}

#endif
