/* The scenarios of matrix products; CMake compiles this file once per element type, with FML_REAL
 * and FML_TYPE. Each takes every way to multiply: packed, cut along its sums, in parts, in a batch.
 */
#include "inputs.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TYPED(name) JOIN(name, FML_TYPE)
#define TYPED_FN(name) JOIN(TYPED(name), fn)

typedef FML_REAL real;

enum { NUMBERS = 150000 };

static const real *numbers(void)
{
    static real filled[NUMBERS];
    for (int i = 0; i < NUMBERS; i++)
        filled[i] = (real)(i * 7 % 97 + 1);
    return filled;
}

/* Stacks of contiguous matrices: count times (m, k) by (k, n), of elements of so many reals. */
typedef struct sizes {
    ptrdiff_t count, m, k, n, unit;
} sizes;

static fml_status multiply(TYPED_FN(fml_matmul) * kernel, sizes x, int threads, uint64_t *digest)
{
    static real c[NUMBERS];
    ptrdiff_t size = x.unit * (ptrdiff_t)sizeof(real);
    ptrdiff_t shape[3] = {x.count, x.m, x.n};
    ptrdiff_t a[3] = {x.m * x.k * size, x.k * size, size};
    ptrdiff_t b[3] = {x.k * x.n * size, x.n * size, size};
    ptrdiff_t strides[3] = {x.m * x.n * size, x.n * size, size};
    fml_stack stack = {.dims = 3, .k = x.k, .shape = shape, .a = a, .b = b, .c = strides};
    fml_status status = kernel(&stack, numbers(), numbers(), c, threads);
    fold(digest, c, (size_t)(x.count * x.m * x.n * size));
    return status;
}

static fml_status multiply_all(TYPED_FN(fml_matmul) * kernel, ptrdiff_t unit, int threads,
                               uint64_t *digest)
{
    const sizes all[] = {{1, 100, 90, 80, unit},
                         {1, 6, 20000 / unit, 7, unit},
                         {1, 350, 350 / unit, 1, unit},
                         {60, 20, 21, 22, unit},
                         {2000, 3, 4, 3, unit}};
    fml_status status = FML_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && status == FML_OK; i++)
        status = multiply(kernel, all[i], threads, digest);
    return status;
}

/* Sides that are not halved evenly, into products that threads share. */
static fml_status cut(TYPED_FN(fml_matmul_strassen) * kernel, ptrdiff_t unit, int threads,
                      uint64_t *digest)
{
    enum { M = 201, K = 222, N = 207 };
    static real c[2 * M * N];
    ptrdiff_t size = unit * (ptrdiff_t)sizeof(real);
    ptrdiff_t shape[2] = {M, N}, a[2] = {K * size, size}, b[2] = {size, K * size};
    ptrdiff_t strides[2] = {N * size, size};
    fml_stack stack = {.dims = 2, .k = K, .shape = shape, .a = a, .b = b, .c = strides};
    fml_status status = kernel(&stack, 2, numbers(), numbers(), c, threads);
    fold(digest, c, (size_t)(M * N * size));
    return status;
}

static fml_status square(TYPED_FN(fml_gram) * kernel, ptrdiff_t k, ptrdiff_t n, ptrdiff_t unit,
                         int threads, uint64_t *digest)
{
    static real c[NUMBERS];
    ptrdiff_t size = unit * (ptrdiff_t)sizeof(real);
    fml_status status = kernel(k, n, numbers(), n * size, size, c, threads);
    fold(digest, c, (size_t)(n * n * size));
    return status;
}

static fml_status square_all(TYPED_FN(fml_gram) * kernel, ptrdiff_t unit, int threads,
                             uint64_t *digest)
{
    fml_status status = square(kernel, 80, 100, unit, threads, digest);
    return status == FML_OK ? square(kernel, 20000 / unit, 6, unit, threads, digest) : status;
}

fml_status TYPED(run_matmul)(int threads, uint64_t *digest)
{
    return multiply_all(fml_variants()[0]->TYPED(matmul), 1, threads, digest);
}

