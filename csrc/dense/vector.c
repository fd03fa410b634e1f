/* A matrix times a vector: inner products of its rows, or a combination of its columns, whichever
 * reads the matrix as it lies.
 *
 * Cost: 2 rows k flops; every element of the matrix is read once. How many rows a call has changes
 * no bit of any of them.
 */
#include "dense.h"

/* Sums side by side for one inner product, since one would wait for each addition, and rows at a
 * time, so that the vector is read less often: 16 sums of AVX-512's 32 registers, 8 of 16. */
enum { SUMS = 4, DOT_ROWS = ROWS / 2 > 2 && FML_MASKS ? 4 : 2 };
/* Sums of combined columns stay in the first-level cache: 8 KB of double. */
enum { STRIP = 1024 };
/* Columns that are combined in one pass over the sums. */
enum { AT_ONCE = 8 };

/* y = M x, with `rows` sums of k terms. */
typedef struct matvec {
    ptrdiff_t rows, k;
    const real *m;
    ptrdiff_t row, col;
    const real *x;
    ptrdiff_t x_step;
    real *y;
    ptrdiff_t y_step;
    bool add;
} matvec;

static matvec as_matvec(const product *x)
{
    if (x->n == 1)
        return (matvec){x->m, x->k,     x->a, x->a_row, x->a_col,
                        x->b, x->b_row, x->c, x->c_row, x->add};
    return (matvec){x->n, x->k, x->b, x->b_col, x->b_row, x->a, x->a_col, x->c, 1, x->add};
}

bool FML(is_vector)(const product *x)
{
    if ((x->m != 1 && x->n != 1) || x->expanded)
        return false;
    matvec v = as_matvec(x);
    return v.row == 1 || (v.col == 1 && v.x_step == 1);
}

static real sum_lanes(const vec *sums)
{
    real lanes[LANES];
    vec sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    memcpy(lanes, &sum, sizeof lanes);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] = (real)(lanes[l] + lanes[l + half]);
    return lanes[0];
}

static void put(const matvec *v, ptrdiff_t i, real sum)
{
    real *y = v->y + i * v->y_step;
    *y = v->add ? (real)(*y + sum) : sum;
}

/* Rows first .. first + rows - 1. */
FML_INLINE void dot_rows(const matvec *v, ptrdiff_t first, int rows)
{
    vec sums[DOT_ROWS][SUMS];
    const real *m = v->m + first * v->row;
    ptrdiff_t p = 0;
    memset(sums, 0, sizeof sums);
    for (; p + SUMS * LANES <= v->k; p += SUMS * LANES)
#pragma GCC unroll 4
        for (int s = 0; s < SUMS; s++) {
            vec x = load(v->x + p + s * LANES);
#pragma GCC unroll 4
            for (int i = 0; i < rows; i++)
                sums[i][s] += load(m + i * v->row + p + s * LANES) * x;
        }
    for (; p < v->k; p += LANES) {
        ptrdiff_t count = smaller(LANES, v->k - p);
        vec x = load_first(v->x + p, count);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
            sums[i][0] += load_first(m + i * v->row + p, count) * x;
    }
    for (int i = 0; i < rows; i++)
        put(v, first + i, sum_lanes(sums[i]));
}

/* sums[i] += the columns p .. p + count - 1 of M, rows from `first` on, times their x. */
FML_INLINE void combine_columns(const matvec *v, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t p,
                                int count, real *sums)
{
    const real *m = v->m + first + p * v->col;
    real x[AT_ONCE];
    for (int q = 0; q < count; q++)
        x[q] = v->x[(p + q) * v->x_step];
    for (ptrdiff_t i = 0; i < rows; i += LANES) {
        ptrdiff_t lanes = smaller(LANES, rows - i);
        vec sum = load(sums + i);
#pragma GCC unroll 8
        for (int q = 0; q < count; q++) {
            const real *column = m + q * v->col + i;
            sum += x[q] * (lanes == LANES ? load(column) : load_first(column, lanes));
        }
        store(sums + i, sum);
    }
}

static void combine_strip(const matvec *v, ptrdiff_t first, ptrdiff_t rows)
{
    real sums[STRIP];
    ptrdiff_t p = 0;
    memset(sums, 0, (size_t)(fml_blocks_of(rows, LANES) * LANES) * sizeof *sums);
    for (; p + AT_ONCE <= v->k; p += AT_ONCE)
        combine_columns(v, first, rows, p, AT_ONCE, sums);
    for (; p < v->k; p++)
        combine_columns(v, first, rows, p, 1, sums);
    for (ptrdiff_t i = 0; i < rows; i++)
        put(v, first + i, sums[i]);
}

void FML(multiply_vector)(const product *x)
{
    matvec v = as_matvec(x);
    ptrdiff_t i = 0;
    if (v.col == 1 && v.x_step == 1) {
        for (; i + DOT_ROWS <= v.rows; i += DOT_ROWS)
            dot_rows(&v, i, DOT_ROWS);
        for (; i < v.rows; i++)
            dot_rows(&v, i, 1);
    } else {
        for (; i < v.rows; i += STRIP)
            combine_strip(&v, i, smaller(STRIP, v.rows - i));
    }
}
