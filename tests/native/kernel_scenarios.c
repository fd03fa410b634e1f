/* The scenarios of the numeric kernels; CMake compiles this file once per element type, as it does
 * the kernels, with FML_REAL and FML_TYPE. */
#include "inputs.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TYPED(name) JOIN(name, FML_TYPE)

typedef FML_REAL real;

fml_status TYPED(run_rank_pull)(int threads, uint64_t *digest);
fml_status TYPED(run_difference_gram)(int threads, uint64_t *digest);
fml_status TYPED(run_combine)(int threads, uint64_t *digest);

static const real *typed_vectors(void)
{
    static real copies[(VECTORS + 1) * NODES];
    for (ptrdiff_t i = 0; i < (VECTORS + 1) * NODES; i++)
        copies[i] = (real)vectors[i];
    return copies;
}

fml_status TYPED(run_rank_pull)(int threads, uint64_t *digest)
{
    static real y[NODES], next_contribution[NODES];
    static double results[2];
    const real *x = typed_vectors(), one = (real)1 / NODES;
    fml_status status = fml_variants()[0]->TYPED(rank_pull)(
        NODES, indptr, sources, link_weights, x, &one, 0, &one, 0, 0.85, 0.1, x + NODES, x, y,
        next_contribution, &results[0], &results[1], threads);
    FOLD_ARRAY(digest, y);
    FOLD_ARRAY(digest, next_contribution);
    FOLD_ARRAY(digest, results);
    return status;
}

fml_status TYPED(run_difference_gram)(int threads, uint64_t *digest)
{
    static double gram[VECTORS * VECTORS];
    fml_status status =
        fml_variants()[0]->TYPED(difference_gram)(VECTORS, NODES, typed_vectors(), gram, threads);
    FOLD_ARRAY(digest, gram);
    return status;
}

fml_status TYPED(run_combine)(int threads, uint64_t *digest)
{
    static const double coefficients[VECTORS] = {1.5, -0.25, -0.5, 0.25};
    static real y[NODES];
    static double total;
    fml_status status = fml_variants()[0]->TYPED(combine)(VECTORS, NODES, coefficients,
                                                          typed_vectors(), y, &total, threads);
    FOLD_ARRAY(digest, y);
    fold(digest, &total, sizeof total);
    return status;
}

#define IS_f64 1
#define IS_f32 0
#define IS(type) JOIN(IS, type)

#if IS(FML_TYPE)
fml_status run_rank_solve_f64(int threads, uint64_t *digest);

fml_status run_rank_solve_f64(int threads, uint64_t *digest)
{
    static rank_plan_scratch scratch;
    static double y[NODES], c[2 * NODES];
    static const double base = 1;
    int64_t visits = 0;
    fml_rank_plan plan = rank_plan(&scratch);
    fml_status status = fml_permute_rows(indptr, sources, link_weights, node_table, &plan, 1);
    for (int i = 0; i < NODES; i++)
        y[i] = 1;
    if (status == FML_OK) /* shares small enough to converge, and swept often enough to combine */
        status = fml_variants()[0]->rank_solve_f64(&plan, vectors, &base, 0, 1e-4, 0, 14, y, c,
                                                   &visits, threads);
    FOLD_ARRAY(digest, y);
    fold(digest, &visits, sizeof visits);
    return status;
}
#endif
