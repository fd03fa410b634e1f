/* Eigenvalues and eigenvectors of many small symmetric matrices, by Jacobi's method.
 *
 * Rotations of disjoint pairs of rows are computed side by side, in rounds that meet every pair
 * once (Brent and Luk, SIAM J. Sci. Stat. Comput. 6, 1985), with the stable formulas of Rutishauser
 * (Numer. Math. 9, 1966). Each matrix is scaled by a power of two first, so that its largest entry
 * is about 1, and rotated until every entry off the diagonal is below a quarter of the rounding
 * unit; a lane that is done is rotated by 0. Cost: 6 n^3 multiply-adds a sweep, 4 to 8 sweeps;
 * 8 (2 n^2 + n) bytes.
 */
#include "../lanes.h"

#include <float.h>
#include <math.h>

enum {
    MOST_PAIRS = MOST_ROWS / 2,
    MOST_SWEEPS = 30, /* never seen: 4x4 takes 5, 16x16 takes 8 */
    ELIMINATIONS = 8, /* that take as long */
};
/* What is left off the diagonal, for matrices whose largest entry is 1 to 2. */
static const double NEGLIGIBLE = DBL_EPSILON / 4;

typedef struct spectra {
    ptrdiff_t n;
    stack a;
    bool upper;
    real *values, *vectors;
} spectra;

/* Rotations of one round: rows first[s] and second[s], by an angle of each lane. */
typedef struct rotations {
    ptrdiff_t count, first[MOST_PAIRS], second[MOST_PAIRS];
    lanes cosine[MOST_PAIRS], sine[MOST_PAIRS];
} rotations;

/* Where entry (i, j) of a symmetric matrix is: in its upper triangle. */
FML_INLINE ptrdiff_t place(ptrdiff_t n, ptrdiff_t i, ptrdiff_t j)
{
    return i < j ? i * n + j : j * n + i;
}

/* The pairs of a round: rows stand in a circle and face each other, but for the last row of an even
 * number, which faces the one that would be alone: row `round`. */
FML_INLINE void pair_up(ptrdiff_t n, ptrdiff_t round, rotations *r)
{
    ptrdiff_t circle = n - 1 + n % 2;
    r->count = 0;
    for (ptrdiff_t s = n % 2; s <= circle / 2; s++) {
        ptrdiff_t left = round + s, right = round - s;
        r->first[r->count] = left < circle ? left : left - circle;
        r->second[r->count++] = s == 0 ? n - 1 : right < 0 ? right + circle : right;
    }
}

/* Finds the rotations that make the entries of the pairs 0, and makes them 0. Returns whether any
 * lane is to be rotated. */
FML_INLINE bool find_rotations(ptrdiff_t n, lanes *a, rotations *r)
{
    lanes largest = fml_all(0);
    for (ptrdiff_t s = 0; s < r->count; s++)
        largest = fml_max(fml_size(a[place(n, r->first[s], r->second[s])]), largest);
    if (!fml_any(fml_larger(largest, fml_all(NEGLIGIBLE))))
        return false;
    for (ptrdiff_t s = 0; s < r->count; s++) {
        ptrdiff_t p = r->first[s], q = r->second[s];
        lanes off = a[place(n, p, q)];
        lane_set wanted = fml_larger(fml_size(off), fml_all(NEGLIGIBLE));
        lanes difference = a[q * n + q] - a[p * n + p], twice = off + off;
        lanes root = fml_root(difference * difference + twice * twice);
        lanes tangent = twice / (fml_size(difference) + root);
        tangent = fml_select(fml_larger(fml_all(0), difference), -tangent, tangent);
        tangent = fml_select(wanted, tangent, fml_all(0));
        r->cosine[s] = 1 / fml_root(1 + tangent * tangent);
        r->sine[s] = tangent * r->cosine[s];
        a[p * n + p] -= tangent * off;
        a[q * n + q] += tangent * off;
        a[place(n, p, q)] = fml_select(wanted, fml_all(0), off);
    }
    return true;
}

FML_INLINE void rotate(lanes *x, lanes *y, lanes cosine, lanes sine)
{
    lanes first = *x, second = *y;
    *x = cosine * first - sine * second;
    *y = sine * first + cosine * second;
}

/* Rotates four entries by the angles of their rows (0) and their columns (1). They are in registers
 * meanwhile: pointers, which may be equal for all that the compiler knows, would send each through
 * memory. */
FML_INLINE void rotate_block(lanes *pp, lanes *pq, lanes *qp, lanes *qq, lanes cosine0, lanes sine0,
                             lanes cosine1, lanes sine1)
{
    lanes a = *pp, b = *pq, c = *qp, d = *qq;
    rotate(&a, &c, cosine0, sine0);
    rotate(&b, &d, cosine0, sine0);
    rotate(&a, &b, cosine1, sine1);
    rotate(&c, &d, cosine1, sine1);
    *pp = a, *pq = b, *qp = c, *qq = d;
}

/* A <- J' A J off the diagonal, and V <- J' V, for the rotations J of a round. */
FML_INLINE void apply_rotations(ptrdiff_t n, lanes *a, lanes *v, const rotations *r,
                                ptrdiff_t alone)
{
    for (ptrdiff_t s = 0; s < r->count; s++) {
        ptrdiff_t p = r->first[s], q = r->second[s];
        lanes cosine = r->cosine[s], sine = r->sine[s];
        for (ptrdiff_t t = s + 1; t < r->count; t++) {
            lanes *pp = a + place(n, p, r->first[t]), *pq = a + place(n, p, r->second[t]);
            lanes *qp = a + place(n, q, r->first[t]), *qq = a + place(n, q, r->second[t]);
            rotate_block(pp, pq, qp, qq, cosine, sine, r->cosine[t], r->sine[t]);
        }
        if (n % 2)
            rotate(a + place(n, alone, p), a + place(n, alone, q), cosine, sine);
        for (ptrdiff_t i = 0; i < n; i++)
            rotate(v + p * n + i, v + q * n + i, cosine, sine);
    }
}