fml_status TYPED(run_matmul_strassen)(int threads, uint64_t *digest)
{
    return cut(fml_variants()[0]->TYPED(matmul_strassen), 1, threads, digest);
}

fml_status TYPED(run_gram)(int threads, uint64_t *digest)
{
    return square_all(fml_variants()[0]->TYPED(gram), 1, threads, digest);
}

#define IS_REAL_f64 1
#define IS_REAL_f32 1
#define IS_REAL_u64 0
#define IS_REAL_u32 0
#define IS_REAL_u16 0

#if TYPED(IS_REAL)
fml_status TYPED(run_matmul_complex)(int threads, uint64_t *digest)
{
    return multiply_all(fml_variants()[0]->TYPED(matmul_complex), 2, threads, digest);
}

fml_status TYPED(run_matmul_complex_strassen)(int threads, uint64_t *digest)
{
    return cut(fml_variants()[0]->TYPED(matmul_complex_strassen), 2, threads, digest);
}

fml_status TYPED(run_gram_complex)(int threads, uint64_t *digest)
{
    return square_all(fml_variants()[0]->TYPED(gram_complex), 2, threads, digest);
}

enum { TALL = 9000, NARROW = 7, TRIANGLES = 2 };

static const real *triangles(void)
{
    static real u[TRIANGLES * NARROW * NARROW];
    for (int i = 0; i < TRIANGLES * NARROW * NARROW; i++)
        u[i] = i % (NARROW * NARROW) % (NARROW + 1) == 0 ? 4 : 1; /* only half of it is read */
    return u;
}

fml_status TYPED(run_solve_right)(int threads, uint64_t *digest)
{
    enum { SIZE = sizeof(real) };
    static real x[TALL * NARROW];
    fml_status status = fml_variants()[0]->TYPED(solve_right)(
        TALL, NARROW, numbers(), NARROW * SIZE, SIZE, TRIANGLES, triangles(), x, threads);
    FOLD_ARRAY(digest, x);
    return status;
}

enum { CENTRED_COLUMNS = 258, CENTRED_RIGHT = 2 };

static fml_status centre(ptrdiff_t rows, ptrdiff_t columns, int threads, uint64_t *digest)
{
    enum { MOST_SUMS = CENTRED_COLUMNS + CENTRED_RIGHT + 1, SIZE = sizeof(real) };
    static const real shift[CENTRED_COLUMNS + CENTRED_RIGHT] = {3, 1, 4, 1, 5, 9, 2, 6, 5};
    static double sums[MOST_SUMS * MOST_SUMS];
    const fml_side_by_side sides = {.n = columns,
                                    .p = CENTRED_RIGHT,
                                    .x = numbers(),
                                    .y = numbers(),
                                    .x_row = columns * SIZE,
                                    .x_col = SIZE,
                                    .y_row = SIZE,
                                    .y_col = rows * SIZE};
    fml_status status =
        fml_variants()[0]->TYPED(centred_gram)(rows, &sides, shift, numbers(), sums, threads);
    ptrdiff_t size = columns + CENTRED_RIGHT + 1;
    fold(digest, sums, (size_t)(size * size) * sizeof *sums);
    return status;
}

/* Few columns, and as many as make threads share packed rows. */
fml_status TYPED(run_centred_gram)(int threads, uint64_t *digest)
{
    fml_status status = centre(9000, 7, threads, digest);
    return status == FML_OK ? centre(300, CENTRED_COLUMNS, threads, digest) : status;
}

fml_status TYPED(run_solved_gram)(int threads, uint64_t *digest)
{
    enum { SIZE = sizeof(real) };
    static real gram[(NARROW + 1) * (NARROW + 1)];
    const fml_side_by_side sides = {.n = NARROW,
                                    .p = 1,
                                    .x = numbers(),
                                    .y = numbers(),
                                    .x_row = NARROW * SIZE,
                                    .x_col = SIZE,
                                    .y_row = SIZE};
    fml_status status =
        fml_variants()[0]->TYPED(solved_gram)(TALL, &sides, TRIANGLES, triangles(), gram, threads);
    FOLD_ARRAY(digest, gram);
    return status;
}

