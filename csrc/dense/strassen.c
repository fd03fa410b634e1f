/* Products of large matrices in fewer multiplications: Winograd's form of Strassen's algorithm.
 *
 * Each level cuts the matrices into quarters and takes 7 products of them and 15 additions for 8
 * products. The steps, in two quarters of scratch memory, are those of Boyer, Dumas, Pernet and
 * Zhou (Memory efficient scheduling of Strassen-Winograd's matrix multiplication algorithm, ISSAC
 * 2009, table 1). Sums that follow each other are taken in one pass, since memory sets their pace
 * (Huang, Smith, Henry and van de Geijn, Strassen's algorithm reloaded, SC 2016, take them where
 * operands are packed, too).
 * Cost: (7/8)^halvings of the flops; a level reads or writes quarters 38 times beside its products.
 */
#include "dense.h"

/* Numbers of a sum that are worth a second thread. */
enum { THREAD_NUMBERS = 1 << 16 };

/* Rows or columns are contiguous; strides count reals. */
typedef struct matrix {
    const real *at;
    ptrdiff_t row, col;
} matrix;

/* What the steps of a level share: sizes of the quarters, and how products of them are taken. */
typedef struct level {
    ptrdiff_t m, k, n, c_row;
    ptrdiff_t unit; /* reals of an element */
    multiply_function *multiply;
    int halvings, threads; /* of the quarters */
    real *scratch;         /* for the levels below */
    fml_status status;
    fml_watch *watch; /* of the whole: each product may be too short to see a signal */
} level;

static fml_status multiply_level(const product *x, const level *above);

/* Quarter (i, j) of a matrix whose quarters have so many rows and columns. */
static matrix quarter(matrix x, int i, int j, ptrdiff_t rows, ptrdiff_t columns)
{
    x.at += i * rows * x.row + j * columns * x.col;
    return x;
}

/* A matrix in this memory, by rows or by columns as x. */
static matrix like(matrix x, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t unit, const real *memory)
{
    if (x.col == unit)
        return (matrix){memory, columns * unit, unit};
    return (matrix){memory, unit, rows * unit};
}

/* One of x and y may be out. */
static void add_line(ptrdiff_t length, const real *x, const real *y, real *out)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < length; j++)
        out[j] = (real)(x[j] + y[j]);
}

static void subtract_line(ptrdiff_t length, const real *x, const real *y, real *out)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < length; j++)
        out[j] = (real)(x[j] - y[j]);
}

typedef void line_function(ptrdiff_t length, const real *x, const real *y, real *out);

/* Parts of so many numbers that are worth a thread each. */
FML_INLINE ptrdiff_t parts_of(ptrdiff_t numbers)
{
    return numbers / THREAD_NUMBERS + 1;
}

/* What `line` does, for all rows of matrices that lie by rows, or all columns; nothing after a
 * product that has failed. */
static void each_line(const level *l, ptrdiff_t rows, ptrdiff_t columns, line_function *line,
                      matrix x, matrix y, real *out, ptrdiff_t out_step)
{
    bool by_rows = x.col == l->unit;
    ptrdiff_t count = by_rows ? rows : columns, length = (by_rows ? columns : rows) * l->unit;
    ptrdiff_t x_step = by_rows ? x.row : x.col, y_step = by_rows ? y.row : y.col;
    if (l->status != FML_OK)
        return;
#pragma omp parallel for schedule(static) \
    num_threads(fml_clamp_threads(l->threads, parts_of(count *length)))
    for (ptrdiff_t i = 0; i < count; i++)
        line(length, x.at + i * x_step, y.at + i * y_step, out + i * out_step);
}

/* Sums of quarters of A and of B, in scratch memory. */
static void sum_a(const level *l, line_function *line, matrix x, matrix y, real *s)
{
    each_line(l, l->m, l->k, line, x, y, s, (x.col == l->unit ? l->k : l->m) * l->unit);
}

static void sum_b(const level *l, line_function *line, matrix x, matrix y, real *t)
{
    each_line(l, l->k, l->n, line, x, y, t, (x.col == l->unit ? l->n : l->k) * l->unit);
}

