/* QR factorisations of many small matrices, by Householder's reflections, as LAPACK's geqrf and
 * orgqr.
 *
 * A reflection is I - v v', with v scaled so that v'v = 2. A column whose squares could over- or
 * underflow is brought near 1 by a power of two first; where a column is 0 below the diagonal,
 * nothing is reflected. Q and R are those of a matrix that differs from A by some n rounding errors
 * in each column (Higham, Accuracy and Stability of Numerical Algorithms, 2002, theorem 19.4), at
 * any rank. Cost for m x n, m >= n: 2 n^2 (m - n / 3) multiply-adds with Q, half of it without;
 * 8 (m n + m k + k n) bytes for Q of k columns.
 */
#include "../lanes.h"

enum {
    AT_ONCE = 4, /* columns whose products with v are summed side by side */
    MOST_INLINE = 4,
};
/* Sums of squares in between are as exact as their terms. */
static const double LEAST_SQUARES = 0x1p-900, MOST_SQUARES = 0x1p1000;

typedef struct factorisations {
    ptrdiff_t m, n, k;
    stack a;
    real *q, *r;
    int team;
    lanes *scratch; /* for each of the team; none for the sizes that are inlined */
} factorisations;

/* The sum of the squares of a column from a row on. */
FML_INLINE lanes squares(ptrdiff_t m, ptrdiff_t n, const lanes *column, ptrdiff_t row)
{
    lanes sum = fml_all(0);
    for (ptrdiff_t i = row; i < m; i++)
        sum += column[i * n] * column[i * n];
    return sum;
}

/* Scales a column from a row on, but for the lanes that are fine as they are; returns the inverse
 * scales. */
FML_INLINE lanes scale_column(ptrdiff_t m, ptrdiff_t n, lanes *column, ptrdiff_t row, lane_set fine)
{
    lanes largest = fml_all(0);
    for (ptrdiff_t i = row; i < m; i++)
        largest = fml_max(fml_size(column[i * n]), largest);
    lanes scale = fml_select(fine, fml_all(1), fml_scale_to_one(largest));
    for (ptrdiff_t i = row; i < m; i++)
        column[i * n] *= scale;
    return 1 / scale;
}

/* Replaces column j from its diagonal on by v of the reflection that makes it a multiple of e_j;
 * returns that multiple. */
FML_INLINE lanes find_reflection(ptrdiff_t m, ptrdiff_t n, lanes *a, ptrdiff_t j)
{
    lanes *column = a + j, top = column[j * n], back = fml_all(1), zero = fml_all(0);
    lanes rest = squares(m, n, column, j + 1), sum = rest + top * top;
    lane_set fine = (lane_set)(fml_larger(sum, fml_all(LEAST_SQUARES)) &
                               fml_larger(fml_all(MOST_SQUARES), sum));
    if (fml_any((lane_set)~fine)) {
        back = scale_column(m, n, column, j, fine);
        top = column[j * n];
        rest = squares(m, n, column, j + 1);
        sum = rest + top * top;
    }
    lanes norm = fml_root(sum), factor = 1 / fml_root(norm * (norm + fml_size(top)));
    lane_set done = fml_equal(rest, zero);
    factor = fml_select(done, zero, factor);
    norm = fml_select(fml_larger(zero, top), -norm, norm);
    column[j * n] = fml_select(done, zero, (top + norm) * factor);
    for (ptrdiff_t i = j + 1; i < m; i++)
        column[i * n] *= factor;
    return fml_select(done, top, -norm) * back;
}

/* Reflects `count` columns of b, from b[j * width] on, by v in column j of a. */
FML_INLINE void reflect_columns(ptrdiff_t m, ptrdiff_t n, const lanes *a, ptrdiff_t j,
                                ptrdiff_t width, lanes *b, ptrdiff_t count)
{
    lanes sums[AT_ONCE];
    for (ptrdiff_t c = 0; c < count; c++)
        sums[c] = fml_all(0);
    for (ptrdiff_t i = j; i < m; i++)
        for (ptrdiff_t c = 0; c < count; c++)
            sums[c] += a[i * n + j] * b[i * width + c];
    for (ptrdiff_t i = j; i < m; i++)
        for (ptrdiff_t c = 0; c < count; c++)
            b[i * width + c] -= a[i * n + j] * sums[c];
}

/* Reflects columns of an m x width matrix b, from a column on. */
FML_INLINE void reflect(ptrdiff_t m, ptrdiff_t n, const lanes *a, ptrdiff_t j, ptrdiff_t width,
                        lanes *b, ptrdiff_t from)
{
    for (; from + AT_ONCE <= width; from += AT_ONCE)
        reflect_columns(m, n, a, j, width, b + from, AT_ONCE);
    for (; from < width; from++)
        reflect_columns(m, n, a, j, width, b + from, 1);
}

/* The first k columns of the product of the reflections. */
FML_INLINE void multiply_out(ptrdiff_t m, ptrdiff_t n, const lanes *a, ptrdiff_t steps, ptrdiff_t k,
                             lanes *q)
{
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < k; j++)
            q[i * k + j] = fml_all(i == j);
    for (ptrdiff_t j = steps - 1; j >= 0; j--)
        reflect(m, n, a, j, k, q, j);
}

