/* Products of matrices that fit a vector each, such as 4 x 4 of float and AVX-512, and of several
 * side by side where those fit.
 *
 * For every term of the sums one shuffle gives each lane of C its number of A, another one that of
 * B; a multiply-add follows. Strides change the lanes that are read, nothing else. The terms of a
 * sum are added in the order of a tile. Cost: 3 k + 3 instructions for a vector of C.
 */
#include "dense.h"

#if FML_MASKS && FML_SHUFFLES

enum { MOST_TERMS = 4 };
/* Products for which the lanes are looked up: that takes as long as 10 tiles, some 60 ns. */
enum { FEWEST = 16 };

/* How matrices lie in vectors: so many side by side, and the lanes of A and B that each lane of C
 * needs, term by term. */
typedef struct fit {
    ptrdiff_t together;
    lane_numbers a[MOST_TERMS], b[MOST_TERMS];
} fit;

/* Numbers from the first to the last of so many operands at equal distances. */
static ptrdiff_t reach_a(const run *x, ptrdiff_t count)
{
    const product *p = &x->p;
    return (p->m - 1) * p->a_row + (p->k - 1) * p->a_col + (count - 1) * x->a + 1;
}

static ptrdiff_t reach_b(const run *x, ptrdiff_t count)
{
    const product *p = &x->p;
    return (p->k - 1) * p->b_row + (p->n - 1) * p->b_col + (count - 1) * x->b + 1;
}

static bool is_within(ptrdiff_t stride)
{
    return stride >= 0 && stride < LANES;
}

/* Whether so many matrices side by side fit. */
static bool fits(const run *x, ptrdiff_t count)
{
    const product *p = &x->p;
    if (count > 1 && !(is_within(x->a) && is_within(x->b) && x->c == p->m * p->n))
        return false;
    return reach_a(x, count) <= LANES && reach_b(x, count) <= LANES && count * p->m * p->n <= LANES;
}

bool FML(fits_vectors)(const run *x, ptrdiff_t count)
{
    const product *p = &x->p;
    return count >= FEWEST && p->k > 1 && p->k <= MOST_TERMS && p->m <= LANES && p->n <= LANES &&
           p->m * p->n > 1 && (p->m == 1 || p->c_row == p->n) && is_within(p->a_row) &&
           is_within(p->a_col) && is_within(p->b_row) && is_within(p->b_col) && fits(x, 1);
}

static fit fit_of(const run *x)
{
    const product *p = &x->p;
    ptrdiff_t size = p->m * p->n;
    fit y = {.together = 1};
    while (fits(x, 2 * y.together))
        y.together *= 2;
    for (ptrdiff_t l = 0; l < y.together * size; l++) {
        ptrdiff_t which = l / size, row = l / p->n % p->m, column = l % p->n;
        for (ptrdiff_t t = 0; t < p->k; t++) {
            y.a[t][l] = (lane_number)(which * x->a + row * p->a_row + t * p->a_col);
            y.b[t][l] = (lane_number)(which * x->b + column * p->b_col + t * p->b_row);
        }
    }
    return y;
}

/* So many groups of `together` products each, at most as many as fit. */
FML_INLINE void multiply_groups(run *x, ptrdiff_t terms, ptrdiff_t groups, ptrdiff_t together,
                                const fit *y)
{
    ptrdiff_t a_lanes = reach_a(x, together), b_lanes = reach_b(x, together);
    ptrdiff_t c_lanes = together * x->p.m * x->p.n;
    for (ptrdiff_t i = 0; i < groups; i++) {
        vec a = load_first(x->p.a, a_lanes), b = load_first(x->p.b, b_lanes), sum = {0};
#pragma GCC unroll 4
        for (ptrdiff_t t = 0; t < terms; t++)
            sum += __builtin_shuffle(a, y->a[t]) * __builtin_shuffle(b, y->b[t]);
        store_first(x->p.c, sum, c_lanes);
        x->p.a += together * x->a;
        x->p.b += together * x->b;
        x->p.c += together * x->c;
    }
}

FML_INLINE void multiply_terms(run *x, ptrdiff_t terms, ptrdiff_t count)
{
    const fit y = fit_of(x);
    multiply_groups(x, terms, count / y.together, y.together, &y);
    if (count % y.together > 0)
        multiply_groups(x, terms, 1, count % y.together, &y);
}

void FML(multiply_vectors)(run x, ptrdiff_t count)
{
    if (x.p.k == 2)
        multiply_terms(&x, 2, count);
    else if (x.p.k == 3)
        multiply_terms(&x, 3, count);
    else
        multiply_terms(&x, 4, count);
}

#else

bool FML(fits_vectors)(const run *x, ptrdiff_t count)
{
    (void)x;
    (void)count;
    return false;
}

void FML(multiply_vectors)(run x, ptrdiff_t count)
{
    (void)x;
    (void)count;
}

#endif
