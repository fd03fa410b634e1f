/* Determinants of many small matrices: products of the pivots of Gaussian elimination.
 *
 * Powers of two of the pivots are added up apart, so that no product over- or underflows unless the
 * determinant does. Cost: n^3 / 3 multiply-adds, 2 n^3 / 3 selections, 8 (n^2 + 1) bytes.
 */
#include "../lu.h"

#include <float.h>
#include <math.h>

enum {
    MANTISSA_BITS = DBL_MANT_DIG - 1,
    EXPONENT_BIAS = DBL_MAX_EXP - 1,
    EXPONENT_MASK = 2 * DBL_MAX_EXP - 1,
    LIFT = 64,            /* makes a subnormal number normal */
    MOST_EXPONENT = 2000, /* beyond those of doubles, and half of it is within */
};

typedef struct determinants {
    ptrdiff_t n;
    stack a;
    real *out;
} determinants;

typedef struct scaled {
    lanes mantissa;
    lane_bits exponent;
} scaled;

/* Multiplies by a factor that is not 0. An infinity or NaN goes into the mantissa as it is. */
FML_INLINE void multiply(scaled *product, lanes factor)
{
    lane_set tiny = fml_larger(fml_all(DBL_MIN), fml_size(factor));
    lanes lift = fml_select(tiny, (lanes)((lane_bits){0} + LIFT), fml_all(0));
    factor = fml_select(tiny, factor * 0x1p64, factor);
    lane_bits bits = (lane_bits)factor;
    lane_bits exponent = (lane_bits)((lane_words)bits >> MANTISSA_BITS) & EXPONENT_MASK;
    bits &= ~((int64_t)EXPONENT_MASK << MANTISSA_BITS);
    bits |= (int64_t)EXPONENT_BIAS << MANTISSA_BITS;
    lane_set finite = fml_larger(fml_all(INFINITY), fml_size(factor));
    product->mantissa *= fml_select(finite, (lanes)bits, factor);
    product->exponent += exponent - EXPONENT_BIAS - (lane_bits)lift;
}

FML_INLINE lanes power_of_two(lane_bits exponent)
{
    return (lanes)((exponent + EXPONENT_BIAS) << MANTISSA_BITS);
}

FML_INLINE lanes rounded(scaled number)
{
    const int64_t least = -MOST_EXPONENT, most = MOST_EXPONENT;
    lane_bits low = number.exponent<least, high = number.exponent> most;
    lane_bits exponent = (number.exponent & ~(low | high)) | (low & least) | (high & most);
    lane_bits half = (lane_bits)((lane_words)(exponent + most) >> 1) - most / 2;
    return number.mantissa * power_of_two(half) * power_of_two(exponent - half);
}

/* The product of the diagonal and a sign. Its bits are the same in both ways. */
FML_INLINE lanes product(ptrdiff_t n, const lanes *a, lanes sign)
{
    lanes plain = sign, far = fml_all(0);
    for (ptrdiff_t k = 0; k < n; k++) {
        lanes size = fml_size(a[k * n + k]);
        plain *= a[k * n + k];
        far = fml_select(fml_larger(size, fml_all(0x1p60)), fml_all(1), far);
        far = fml_select(fml_larger(fml_all(0x1p-60), size), fml_all(1), far);
    }
    if (!fml_any(fml_larger(far, fml_all(0))))
        return plain;
    scaled exact = {sign, {0}};
    for (ptrdiff_t k = 0; k < n; k++)
        multiply(&exact, a[k * n + k]);
    return rounded(exact);
}

/* Takes so many groups at once. Inlined with constants. */
FML_INLINE bool determine_groups(const determinants *s, ptrdiff_t n, ptrdiff_t groups,
                                 ptrdiff_t start, ptrdiff_t end)
{
    for (ptrdiff_t first = start; first < end; first += groups * LANES) {
        lanes a[GROUPS][MOST_ROWS * MOST_ROWS];
        pivots found[GROUPS];
        for (ptrdiff_t g = 0; g < groups; g++) {
            fml_load(&s->a, first + g * LANES, end, n, n, a[g]);
            found[g] = fml_no_pivots();
        }
        for (ptrdiff_t k = 0; k < n; k++)
            for (ptrdiff_t g = 0; g < groups; g++) {
                lane_set here[MOST_ROWS];
                fml_pivot(n, a[g], k, k, here, &found[g]);
                fml_reduce(n, a[g], n, a[g], k + 1, k);
            }
        for (ptrdiff_t g = 0; g < groups; g++) {
            ptrdiff_t group = first + g * LANES;
            lanes det = product(n, a[g], found[g].sign), zero = fml_all(0);
            det = fml_select(fml_larger(found[g].is_zero, zero), zero, det);
            fml_store(fml_count(group, end), &det, 1, s->out + group, 1);
        }
    }
    return false;
}

static bool determine_block(const void *problem, ptrdiff_t start, ptrdiff_t end)
{
    const determinants *s = problem;
    switch (s->n) {
    case 1:
        return determine_groups(s, 1, 1, start, end);
    case 2:
        return determine_groups(s, 2, 1, start, end);
    case 3:
        return determine_groups(s, 3, 1, start, end);
    case 4:
        return determine_groups(s, 4, GROUPS, start, end);
    default:
        return determine_groups(s, s->n, 1, start, end);
    }
}

fml_status FML(small_det)(ptrdiff_t batch, ptrdiff_t n, const real *a, const ptrdiff_t *strides,
                          real *out, int threads)
{
    const determinants s = {.n = n, .a = {a, strides[0], strides[1], strides[2]}, .out = out};
    bool found;
    return fml_each_block(determine_block, &s, batch, n, &found, threads);
}