/* Puts R where the vectors of the reflections were. */
FML_INLINE void clear_below(ptrdiff_t n, ptrdiff_t steps, ptrdiff_t k, const lanes *diagonal,
                            lanes *a)
{
    for (ptrdiff_t i = 0; i < k; i++)
        for (ptrdiff_t j = 0; j < (i < n ? i : n); j++)
            a[i * n + j] = fml_all(0);
    for (ptrdiff_t j = 0; j < steps; j++)
        a[j * n + j] = diagonal[j];
}

/* Asks for one of so many parts of `count` elements that are written soon. */
FML_INLINE void fetch_part(const real *to, ptrdiff_t count, ptrdiff_t part, ptrdiff_t parts)
{
    const ptrdiff_t line = 64 / sizeof *to, end = count * (part + 1) / parts;
    for (ptrdiff_t e = count * part / parts; e < end; e += line)
        fml_prefetch(to, e);
}

/* Results of larger matrices are fetched step by step: stores that wait for memory do not overlap
 * with arithmetic (100,000 of 8x8: 16 ms, and 8.3). */
FML_INLINE void fetch_results(const factorisations *s, ptrdiff_t group, ptrdiff_t step,
                              ptrdiff_t steps)
{
    if (s->q)
        fetch_part(s->q + group * s->m * s->k, LANES * s->m * s->k, step, steps);
    fetch_part(s->r + group * s->k * s->n, LANES * s->k * s->n, step, steps);
}

/* Takes so many groups at once, in memory for an m x n matrix and m numbers of each of them and for
 * an m x k matrix. Inlined with constants. */
FML_INLINE bool factorise_groups(const factorisations *s, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                                 ptrdiff_t groups, ptrdiff_t start, ptrdiff_t end,
                                 lanes *restrict a, lanes *restrict diagonal, lanes *restrict q)
{
    const ptrdiff_t steps = m - 1 < n ? m - 1 : n;
    for (ptrdiff_t first = start; first < end; first += groups * LANES) {
        for (ptrdiff_t g = 0; g < groups; g++)
            fml_load(&s->a, first + g * LANES, end, m, n, a + g * m * n);
        for (ptrdiff_t j = 0; j < steps; j++)
            for (ptrdiff_t g = 0; g < groups; g++) {
                if (m * n >= PREFETCHED)
                    fetch_results(s, first + g * LANES, j, steps);
                diagonal[g * m + j] = find_reflection(m, n, a + g * m * n, j);
                reflect(m, n, a + g * m * n, j, n, a + g * m * n, j + 1);
            }
        for (ptrdiff_t g = 0; g < groups; g++) {
            ptrdiff_t group = first + g * LANES, count = fml_count(group, end);
            lanes *matrix = a + g * m * n;
            if (s->q) {
                multiply_out(m, n, matrix, steps, k, q);
                fml_store(count, q, m * k, s->q + group * m * k, m * k);
            }
            clear_below(n, steps, k, diagonal + g * m, matrix);
            fml_store(count, matrix, k * n, s->r + group * k * n, k * n);
        }
    }
    return false;
}

/* The same for n x n matrices that are small enough to stay in registers. */
FML_INLINE bool factorise_inline(const factorisations *s, ptrdiff_t n, ptrdiff_t start,
                                 ptrdiff_t end)
{
    lanes a[GROUPS * MOST_INLINE * MOST_INLINE], diagonal[GROUPS * MOST_INLINE];
    lanes q[MOST_INLINE * MOST_INLINE];
    return factorise_groups(s, n, n, n, GROUPS, start, end, a, diagonal, q);
}

static ptrdiff_t scratch_size(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k)
{
    return m * n + m + m * k;
}

static bool is_inline(const factorisations *s)
{
    return s->m == s->n && s->n > 1 && s->n <= MOST_INLINE;
}

static bool factorise_block(const void *problem, ptrdiff_t start, ptrdiff_t end)
{
    const factorisations *s = problem;
    const ptrdiff_t m = s->m, n = s->n, k = s->k;
    if (is_inline(s))
        return n == 2   ? factorise_inline(s, 2, start, end)
               : n == 3 ? factorise_inline(s, 3, start, end)
                        : factorise_inline(s, 4, start, end);
    /* A caller's thread of any number may work alone. */
    lanes *a = s->scratch + fml_thread_number() % s->team * scratch_size(m, n, k);
    return factorise_groups(s, m, n, k, 1, start, end, a, a + m * n, a + m * n + m);
}

fml_status FML(small_qr)(ptrdiff_t batch, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a,
                         const ptrdiff_t *strides, real *q, real *r, int threads)
{
    const int team = fml_clamp_threads(threads, batch / LANES);
    factorisations s = {m, n, k, {a, strides[0], strides[1], strides[2]}, q, r, team, NULL};
    bool found;
    if (!is_inline(&s)) {
        s.scratch = fml_alloc(team * scratch_size(m, n, k), sizeof *s.scratch);
        if (!s.scratch)
            return FML_NO_MEMORY;
    }
    const ptrdiff_t rows = m > n ? m : n;
    fml_status status =
        fml_each_block(factorise_block, &s, batch, rows * rows * rows, &found, team);
    fml_free(s.scratch);
    return status;
}
