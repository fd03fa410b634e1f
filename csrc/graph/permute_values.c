/* Values of the nodes, some columns of a wider array, brought into another order and back.
 *
 * Cost: a random read, or write, of each row, which is a cache line or less.
 */
#include "../team.h"

enum { TILE_NODES = 1 << 12, TILES_AT_ONCE = 8 };

typedef struct job {
    ptrdiff_t n, row, count, columns;
    const uint32_t *order;
    const double *from;
    double *to;
    bool gathers;
    fml_watch *watch;
} job;

static inline void gather_tile(const job *j, ptrdiff_t tile, ptrdiff_t count, ptrdiff_t columns)
{
    for (ptrdiff_t i = tile * TILE_NODES; i < fml_block_end(j->n, TILE_NODES, tile); i++) {
        const double *from = j->from + j->order[i] * j->row;
        for (ptrdiff_t k = 0; k < columns; k++)
            j->to[i * columns + k] = from[k < count ? k : count - 1];
    }
}

static inline void scatter_tile(const job *j, ptrdiff_t tile, ptrdiff_t count, ptrdiff_t columns)
{
    for (ptrdiff_t i = tile * TILE_NODES; i < fml_block_end(j->n, TILE_NODES, tile); i++) {
        double *to = j->to + j->order[i] * j->row;
        for (ptrdiff_t k = 0; k < count; k++)
            to[k] = j->from[i * columns + k];
    }
}

/* Inlined with constants for `count` and `columns`, so that a row is copied by a few instructions.
 */
static inline void copy_tile(const job *j, ptrdiff_t tile, ptrdiff_t count, ptrdiff_t columns)
{
    if (j->gathers)
        gather_tile(j, tile, count, columns);
    else
        scatter_tile(j, tile, count, columns);
}

static void copy_tiles(void *all, ptrdiff_t first, ptrdiff_t last)
{
    const job *j = all;
    for (ptrdiff_t tile = first; tile < last && !fml_stopped(j->watch); tile++)
        if (j->columns == 1)
            copy_tile(j, tile, 1, 1);
        else if (j->count == FML_SIDE_BY_SIDE && j->columns == FML_SIDE_BY_SIDE)
            copy_tile(j, tile, FML_SIDE_BY_SIDE, FML_SIDE_BY_SIDE);
        else
            copy_tile(j, tile, j->count, j->columns);
}

static void copy_all(fml_team *team, void *all)
{
    const job *j = all;
    fml_share(team, fml_blocks_of(j->n, TILE_NODES), TILES_AT_ONCE, copy_tiles, all);
}

static fml_status copy(job j, int threads)
{
    fml_watch watch;
    fml_watch_start(&watch);
    j.watch = &watch;
    fml_lead_team(fml_clamp_threads(threads, fml_blocks_of(j.n, TILE_NODES) / TILES_AT_ONCE),
                  copy_all, &j);
    return fml_watch_status(&watch);
}

fml_status fml_gather_values(ptrdiff_t n, const uint32_t *order, const double *values,
                             ptrdiff_t row, ptrdiff_t count, double *out, ptrdiff_t columns,
                             int threads)
{
    return copy((job){n, row, count, columns, order, values, out, true, NULL}, threads);
}

fml_status fml_scatter_values(ptrdiff_t n, const uint32_t *order, const double *values,
                              ptrdiff_t columns, double *out, ptrdiff_t row, ptrdiff_t count,
                              int threads)
{
    return copy((job){n, row, count, columns, order, values, out, false, NULL}, threads);
}
