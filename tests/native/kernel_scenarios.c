/* The scenarios of the numeric kernels; CMake compiles this file once per element type, as it does
 * the kernels, with FML_REAL, FML_TYPE and FML_COLUMNS. */
#include "inputs.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TYPED(name) JOIN(name, FML_TYPE)

typedef FML_REAL real;

/* `count` vectors, whose nodes have the same value in all columns. */
static const real *typed_vectors(ptrdiff_t count)
{
    static real copies[(VECTORS + 1) * NODES * FML_COLUMNS];
    for (ptrdiff_t i = 0; i < count * NODES * FML_COLUMNS; i++)
        copies[i] = (real)vectors[i / FML_COLUMNS];
    return copies;
}

fml_status TYPED(run_rank_pull)(int threads, uint64_t *digest)
{
    static real y[NODES * FML_COLUMNS], next_contribution[NODES * FML_COLUMNS],
        uniform[FML_COLUMNS];
    static real inverse_strength[NODES];
    static double total[FML_COLUMNS], mass[FML_COLUMNS], change[FML_COLUMNS], dangling[FML_COLUMNS];
    const real *x = typed_vectors(2);
    for (ptrdiff_t i = 0; i < NODES; i++)
        inverse_strength[i] = (real)vectors[i];
    for (int column = 0; column < FML_COLUMNS; column++) {
        uniform[column] = (real)1 / NODES;
        total[column] = 1;
        mass[column] = 0.1;
    }
    fml_status status = fml_variants()[0]->TYPED(rank_pull)(
        NODES, indptr, sources, link_weights, inverse_strength, uniform, 0, uniform, 0, 0.85, total,
        mass, x + NODES * FML_COLUMNS, x, y, next_contribution, change, dangling, threads);
    FOLD_ARRAY(digest, y);
    FOLD_ARRAY(digest, next_contribution);
    FOLD_ARRAY(digest, change);
    FOLD_ARRAY(digest, dangling);
    return status;
}

#if FML_COLUMNS == 1
fml_status TYPED(run_difference_gram)(int threads, uint64_t *digest)
{
    static double gram[VECTORS * VECTORS];
    fml_status status = fml_variants()[0]->TYPED(difference_gram)(
        VECTORS, NODES, typed_vectors(VECTORS + 1), gram, threads);
    FOLD_ARRAY(digest, gram);
    return status;
}

fml_status TYPED(run_combine)(int threads, uint64_t *digest)
{
    static const double coefficients[VECTORS] = {1.5, -0.25, -0.5, 0.25};
    static real y[NODES];
    static double total;
    fml_status status = fml_variants()[0]->TYPED(combine)(
        VECTORS, NODES, coefficients, typed_vectors(VECTORS), y, &total, threads);
    FOLD_ARRAY(digest, y);
    fold(digest, &total, sizeof total);
    return status;
}

fml_status TYPED(run_sparse_times)(int threads, uint64_t *digest)
{
    enum { TIMES = 9 }; /* a tile, and a column */
    static double b[NODES * TIMES], out[NODES * TIMES];
    static real values[LINKS];
    for (ptrdiff_t i = 0; i < LINKS; i++)
        values[i] = (real)link_weights[i];
    for (ptrdiff_t i = 0; i < NODES * TIMES; i++)
        b[i] = vectors[i / TIMES];
    fml_status status = fml_variants()[0]->TYPED(sparse_times)(NODES, TIMES, indptr, sources,
                                                               values, b, vectors, out, threads);
    FOLD_ARRAY(digest, out);
    return status;
}

fml_status TYPED(run_sparse_gram_times)(int threads, uint64_t *digest)
{
    enum { COUNT = 9, PARTS = 3 }; /* a tile, and part of one */
    static real values[LINKS], b[COUNT * NODES], out[COUNT * NODES];
    for (ptrdiff_t i = 0; i < LINKS; i++)
        values[i] = (real)link_weights[i];
    for (ptrdiff_t i = 0; i < COUNT * NODES; i++)
        b[i] = (real)vectors[i % (VECTORS * NODES)];
    fml_status status = fml_variants()[0]->TYPED(sparse_gram_times)(
        NODES, NODES, COUNT, indptr, sources, values, b, vectors, NULL, PARTS, out, threads);
    FOLD_ARRAY(digest, out);
    return status;
}

/* So many of the largest matrices that threads share them, of which the last group is not full.
 * They overlap. */
enum { ROWS = FML_SMALL_ROWS, MATRICES = (1 << 22) / (ROWS * ROWS * ROWS) + 6, COLUMNS = 3 };
enum { STEP = (VECTORS * NODES - ROWS * ROWS) / MATRICES };
static const ptrdiff_t steps[] = {STEP, ROWS, 1}, right_steps[] = {STEP, 1, ROWS};