/* Rows of which some are equal. */
enum { POINTS = 450, QUERIES = 70, TERMS = 131, NEIGHBORS = 6 };

static fml_rows rows_of(ptrdiff_t count)
{
    return (fml_rows){.count = count,
                      .data = numbers(),
                      .row = TERMS * (ptrdiff_t)sizeof(real),
                      .col = sizeof(real)};
}

fml_status TYPED(run_pairwise_distances)(int threads, uint64_t *digest)
{
    static real out[POINTS * POINTS];
    const fml_rows x = rows_of(QUERIES), y = rows_of(POINTS);
    fml_status status =
        fml_variants()[0]->TYPED(pairwise_distances)(&x, &y, TERMS, FML_SQEUCLIDEAN, out, threads);
    fold(digest, out, QUERIES * POINTS * sizeof *out);
    if (status == FML_OK)
        status = fml_variants()[0]->TYPED(pairwise_distances)(&y, NULL, TERMS, FML_EUCLIDEAN, out,
                                                              threads);
    FOLD_ARRAY(digest, out);
    return status;
}

fml_status TYPED(run_kneighbors)(int threads, uint64_t *digest)
{
    static real distances[POINTS * NEIGHBORS];
    static int64_t indices[POINTS * NEIGHBORS];
    const fml_rows y = rows_of(POINTS);
    fml_status status = fml_variants()[0]->TYPED(kneighbors)(
        &y, NULL, TERMS, FML_EUCLIDEAN, NEIGHBORS, distances, indices, threads);
    FOLD_ARRAY(digest, distances);
    FOLD_ARRAY(digest, indices);
    return status;
}

/* Several groups of rows, and panels the last of which is not full. */
fml_status TYPED(run_gram_times)(int threads, uint64_t *digest)
{
    enum { ROWS = 150, WIDTH = 131, COUNT = 11 };
    static const real offset[COUNT] = {3, 1, 4, 1, 5, 9, 2, 6, 5};
    static real y[ROWS * COUNT], out[COUNT * WIDTH];
    fml_status status = fml_variants()[0]->TYPED(gram_times)(ROWS, WIDTH, COUNT, numbers(),
                                                             numbers(), offset, y, out, threads);
    FOLD_ARRAY(digest, y);
    FOLD_ARRAY(digest, out);
    return status;
}

/* Several blocks of rows, and the way back. */
fml_status TYPED(run_project_rows)(int threads, uint64_t *digest)
{
    enum { SIZE = sizeof(real), ROWS = 1100, WIDTH = 131, KEPT = 35 };
    static const real shift[2 * WIDTH] = {3, 1, 4, 1, 5, 9, 2, 6, 5};
    static real found[ROWS * KEPT];
    static double errors[ROWS];
    const fml_rows x = {ROWS, numbers(), WIDTH * SIZE, SIZE, NULL};
    fml_status status = fml_variants()[0]->TYPED(project_rows)(&x, WIDTH, shift, KEPT, numbers(),
                                                               found, errors, threads);
    FOLD_ARRAY(digest, found);
    FOLD_ARRAY(digest, errors);
    return status;
}

fml_status TYPED(run_reconstruct_rows)(int threads, uint64_t *digest)
{
    enum { SIZE = sizeof(real), ROWS = 1100, WIDTH = 131, KEPT = 35 };
    static const real shift[2 * WIDTH] = {3, 1, 4, 1, 5, 9, 2, 6, 5};
    static real found[ROWS * WIDTH];
    const fml_rows y = {ROWS, numbers(), KEPT * SIZE, SIZE, NULL};
    fml_status status = fml_variants()[0]->TYPED(reconstruct_rows)(&y, KEPT, numbers(), WIDTH,
                                                                   shift, found, threads);
    FOLD_ARRAY(digest, found);
    return status;
}
#endif