/* A quarter of C from two. */
static void sum_c(const level *l, line_function *line, const real *x, ptrdiff_t x_row,
                  const real *y, real *c)
{
    each_line(l, l->m, l->n, line, (matrix){x, x_row, l->unit}, (matrix){y, l->c_row, l->unit}, c,
              l->c_row);
}

/* From P1 and the products P3, P6, P7 and P5 in the quarters of C to P3, U5, U3 and U7. */
static void combine_line(ptrdiff_t length, const real *p1, const real *p3, real *c12, real *c21,
                         real *c22)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < length; j++) {
        real u2 = (real)(p1[j] + c12[j]), u3 = (real)(u2 + c21[j]), p5 = c22[j];
        c12[j] = (real)((real)(u2 + p5) + p3[j]);
        c21[j] = u3;
        c22[j] = (real)(u3 + p5);
    }
}

static void combine(const level *l, const real *p1, real *c11, real *c12, real *c21, real *c22)
{
    ptrdiff_t length = l->n * l->unit;
    if (l->status != FML_OK)
        return;
#pragma omp parallel for schedule(static) \
    num_threads(fml_clamp_threads(l->threads, parts_of(l->m *length)))
    for (ptrdiff_t i = 0; i < l->m; i++)
        combine_line(length, p1 + i * length, c11 + i * l->c_row, c12 + i * l->c_row,
                     c21 + i * l->c_row, c22 + i * l->c_row);
}

/* A product of quarters, unless an earlier one has failed. */
static void take(level *l, matrix a, matrix b, real *c, ptrdiff_t c_row)
{
    product x = {.m = l->m,
                 .n = l->n,
                 .k = l->k,
                 .a = a.at,
                 .a_row = a.row,
                 .a_col = a.col,
                 .b = b.at,
                 .b_row = b.row,
                 .b_col = b.col,
                 .c = c,
                 .c_row = c_row};
    if (l->status == FML_OK)
        l->status = fml_stopped(l->watch) ? FML_INTERRUPTED : multiply_level(&x, l);
}

/* Reals of scratch memory of a level: S or P1, and T. */
static ptrdiff_t first_size(const level *l)
{
    return l->m * (l->k > l->n ? l->k : l->n) * l->unit;
}

static ptrdiff_t scratch_size(const level *l)
{
    return first_size(l) + l->k * l->n * l->unit;
}

/* The names of Boyer et al.: sums S and T of quarters of A and B, products P, sums U of them. */
static fml_status multiply_quarters(const product *x, level *l)
{
    matrix a = {x->a, x->a_row, x->a_col}, b = {x->b, x->b_row, x->b_col};
    matrix a11 = a, a12 = quarter(a, 0, 1, l->m, l->k), a21 = quarter(a, 1, 0, l->m, l->k);
    matrix b11 = b, b12 = quarter(b, 0, 1, l->k, l->n), b21 = quarter(b, 1, 0, l->k, l->n);
    matrix a22 = quarter(a, 1, 1, l->m, l->k), b22 = quarter(b, 1, 1, l->k, l->n);
    real *c11 = x->c, *c12 = c11 + l->n * l->unit, *c21 = c11 + l->m * l->c_row;
    real *c22 = c21 + l->n * l->unit, *p1 = l->scratch, *sum_t = p1 + first_size(l);
    matrix s = like(a, l->m, l->k, l->unit, p1), t = like(b, l->k, l->n, l->unit, sum_t);
    l->scratch += scratch_size(l);

    sum_a(l, subtract_line, a11, a21, p1); /* S3 */
    sum_b(l, subtract_line, b22, b12, sum_t);
    take(l, s, t, c21, l->c_row);     /* P7 */
    sum_a(l, add_line, a21, a22, p1); /* S1 */
    sum_b(l, subtract_line, b12, b11, sum_t);
    take(l, s, t, c22, l->c_row);        /* P5 */
    sum_a(l, subtract_line, s, a11, p1); /* S2 */
    sum_b(l, subtract_line, b22, t, sum_t);
    take(l, s, t, c12, l->c_row);        /* P6 */
    sum_a(l, subtract_line, a12, s, p1); /* S4 */
    sum_b(l, subtract_line, t, b21, sum_t);
    take(l, s, b22, c11, l->c_row);                   /* P3 */
    take(l, a11, b11, p1, l->n * l->unit);            /* P1 */
    combine(l, p1, c11, c12, c21, c22);               /* U3, U5, U7 */
    take(l, a22, t, c11, l->c_row);                   /* P4 */
    sum_c(l, subtract_line, c21, l->c_row, c11, c21); /* U6 */
    take(l, a12, b21, c11, l->c_row);                 /* P2 */
    sum_c(l, add_line, p1, l->n * l->unit, c11, c11); /* U1 */
    return l->status;
}

