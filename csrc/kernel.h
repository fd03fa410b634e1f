/* What a kernel of kernels/ sees beside its variant: four numbers at once, masks, sums. */
#ifndef FASTMML_KERNEL_H
#define FASTMML_KERNEL_H

#include "variant.h"

#include <string.h>

/* Four numbers, in one register where the level has one so wide, and masks for them. */
typedef real vec4 __attribute__((vector_size(4 * sizeof(real))));
#define FML_MASK_f64 int64_t
#define FML_MASK_f32 int32_t
#define FML_MASK_f64x8 int64_t
#define FML_MASK_(type) FML_MASK_##type
#define FML_MASK(type) FML_MASK_(type)
typedef FML_MASK(FML_TYPE) mask;
typedef mask mask4 __attribute__((vector_size(4 * sizeof(mask))));

/* v or 0, without the branch that a compiler makes of ?: and a CPU mispredicts. */
static inline real fml_keep_if(bool keep, real v)
{
    mask bits;
    memcpy(&bits, &v, sizeof bits);
    bits &= -(mask)keep;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The first `count` (0 to 4) lanes of v, zeros for the others. */
static inline vec4 fml_keep_first(vec4 v, ptrdiff_t count)
{
    static const mask lanes[8] = {-1, -1, -1, -1, 0, 0, 0, 0};
    mask4 keep;
    memcpy(&keep, lanes + 4 - count, sizeof keep);
    return (vec4)((mask4)v & keep);
}

/* Sums parts[0..count) by halves: the error grows with log(count), the order never changes. */
static inline double fml_sum_pairwise(const double *parts, ptrdiff_t count)
{
    double sum = 0;
    if (count <= 8) {
        for (ptrdiff_t i = 0; i < count; i++)
            sum += parts[i];
        return sum;
    }
    return fml_sum_pairwise(parts, count / 2) +
           fml_sum_pairwise(parts + count / 2, count - count / 2);
}

/* First row r in [0, n] with indptr[r] + r >= work: where blocks of equal work begin. */
static inline ptrdiff_t fml_row_at(const int64_t *indptr, ptrdiff_t n, int64_t work)
{
    ptrdiff_t low = 0, high = n;
    while (low < high) {
        ptrdiff_t middle = low + (high - low) / 2;
        if (indptr[middle] + middle < work)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Rows in blocks of equal work: how many blocks there are, and the rows of one. */
typedef struct fml_row_range {
    ptrdiff_t start, end;
} fml_row_range;

static inline ptrdiff_t fml_count_row_blocks(const int64_t *indptr, ptrdiff_t n, int64_t work)
{
    return (ptrdiff_t)((indptr[n] + n) / work) + 1;
}

static inline fml_row_range fml_rows_of(const int64_t *indptr, ptrdiff_t n, int64_t work,
                                        ptrdiff_t block)
{
    return (fml_row_range){fml_row_at(indptr, n, block * work),
                           fml_row_at(indptr, n, (block + 1) * work)};
}

#endif
