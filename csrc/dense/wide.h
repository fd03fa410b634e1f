/* Numbers of any type as double, a vector at a time. */
#ifndef FASTMML_WIDE_H
#define FASTMML_WIDE_H

#include "vectors.h"

/* Numbers that are computed with in double at a time, and such vectors in turn. */
#define WIDE (FML_VECTOR_BYTES / sizeof(double))
enum { WIDE_SUMS = 4 };
typedef double wide __attribute__((vector_size(FML_VECTOR_BYTES)));
typedef real narrow __attribute__((vector_size(WIDE * sizeof(real)), aligned(sizeof(real))));

/* So many numbers, at most WIDE, and zeros. */
FML_INLINE wide widen(const real *x, ptrdiff_t step, ptrdiff_t count)
{
    narrow v = {0};
    if (step == 1 && count == WIDE)
        v = *(const narrow *)x;
    else
        for (ptrdiff_t l = 0; l < count; l++)
            v[l] = x[l * step];
    return __builtin_convertvector(v, wide);
}

FML_INLINE double sum_wide(const wide *sums)
{
    double lanes[WIDE], total = 0;
    wide sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    memcpy(lanes, &sum, sizeof lanes);
    for (size_t l = 0; l < WIDE; l++)
        total += lanes[l];
    return total;
}

#endif