fml_status TYPED(run_small_solve)(int threads, uint64_t *digest)
{
    static real x[MATRICES * ROWS * COLUMNS];
    bool singular = false;
    const real *a = typed_vectors(VECTORS);
    fml_status status = fml_variants()[0]->TYPED(small_solve)(MATRICES, ROWS, COLUMNS, a, steps, a,
                                                              right_steps, x, &singular, threads);
    FOLD_ARRAY(digest, x);
    fold(digest, &singular, sizeof singular);
    return status;
}

fml_status TYPED(run_small_inverse)(int threads, uint64_t *digest)
{
    static real x[MATRICES * ROWS * ROWS];
    bool singular = false;
    fml_status status = fml_variants()[0]->TYPED(small_inverse)(
        MATRICES, ROWS, typed_vectors(VECTORS), steps, x, &singular, threads);
    FOLD_ARRAY(digest, x);
    fold(digest, &singular, sizeof singular);
    return status;
}

fml_status TYPED(run_small_det)(int threads, uint64_t *digest)
{
    static real det[MATRICES];
    fml_status status = fml_variants()[0]->TYPED(small_det)(MATRICES, ROWS, typed_vectors(VECTORS),
                                                            steps, det, threads);
    FOLD_ARRAY(digest, det);
    return status;
}

fml_status TYPED(run_small_eigh)(int threads, uint64_t *digest)
{
    static real values[MATRICES * ROWS], rows[MATRICES * ROWS * ROWS];
    bool failed = false;
    fml_status status = fml_variants()[0]->TYPED(small_eigh)(
        MATRICES, ROWS, typed_vectors(VECTORS), steps, true, values, rows, &failed, threads);
    FOLD_ARRAY(digest, values);
    FOLD_ARRAY(digest, rows);
    fold(digest, &failed, sizeof failed);
    return status;
}

fml_status TYPED(run_small_qr)(int threads, uint64_t *digest)
{
    static real q[MATRICES * ROWS * ROWS], r[MATRICES * ROWS * ROWS];
    fml_status status = fml_variants()[0]->TYPED(small_qr)(
        MATRICES, ROWS, ROWS, ROWS, typed_vectors(VECTORS), steps, q, r, threads);
    FOLD_ARRAY(digest, q);
    FOLD_ARRAY(digest, r);
    return status;
}
#endif

#define IN_DOUBLE_f64 1
#define IN_DOUBLE_f32 0
#define IN_DOUBLE_f64x8 1

#if TYPED(IN_DOUBLE)
fml_status TYPED(run_rank_solve)(int threads, uint64_t *digest)
{
    static rank_plan_scratch scratch;
    static double y[NODES * FML_COLUMNS], c[2 * NODES * FML_COLUMNS], base[FML_COLUMNS];
    static double total[FML_COLUMNS], dangling[FML_COLUMNS];
    int64_t visits = 0;
    fml_rank_plan plan = rank_plan(&scratch);
    fml_status status = fml_permute_rows(indptr, sources, link_weights, node_table, &plan, 1);
    plan.kept = vectors; /* less than what links weigh: sweeps are scaled, too */
    for (int i = 0; i < NODES * FML_COLUMNS; i++)
        y[i] = 1;
    for (int column = 0; column < FML_COLUMNS; column++)
        base[column] = 1 + column;
    if (status == FML_OK) /* shares small enough to converge, and swept often enough to combine */
        status = fml_variants()[0]->TYPED(rank_solve)(&plan, vectors, base, 0, 1e-4, 0, 14, y, c,
                                                      total, dangling, &visits, threads);
    FOLD_ARRAY(digest, y);
    FOLD_ARRAY(digest, c);
    FOLD_ARRAY(digest, total);
    FOLD_ARRAY(digest, dangling);
    fold(digest, &visits, sizeof visits);
    return status;
}

fml_status TYPED(run_rank_image)(int threads, uint64_t *digest)
{
    static double y[NODES * FML_COLUMNS], total[FML_COLUMNS], mass[FML_COLUMNS];
    static double change[FML_COLUMNS], rounded[FML_COLUMNS];
    const double *x = typed_vectors(2);
    for (int column = 0; column < FML_COLUMNS; column++) {
        total[column] = 1 + column;
        mass[column] = 0.1;
    }
    fml_status status = fml_variants()[0]->TYPED(rank_image)(
        NODES, indptr, sources, link_weights, x, 1, x, 1, 0.85, total, mass, 64,
        x + NODES * FML_COLUMNS, x, y, change, rounded, threads);
    FOLD_ARRAY(digest, y);
    FOLD_ARRAY(digest, change);
    FOLD_ARRAY(digest, rounded);
    return status;
}
#endif
