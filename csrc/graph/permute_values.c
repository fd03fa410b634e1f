/* Values of the nodes, some columns of a wider array, brought into another order and back.
 *
 * Cost: a random read, or write, of each row, which is a cache line or less.
 */
#include "../runtime.h"

enum { TILE_NODES = 1 << 12 };

typedef struct job {
    ptrdiff_t n, row, count, columns;
    const uint32_t *order;
} job;

static ptrdiff_t tile_end(const job *j, ptrdiff_t tile)
{
    ptrdiff_t start = tile * TILE_NODES;
    return j->n - start < TILE_NODES ? j->n : start + TILE_NODES;
}

/* Inlined with constants for `count` and `columns`, so that a row is copied by a few instructions.
 */
static inline void gather_tile(const job *j, ptrdiff_t tile, ptrdiff_t count, ptrdiff_t columns,
                               const double *values, double *out)
{
    for (ptrdiff_t i = tile * TILE_NODES; i < tile_end(j, tile); i++) {
        const double *from = values + j->order[i] * j->row;
        for (ptrdiff_t k = 0; k < columns; k++)
            out[i * columns + k] = from[k < count ? k : count - 1];
    }
}

static inline void scatter_tile(const job *j, ptrdiff_t tile, ptrdiff_t count, ptrdiff_t columns,
                                const double *values, double *out)
{
    for (ptrdiff_t i = tile * TILE_NODES; i < tile_end(j, tile); i++) {
        double *to = out + j->order[i] * j->row;
        for (ptrdiff_t k = 0; k < count; k++)
            to[k] = values[i * columns + k];
    }
}

fml_status fml_gather_values(ptrdiff_t n, const uint32_t *order, const double *values,
                             ptrdiff_t row, ptrdiff_t count, double *out, ptrdiff_t columns,
                             int threads)
{
    const job j = {n, row, count, columns, order};
    const ptrdiff_t tiles = n / TILE_NODES + (n % TILE_NODES != 0);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, tiles / 8))
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        if (fml_stopped(&watch))
            continue;
        if (columns == 1)
            gather_tile(&j, tile, 1, 1, values, out);
        else if (count == FML_SIDE_BY_SIDE && columns == FML_SIDE_BY_SIDE)
            gather_tile(&j, tile, FML_SIDE_BY_SIDE, FML_SIDE_BY_SIDE, values, out);
        else
            gather_tile(&j, tile, count, columns, values, out);
    }
    return fml_watch_status(&watch);
}

fml_status fml_scatter_values(ptrdiff_t n, const uint32_t *order, const double *values,
                              ptrdiff_t columns, double *out, ptrdiff_t row, ptrdiff_t count,
                              int threads)
{
    const job j = {n, row, count, columns, order};
    const ptrdiff_t tiles = n / TILE_NODES + (n % TILE_NODES != 0);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, tiles / 8))
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        if (fml_stopped(&watch))
            continue;
        if (columns == 1)
            scatter_tile(&j, tile, 1, 1, values, out);
        else if (count == FML_SIDE_BY_SIDE && columns == FML_SIDE_BY_SIDE)
            scatter_tile(&j, tile, FML_SIDE_BY_SIDE, FML_SIDE_BY_SIDE, values, out);
        else
            scatter_tile(&j, tile, count, columns, values, out);
    }
    return fml_watch_status(&watch);
}
