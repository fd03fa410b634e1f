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
