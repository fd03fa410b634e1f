/* Distances between all rows of two matrices, or of one.
 *
 * By the expanded formula (pairs.h) where the distance is a good part of the lengths that it comes
 * from, else by differences in double: the relative error of every result is bounded. Of one
 * matrix a triangle is computed, and written twice. Cost: 2 m n k flops, half of them for one
 * matrix; 3 k for each pair that is near.
 */
#include "pairs.h"

/* Squared distances below this part of |x|^2 + |y|^2 are summed up from differences: what is left
 * has a relative error of at most four times product_error. */
#define NEAR ((real)0.25)

typedef struct distances {
    pairs p;
    fml_distance kind;
    real *out;
} distances;

/* A row of a strip, from inner products: finished, or -1 or NaN where differences are called for.
 * Returns whether there are such. */
static bool expand_row(const distances *d, real norm, const real *norms, real *sums)
{
    const bool is_cosine = d->kind == FML_COSINE;
    const real factor = is_cosine ? (real)0.5 : 1, most = is_cosine ? 2 : REAL_MAX;
    const real smallest = (real)d->p.k * REAL_MIN / ROUNDOFF;
    const vec refused = (vec){0} - 1;
    answers all = (vec){0} == (vec){0};
    for (int j = 0; j < COLUMNS; j += LANES) {
        vec both = norm + load(norms + j), squared = both - 2 * load(sums + j);
        answers is_far = squared >= NEAR * both + smallest;
        all &= is_far;
        vec found = factor * squared;
        found = choose(found > most, most + (vec){0}, found);
        store(sums + j, choose(is_far, found, refused));
    }
    if (d->kind == FML_EUCLIDEAN)
        for (int j = 0; j < COLUMNS; j++)
            sums[j] = (real)sqrt(sums[j]);
    return !all_true(all);
}

static void fill_row(const distances *d, ptrdiff_t i, ptrdiff_t column, ptrdiff_t columns,
                     real norm, const real *norms, real *sums)
{
    if (d->p.is_own)
        columns = smaller(columns, i + 1 - column);
    if (columns <= 0)
        return;
    if (expand_row(d, norm, norms, sums))
        for (ptrdiff_t j = 0; j < columns; j++)
            if (!(sums[j] >= 0))
                sums[j] = (real)finish(d->kind, FML(squared_difference)(&d->p, i, column + j));
    memcpy(d->out + i * d->p.y.count + column, sums, (size_t)columns * sizeof *sums);
}

/* What a strip holds below the diagonal, written above it. */
static void mirror_strip(const distances *d, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column,
                         ptrdiff_t columns, const real *sums)
{
    for (ptrdiff_t j = 0; j < columns; j++) {
        real *out = d->out + (column + j) * d->p.y.count;
        ptrdiff_t first = column + j > row ? column + j - row : 0;
        for (ptrdiff_t i = first; i < rows; i++)
            out[row + i] = sums[i * COLUMNS + j];
    }
}

static void fill_strip(const void *task, const strip *at)
{
    const distances *d = task;
    for (ptrdiff_t i = 0; i < at->rows; i++)
        fill_row(d, at->row + i, at->column, at->columns, at->x_norms[i], at->y_norms,
                 at->sums + i * COLUMNS);
    if (d->p.is_own)
        mirror_strip(d, at->row, at->rows, at->column, at->columns, at->sums);
}

fml_status FML(pairwise_distances)(const fml_rows *x, const fml_rows *y, ptrdiff_t k,
                                   fml_distance kind, real *out, int threads)
{
    int team = FML(pairs_team)(x->count, threads);
    distances d = {.kind = kind, .out = out};
    if (!FML(pairs_start)(&d.p, x, y, k, team))
        return FML_NO_MEMORY;
    d.p.is_triangle = d.p.is_own;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel num_threads(team)
    FML(walk_pairs)(&d.p, fill_strip, &d, &watch);
    fml_free(d.p.scratch);
    return fml_watch_status(&watch);
}
