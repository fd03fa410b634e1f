/* Inverts many small matrices, by Gaussian elimination with partial pivoting.
 *
 * With P A = L U each column of X = U^-1 L^-1 solves a system by two substitutions, as in LAPACK's
 * gesv; the columns of X are exchanged as the rows of A were, in reverse. Cost: n^3 multiply-adds,
 * up to 2 n^3 selections, 16 n^2 bytes.
 */
#include "../lu.h"

typedef struct inverses {
    ptrdiff_t n;
    stack a;
    real *x;
    bool are_streamed;
} inverses;

/* The lower triangle of X <- L^-1, from the multipliers in a. */
FML_INLINE void invert_lower(ptrdiff_t n, const lanes *a, lanes *x)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        x[i * n + i] = fml_all(1);
        for (ptrdiff_t j = 0; j < i; j++) {
            lanes sum = a[i * n + j];
            for (ptrdiff_t k = j + 1; k < i; k++)
                sum += a[i * n + k] * x[k * n + j];
            x[i * n + j] = -sum;
        }
    }
}

/* X <- U^-1 X in `count` columns from j on, where X is lower triangular and the diagonal of a holds
 * inverses. */
FML_INLINE void divide_by_upper(ptrdiff_t n, const lanes *a, lanes *x, ptrdiff_t j, ptrdiff_t count)
{
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        lanes sums[AT_ONCE];
        for (ptrdiff_t c = 0; c < count; c++)
            sums[c] = j + c <= i ? x[i * n + j + c] : fml_all(0);
        for (ptrdiff_t k = i + 1; k < n; k++)
            for (ptrdiff_t c = 0; c < count; c++)
                sums[c] -= a[i * n + k] * x[k * n + j + c];
        for (ptrdiff_t c = 0; c < count; c++)
            x[i * n + j + c] = sums[c] * a[i * n + i];
    }
}

/* Column j of each matrix goes to column order[j]. */
static void store_columns(ptrdiff_t n, const lanes *x, const lanes *order, ptrdiff_t count,
                          real *out)
{
    for (ptrdiff_t l = 0; l < count; l++, out += n * n)
        for (ptrdiff_t j = 0; j < n; j++) {
            real *column = out + (ptrdiff_t)order[j][l];
            for (ptrdiff_t i = 0; i < n; i++)
                column[i * n] = (real)x[i * n + j][l];
        }
}

/* Stores X, its columns exchanged as the rows of A were, in reverse. Registers of eight lanes do
 * that faster; for fewer it takes as long to put every number in its place. */
FML_INLINE void store_exchanged(const inverses *s, ptrdiff_t n, lanes *x,
                                lane_set (*here)[MOST_ROWS], ptrdiff_t count, real *out)
{
    if (LANES == 8) {
        for (ptrdiff_t k = n - 1; k >= 0; k--)
            fml_exchange(n, (view){x, 1, n}, n, k, here[k]);
        fml_store_results(s->are_streamed, count, x, n * n, out);
        return;
    }
    lanes order[MOST_ROWS];
    for (ptrdiff_t k = 0; k < n; k++)
        order[k] = fml_all((double)k);
    for (ptrdiff_t k = 0; k < n; k++)
        fml_exchange(n, (view){order, 1, 1}, 1, k, here[k]);
    store_columns(n, x, order, count, out);
}

FML_INLINE void divide_all_by_upper(ptrdiff_t n, const lanes *a, lanes *x)
{
    ptrdiff_t j = 0;
    for (; j + AT_ONCE <= n; j += AT_ONCE)
        divide_by_upper(n, a, x, j, AT_ONCE);
    for (; j < n; j++)
        divide_by_upper(n, a, x, j, 1);
}

/* Whether one of the matrices from start to end - 1 is singular; takes so many groups at once.
 * Inlined with constants. */
FML_INLINE bool invert_groups(const inverses *s, ptrdiff_t n, ptrdiff_t groups, ptrdiff_t start,
                              ptrdiff_t end)
{
    pivots found = fml_no_pivots();
    for (ptrdiff_t first = start; first < end; first += groups * LANES) {
        lanes a[GROUPS][MOST_ROWS * MOST_ROWS], x[GROUPS][MOST_ROWS * MOST_ROWS];
        lane_set here[GROUPS][MOST_ROWS][MOST_ROWS];
        for (ptrdiff_t g = 0; g < groups; g++)
            fml_load(&s->a, first + g * LANES, end, n, n, a[g]);
        for (ptrdiff_t k = 0; k < n; k++)
            for (ptrdiff_t g = 0; g < groups; g++) {
                fml_pivot(n, a[g], 0, k, here[g][k], &found);
                fml_reduce(n, a[g], n, a[g], k + 1, k);
                a[g][k * n + k] = 1 / a[g][k * n + k];
            }
        for (ptrdiff_t g = 0; g < groups; g++) {
            invert_lower(n, a[g], x[g]);
            divide_all_by_upper(n, a[g], x[g]);
        }
        for (ptrdiff_t g = 0; g < groups; g++) {
            ptrdiff_t group = first + g * LANES;
            store_exchanged(s, n, x[g], here[g], fml_count(group, end), s->x + group * n * n);
        }
    }
    if (s->are_streamed)
        fml_end_stream();
    return fml_any(fml_larger(found.is_zero, fml_all(0)));
}

static bool invert_block(const void *problem, ptrdiff_t start, ptrdiff_t end)
{
    const inverses *s = problem;
    switch (s->n) {
    case 1:
        return invert_groups(s, 1, 1, start, end);
    case 2:
        return invert_groups(s, 2, 1, start, end);
    case 3:
        return invert_groups(s, 3, GROUPS, start, end);
    case 4:
        return invert_groups(s, 4, GROUPS, start, end);
    default:
        return invert_groups(s, s->n, 1, start, end);
    }
}

fml_status FML(small_inverse)(ptrdiff_t batch, ptrdiff_t n, const real *a, const ptrdiff_t *strides,
                              real *x, bool *singular, int threads)
{
    const inverses s = {.n = n,
                        .a = {a, strides[0], strides[1], strides[2]},
                        .x = x,
                        .are_streamed = fml_are_streamed(batch, n * n)};
    return fml_each_block(invert_block, &s, batch, n * n * n, singular, threads);
}