/* Rotates until all lanes of so many groups are done; returns whether they are. */
FML_INLINE bool diagonalise(ptrdiff_t n, ptrdiff_t groups, lanes (*a)[MOST_ROWS * MOST_ROWS],
                            lanes (*v)[MOST_ROWS * MOST_ROWS])
{
    for (ptrdiff_t g = 0; g < groups; g++)
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t j = 0; j < n; j++)
                v[g][i * n + j] = fml_all(i == j);
    bool is_done = false;
    for (int sweep = 0; sweep < MOST_SWEEPS && !is_done; sweep++) {
        is_done = true;
        for (ptrdiff_t round = 0; round < n - 1 + n % 2; round++)
            for (ptrdiff_t g = 0; g < groups; g++) {
                rotations r;
                pair_up(n, round, &r);
                if (find_rotations(n, a[g], &r)) {
                    apply_rotations(n, a[g], v[g], &r, round);
                    is_done = false;
                }
            }
    }
    return is_done;
}

FML_INLINE void mirror_lower(ptrdiff_t n, lanes *a)
{
    for (ptrdiff_t i = 1; i < n; i++)
        for (ptrdiff_t j = 0; j < i; j++)
            a[j * n + i] = a[i * n + j];
}

/* Scales the upper triangle of a. Matrices that hold an infinity or NaN become 0, and their
 * scale NaN. Returns the inverse scales. */
FML_INLINE lanes scale(ptrdiff_t n, lanes *a)
{
    lanes largest = fml_all(0), probe = fml_all(0);
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = i; j < n; j++) {
            largest = fml_max(fml_size(a[i * n + j]), largest);
            probe += a[i * n + j] * 0;
        }
    lanes factor = fml_scale_to_one(largest);
    lane_set finite = fml_equal(probe, fml_all(0));
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = i; j < n; j++)
            a[i * n + j] = fml_select(finite, a[i * n + j] * factor, fml_all(0));
    return fml_select(finite, 1 / factor, fml_all(NAN));
}

/* Values ascending and vectors in columns, for lane l. A zero has no sign, as which it had would
 * depend on how long other lanes went on. */
static void store_lane(ptrdiff_t n, const lanes *a, const lanes *v, double inverse_scale,
                       ptrdiff_t l, real *values, real *vectors)
{
    ptrdiff_t order[MOST_ROWS];
    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t j = i;
        for (; j > 0 && a[order[j - 1] * (n + 1)][l] > a[i * (n + 1)][l]; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        const lanes *vector = v + order[j] * n;
        values[j] = (real)(a[order[j] * (n + 1)][l] * inverse_scale + 0.0);
        for (ptrdiff_t i = 0; i < n; i++)
            vectors[i * n + j] = (real)(vector[i][l] + inverse_scale * 0);
    }
}

/* Whether one of the matrices from start to end - 1 failed; takes so many groups at once. Inlined
 * with constants. */
FML_INLINE bool decompose_groups(const spectra *s, ptrdiff_t n, ptrdiff_t groups, ptrdiff_t start,
                                 ptrdiff_t end)
{
    bool failed = false;
    for (ptrdiff_t first = start; first < end; first += groups * LANES) {
        lanes a[GROUPS][MOST_ROWS * MOST_ROWS], v[GROUPS][MOST_ROWS * MOST_ROWS];
        lanes inverse_scale[GROUPS];
        for (ptrdiff_t g = 0; g < groups; g++) {
            fml_load(&s->a, first + g * LANES, end, n, n, a[g]);
            if (!s->upper)
                mirror_lower(n, a[g]);
            inverse_scale[g] = scale(n, a[g]);
        }
        failed |= !diagonalise(n, groups, a, v);
        for (ptrdiff_t g = 0; g < groups; g++) {
            ptrdiff_t group = first + g * LANES, count = fml_count(group, end);
            for (ptrdiff_t l = 0; l < count; l++) {
                store_lane(n, a[g], v[g], inverse_scale[g][l], l, s->values + (group + l) * n,
                           s->vectors + (group + l) * n * n);
                failed |= isnan(inverse_scale[g][l]);
            }
        }
    }
    return failed;
}

static bool decompose_block(const void *problem, ptrdiff_t start, ptrdiff_t end)
{
    const spectra *s = problem;
    switch (s->n) {
    case 2:
        return decompose_groups(s, 2, GROUPS, start, end);
    case 3:
        return decompose_groups(s, 3, GROUPS, start, end);
    case 4:
        return decompose_groups(s, 4, GROUPS, start, end);
    default:
        return decompose_groups(s, s->n, 1, start, end);
    }
}

fml_status FML(small_eigh)(ptrdiff_t batch, ptrdiff_t n, const real *a, const ptrdiff_t *strides,
                           bool upper, real *values, real *vectors, bool *failed, int threads)
{
    const spectra s = {n, {a, strides[0], strides[1], strides[2]}, upper, values, vectors};
    return fml_each_block(decompose_block, &s, batch, ELIMINATIONS * n * n * n, failed, threads);
}