static fml_status multiply_level(const product *x, const level *above)
{
    if (above->halvings == 0)
        return above->multiply(x, above->threads);
    level l = *above;
    l.m = x->m / 2;
    l.k = x->k / 2;
    l.n = x->n / 2;
    l.c_row = x->c_row;
    l.halvings--;
    return multiply_quarters(x, &l);
}

/* Scratch memory of a product of these sizes and of those it is cut into. */
static ptrdiff_t whole_scratch(level l)
{
    ptrdiff_t size = 0;
    for (; l.halvings > 0; l.halvings--) {
        l.m /= 2;
        l.k /= 2;
        l.n /= 2;
        size += scratch_size(&l);
    }
    return size;
}

/* The part of a product that is no multiple of what can be halved so often: terms, which are added,
 * columns, and rows. */
static fml_status multiply_rest(const product *x, const product *core, const level *l)
{
    product terms = *core, columns = *x, rows = *x;
    fml_status status = FML_OK;
    terms.k = x->k - core->k;
    terms.a += core->k * x->a_col;
    terms.b += core->k * x->b_row;
    terms.add = true;
    columns.m = core->m;
    columns.n = x->n - core->n;
    columns.b += core->n * x->b_col;
    columns.c += core->n * l->unit;
    rows.m = x->m - core->m;
    rows.a += core->m * x->a_row;
    rows.c += core->m * x->c_row;
    product *const parts[] = {&terms, &columns, &rows};
    for (int i = 0; i < 3 && status == FML_OK; i++) {
        if (parts[i]->m == 0 || parts[i]->k == 0 || parts[i]->n == 0)
            continue;
        settle_strides(parts[i], l->unit);
        status = l->multiply(parts[i], l->threads);
    }
    return status;
}

fml_status FML(multiply_strassen)(const fml_stack *stack, ptrdiff_t unit,
                                  multiply_function *multiply, int halvings, const real *a,
                                  const real *b, real *c, int threads)
{
    enum { SIZE = sizeof(real) };
    product x = {.m = stack->shape[0],
                 .n = stack->shape[1],
                 .k = stack->k,
                 .a = a,
                 .a_row = stack->a[0] / SIZE,
                 .a_col = stack->a[1] / SIZE,
                 .b = b,
                 .b_row = stack->b[0] / SIZE,
                 .b_col = stack->b[1] / SIZE,
                 .c = c,
                 .c_row = stack->c[0] / SIZE};
    product core = x;
    core.m = x.m >> halvings << halvings;
    core.k = x.k >> halvings << halvings;
    core.n = x.n >> halvings << halvings;
    fml_watch watch;
    fml_watch_start(&watch);
    level whole = {.m = core.m,
                   .k = core.k,
                   .n = core.n,
                   .unit = unit,
                   .multiply = multiply,
                   .halvings = halvings,
                   .threads = threads,
                   .watch = &watch};
    whole.scratch = fml_alloc(whole_scratch(whole), sizeof *whole.scratch);
    if (!whole.scratch)
        return FML_NO_MEMORY;
    fml_status status = multiply_level(&core, &whole);
    fml_free(whole.scratch);
    return status == FML_OK ? multiply_rest(&x, &core, &whole) : status;
}

fml_status FML(matmul_strassen)(const fml_stack *stack, int halvings, const real *a, const real *b,
                                real *c, int threads)
{
    return FML(multiply_strassen)(stack, 1, FML(multiply), halvings, a, b, c, threads);
}
