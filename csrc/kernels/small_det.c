/* Determinants of many small matrices: products of the pivots of Gaussian elimination.
 *
 * Powers of two of the pivots are added up apart, so that no product over- or underflows unless the
 * determinant does. Cost: n^3 / 3 multiply-adds, 2 n^3 / 3 selections, 8 (n^2 + 1) bytes.
 *
 * Where multiply-adds round once, the last three rows are not eliminated but expanded along the
 * first of them. Its minors are computed as Kahan did, with errors of at most two units (Jeannerod,
 * Louvet and Muller, Math. Comp. 82, 2013), so that the expansion is the exact determinant of rows
 * of which the first differs by at most 5 units in each entry. No elimination is as close; plain
 * minors lose all digits beside matrices of rank 1.
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
    EXPANDED = 3,         /* last rows whose determinant needs no pivots */
};

/* Far beyond what underflows in an expansion whose terms are products of numbers of about 1. */
static const double NEGLIGIBLE = 0x1p-900;

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

/* The product of the first `count` numbers of the diagonal and a sign. Its bits are the same in
 * both ways. */
FML_INLINE lanes product(ptrdiff_t n, const lanes *a, ptrdiff_t count, lanes sign)
{
    lanes plain = sign, far = fml_all(0);
    if (count == 1)
        return sign * a[0];
    for (ptrdiff_t k = 0; k < count; k++) {
        lanes size = fml_size(a[k * n + k]);
        plain *= a[k * n + k];
        far = fml_select(fml_larger(size, fml_all(0x1p60)), fml_all(1), far);
        far = fml_select(fml_larger(fml_all(0x1p-60), size), fml_all(1), far);
    }
    if (!fml_any(fml_larger(far, fml_all(0))))
        return plain;
    scaled exact = {sign, {0}};
    for (ptrdiff_t k = 0; k < count; k++)
        multiply(&exact, a[k * n + k]);
    return rounded(exact);
}

/* Step k of elimination. */
FML_INLINE void eliminate(ptrdiff_t n, lanes *a, ptrdiff_t k, pivots *found)
{
    lane_set here[MOST_ROWS];
    fml_pivot(n, a, k, k, here, found);
    fml_reduce(n, a, n, a, k + 1, k);
}

/* a d - b c, with an error of at most two units unless something over- or underflows. */
FML_INLINE lanes minor(lanes a, lanes b, lanes c, lanes d)
{
    lanes product = b * c;
    return fml_multiply_subtract(a, d, product) - fml_multiply_subtract(b, c, product);
}

/* The determinant of three rows, n entries apart; `sound` receives the lanes in which nothing over-
 * or underflowed on the way. */
FML_INLINE lanes expand(ptrdiff_t n, const lanes *x, lane_set *sound)
{
    const lanes *y = x + n, *z = y + n;
    lanes det = x[0] * minor(y[1], y[2], z[1], z[2]) - x[1] * minor(y[0], y[2], z[0], z[2]) +
                x[2] * minor(y[0], y[1], z[0], z[1]);
    lanes squares = x[0] * x[0] + x[1] * x[1] + x[2] * x[2];
    lanes least = squares * NEGLIGIBLE + NEGLIGIBLE;
    *sound = fml_larger(fml_size(det), least) & fml_larger(fml_all(INFINITY), fml_size(det));
    return det;
}

/* The determinant of a matrix of which all pivots are found. */
FML_INLINE lanes determinant(ptrdiff_t n, const lanes *a, const pivots *found)
{
    lanes zero = fml_all(0);
    return fml_select(fml_larger(found->is_zero, zero), zero, product(n, a, n, found->sign));
}

/* The determinants of the group that starts at `first`, by elimination alone. */
static __attribute__((noinline)) lanes eliminate_group(const determinants *s, ptrdiff_t first,
                                                       ptrdiff_t end)
{
    lanes a[MOST_ROWS * MOST_ROWS];
    pivots found = fml_no_pivots();
    fml_load(&s->a, first, end, s->n, s->n, a);
    for (ptrdiff_t k = 0; k < s->n; k++)
        eliminate(s->n, a, k, &found);
    return determinant(s->n, a, &found);
}

/* The determinants of that group, which is eliminated down to three rows; lanes in which their
 * expansion fails are eliminated. */
FML_INLINE lanes finish(const determinants *s, ptrdiff_t n, lanes *a, const pivots *found,
                        ptrdiff_t first, ptrdiff_t end)
{
    const ptrdiff_t k = n - EXPANDED;
    lane_set sound;
    a[k * n + k] = expand(n, a + k * n + k, &sound);
    lanes det = product(n, a, k + 1, found->sign);
    return fml_every(sound) ? det : fml_select(sound, det, eliminate_group(s, first, end));
}

/* Takes so many groups at once. Inlined with constants. */
FML_INLINE bool determine_groups(const determinants *s, ptrdiff_t n, ptrdiff_t groups,
                                 ptrdiff_t start, ptrdiff_t end)
{
    const bool expands = FML_FUSED && n >= EXPANDED;
    const ptrdiff_t steps = expands ? n - EXPANDED : n;
    for (ptrdiff_t first = start; first < end; first += groups * LANES) {
        lanes a[GROUPS][MOST_ROWS * MOST_ROWS];
        pivots found[GROUPS];
        for (ptrdiff_t g = 0; g < groups; g++) {
            fml_load(&s->a, first + g * LANES, end, n, n, a[g]);
            found[g] = fml_no_pivots();
        }
        for (ptrdiff_t k = 0; k < steps; k++)
            for (ptrdiff_t g = 0; g < groups; g++)
                eliminate(n, a[g], k, &found[g]);
        for (ptrdiff_t g = 0; g < groups; g++) {
            ptrdiff_t group = first + g * LANES;
            lanes det = expands ? finish(s, n, a[g], &found[g], group, end)
                                : determinant(n, a[g], &found[g]);
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
    return fml_each_block(determine_block, &s, batch, n * n * n, &found, threads);
}
