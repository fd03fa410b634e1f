/* Solves many small systems A X = B, by Gaussian elimination with partial pivoting.
 *
 * Columns of B are taken in panels, A being factored again for each: it costs less than to keep
 * what each lane exchanged. Cost: n^3 / 3 + n^2 columns multiply-adds (twice the columns in
 * selections), 8 (n^2 + 2 n columns) bytes.
 */
#include "../lu.h"

enum { PANEL = 16 };

typedef struct systems {
    ptrdiff_t n, columns;
    stack a, b;
    real *x;
    bool are_streamed;
} systems;

FML_INLINE void substitute(ptrdiff_t n, const lanes *a, ptrdiff_t columns, lanes *b)
{
    for (ptrdiff_t j = 0; j < columns; j++)
        for (ptrdiff_t i = n - 1; i >= 0; i--) {
            lanes sum = b[i * columns + j];
            for (ptrdiff_t k = i + 1; k < n; k++)
                sum -= a[i * n + k] * b[k * columns + j];
            b[i * columns + j] = sum / a[i * n + i];
        }
}

FML_INLINE void store_panel(const systems *s, ptrdiff_t n, ptrdiff_t columns, lanes *b,
                            ptrdiff_t first, ptrdiff_t count, ptrdiff_t column)
{
    real *x = s->x + first * n * s->columns + column;
    if (columns == s->columns)
        fml_store_results(s->are_streamed, count, b, n * columns, x);
    else
        for (ptrdiff_t i = 0; i < n; i++)
            fml_store(count, b + i * columns, columns, x + i * s->columns, n * s->columns);
}

/* Solves systems from `first` on, so many groups at once, for some columns; returns which lanes
 * hold a singular one. */
FML_INLINE lanes solve_panel(const systems *s, ptrdiff_t n, ptrdiff_t columns, ptrdiff_t groups,
                             ptrdiff_t first, ptrdiff_t end, ptrdiff_t column)
{
    lanes a[GROUPS][MOST_ROWS * MOST_ROWS], b[GROUPS][MOST_ROWS * PANEL];
    pivots found[GROUPS];
    stack right = s->b;
    right.data += column * right.column_stride;
    for (ptrdiff_t g = 0; g < groups; g++) {
        fml_load(&s->a, first + g * LANES, end, n, n, a[g]);
        fml_load(&right, first + g * LANES, end, n, columns, b[g]);
        found[g] = fml_no_pivots();
    }
    for (ptrdiff_t k = 0; k < n; k++)
        for (ptrdiff_t g = 0; g < groups; g++) {
            lane_set here[MOST_ROWS];
            fml_pivot(n, a[g], k, k, here, &found[g]);
            fml_exchange(n, (view){b[g], columns, 1}, columns, k, here);
            fml_reduce(n, a[g], n, a[g], k + 1, k);
            fml_reduce(n, a[g], columns, b[g], 0, k);
        }
    for (ptrdiff_t g = 0; g < groups; g++) {
        ptrdiff_t group = first + g * LANES;
        substitute(n, a[g], columns, b[g]);
        store_panel(s, n, columns, b[g], group, fml_count(group, end), column);
        found[0].is_zero = fml_max(found[0].is_zero, found[g].is_zero);
    }
    return found[0].is_zero;
}

/* Whether one of the systems from start to end - 1 is singular. Inlined with constants. */
FML_INLINE bool solve_groups(const systems *s, ptrdiff_t n, ptrdiff_t columns, ptrdiff_t groups,
                             ptrdiff_t start, ptrdiff_t end)
{
    lanes singular = fml_all(0);
    for (ptrdiff_t first = start; first < end; first += groups * LANES)
        for (ptrdiff_t column = 0; column < columns; column += PANEL) {
            ptrdiff_t panel = columns - column < PANEL ? columns - column : PANEL;
            singular = fml_max(singular, solve_panel(s, n, panel, groups, first, end, column));
        }
    if (s->are_streamed)
        fml_end_stream();
    return fml_any(fml_larger(singular, fml_all(0)));
}

static bool solve_block(const void *problem, ptrdiff_t start, ptrdiff_t end)
{
    const systems *s = problem;
    switch (s->columns == 1 ? s->n : 0) {
    case 1:
        return solve_groups(s, 1, 1, 1, start, end);
    case 2:
        return solve_groups(s, 2, 1, 1, start, end);
    case 3:
        return solve_groups(s, 3, 1, 1, start, end);
    case 4:
        return solve_groups(s, 4, 1, GROUPS, start, end);
    default:
        return solve_groups(s, s->n, s->columns, 1, start, end);
    }
}

fml_status FML(small_solve)(ptrdiff_t batch, ptrdiff_t n, ptrdiff_t columns, const real *a,
                            const ptrdiff_t *a_strides, const real *b, const ptrdiff_t *b_strides,
                            real *x, bool *singular, int threads)
{
    const systems s = {.n = n,
                       .columns = columns,
                       .a = {a, a_strides[0], a_strides[1], a_strides[2]},
                       .b = {b, b_strides[0], b_strides[1], b_strides[2]},
                       .x = x,
                       .are_streamed = fml_are_streamed(batch, n * columns)};
    return fml_each_block(solve_block, &s, batch, n * n * (n + columns), singular, threads);
}
