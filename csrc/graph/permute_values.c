/* Values of the nodes, some columns of a wider array, brought into another order and back.
 *
 * Cost: a random read, or write, of each row, which is a cache line or less.
 */
#include "../runtime.h"

enum { TILE_NODES = 1 << 12 };

typedef struct job {
    ptrdiff_t n, row, count, columns;
    const uint32_t *order;
    const double *from;
    double *to;
} job;

static ptrdiff_t tile_end(const job *j, ptrdiff_t tile)
{
    ptrdiff_t start = tile * TILE_NODES;
    return j->n - start < TILE_NODES ? j->n : start + TILE_NODES;
}

static inline void gather_tile(const job *j, ptrdiff_t tile, ptrdiff_t count, ptrdiff_t columns)
{
    for (ptrdiff_t i = tile * TILE_NODES; i < tile_end(j, tile); i++) {
        const double *from = j->from + j->order[i] * j->row;
        for (ptrdiff_t k = 0; k < columns; k++)
            j->to[i * columns + k] = from[k < count ? k : count - 1];
    }
}

static inline void scatter_tile(const job *j, ptrdiff_t tile, ptrdiff_t count, ptrdiff_t columns)
{
    for (ptrdiff_t i = tile * TILE_NODES; i < tile_end(j, tile); i++) {
        double *to = j->to + j->order[i] * j->row;
        for (ptrdiff_t k = 0; k < count; k++)
            to[k] = j->from[i * columns + k];
    }
}

/* Inlined with constants for `count` and `columns`, so that a row is copied by a few instructions.
 */
static inline void copy_tile(const job *j, bool gathers, ptrdiff_t tile, ptrdiff_t count,
                             ptrdiff_t columns)
{
    if (gathers)
        gather_tile(j, tile, count, columns);
    else
        scatter_tile(j, tile, count, columns);
}

static fml_status copy_tiles(const job *j, bool gathers, int threads)
{
    const ptrdiff_t tiles = j->n / TILE_NODES + (j->n % TILE_NODES != 0);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, tiles / 8))
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        if (fml_stopped(&watch))
            continue;
        if (j->columns == 1)
            copy_tile(j, gathers, tile, 1, 1);
        else if (j->count == FML_SIDE_BY_SIDE && j->columns == FML_SIDE_BY_SIDE)
            copy_tile(j, gathers, tile, FML_SIDE_BY_SIDE, FML_SIDE_BY_SIDE);
        else
            copy_tile(j, gathers, tile, j->count, j->columns);
    }
    return fml_watch_status(&watch);
}

fml_status fml_gather_values(ptrdiff_t n, const uint32_t *order, const double *values,
                             ptrdiff_t row, ptrdiff_t count, double *out, ptrdiff_t columns,
                             int threads)
{
    const job j = {n, row, count, columns, order, values, out};
    return copy_tiles(&j, true, threads);
}

fml_status fml_scatter_values(ptrdiff_t n, const uint32_t *order, const double *values,
                              ptrdiff_t columns, double *out, ptrdiff_t row, ptrdiff_t count,
                              int threads)
{
    const job j = {n, row, count, columns, order, values, out};
    return copy_tiles(&j, false, threads);
}
