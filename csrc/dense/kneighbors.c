/* The nearest rows of a matrix to each row of another, or to each of its own.
 *
 * Inner products of blocks (pairs.h) bound every squared distance from below. Whatever might be
 * among the nearest so far is measured by differences in double and kept in a heap, so that the
 * result is that of a sort of all distances, ties by index. Cost: 2 m n k flops, and 3 k for each
 * pair measured: of rows in random order some neighbors (1 + log(n / neighbors)) each.
 */
#include "pairs.h"

typedef struct search {
    pairs p;
    fml_distance kind;
    ptrdiff_t neighbors;
    double *squared; /* neighbors of each row of x: heaps, the farthest on top */
    int64_t *indices;
    real *distances;
} search;

/* The heap of one row. */
typedef struct heap {
    double *squared;
    int64_t *indices;
} heap;

static heap heap_of(const search *s, ptrdiff_t i)
{
    return (heap){s->squared + i * s->neighbors, s->indices + i * s->neighbors};
}

static bool is_before(double squared, int64_t index, heap h, ptrdiff_t at)
{
    return squared < h.squared[at] || (squared == h.squared[at] && index < h.indices[at]);
}

/* Puts a pair where the top was, and lets it sink in a heap of this size. */
static void sink(heap h, ptrdiff_t size, double squared, int64_t index)
{
    ptrdiff_t at = 0;
    for (ptrdiff_t child = 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && is_before(h.squared[child], h.indices[child], h, child + 1))
            child++;
        if (!is_before(squared, index, h, child))
            break;
        h.squared[at] = h.squared[child];
        h.indices[at] = h.indices[child];
        at = child;
    }
    h.squared[at] = squared;
    h.indices[at] = index;
}

/* Ascending: the farthest of those left goes to the end. */
static void sort_heap(heap h, ptrdiff_t size)
{
    for (ptrdiff_t last = size - 1; last > 0; last--) {
        double squared = h.squared[last];
        int64_t index = h.indices[last];
        h.squared[last] = h.squared[0];
        h.indices[last] = h.indices[0];
        sink(h, last, squared, index);
    }
}

/* Above what an exact distance of the farthest neighbour can come out as. */
static real limit_of(const search *s, heap h)
{
    return (real)(h.squared[0] + (double)s->p.k * REAL_MIN);
}

/* Row i against a strip of y. */
static void search_row(const search *s, ptrdiff_t i, ptrdiff_t column, ptrdiff_t columns, real norm,
                       const real *norms, real *sums)
{
    const real shrink = 1 - FML(product_error)(s->p.k);
    heap h = heap_of(s, i);
    real limit = limit_of(s, h);
    answers all = (vec){0} == (vec){0};
    for (int j = 0; j < COLUMNS; j += LANES) {
        vec least = (norm + load(norms + j)) * shrink - 2 * load(sums + j);
        all &= least >= limit + (vec){0};
        store(sums + j, least);
    }
    if (all_true(all))
        return;
    for (ptrdiff_t j = 0; j < columns; j++) {
        if (sums[j] >= limit || (s->p.is_own && column + j == i))
            continue;
        double squared = FML(squared_difference)(&s->p, i, column + j);
        if (!is_before(squared, column + j, h, 0))
            continue;
        sink(h, s->neighbors, squared, column + j);
        limit = limit_of(s, h);
    }
}

static void search_strip(const void *task, const strip *at)
{
    const search *s = task;
    for (ptrdiff_t i = 0; i < at->rows; i++)
        search_row(s, at->row + i, at->column, at->columns, at->x_norms[i], at->y_norms,
                   at->sums + i * COLUMNS);
}

static void search_team(const search *s, fml_watch *watch)
{
    FML(walk_pairs)(&s->p, search_strip, s, watch);
#pragma omp for schedule(static)
    for (ptrdiff_t i = 0; i < s->p.x.count; i++) {
        heap h = heap_of(s, i);
        sort_heap(h, s->neighbors);
        for (ptrdiff_t n = 0; n < s->neighbors; n++)
            s->distances[i * s->neighbors + n] = (real)finish(s->kind, h.squared[n]);
    }
}

fml_status FML(kneighbors)(const fml_rows *x, const fml_rows *y, ptrdiff_t k, fml_distance kind,
                           ptrdiff_t neighbors, real *distances, int64_t *indices, int threads)
{
    int team = FML(pairs_team)(x->count, threads);
    search s = {.kind = kind, .neighbors = neighbors, .indices = indices, .distances = distances};
    s.squared = fml_alloc(x->count, (size_t)neighbors * sizeof *s.squared);
    if (!s.squared || !FML(pairs_start)(&s.p, x, y, k, team)) {
        fml_free(s.squared);
        return FML_NO_MEMORY;
    }
    for (ptrdiff_t i = 0; i < x->count * neighbors; i++) {
        s.squared[i] = INFINITY; /* farther than any row */
        indices[i] = INT64_MAX;
    }
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel num_threads(team)
    search_team(&s, &watch);
    fml_free(s.p.scratch);
    fml_free(s.squared);
    return fml_watch_status(&watch);
}
