/* What is known of each node, in another order of the nodes: where it went, where its row starts,
 * and the inverse of its strength.
 *
 * Row starts are running sums: of every tile for itself, then what the tiles before have is added.
 * Cost: O(nodes), three random reads and one random write a node.
 */
#include "../team.h"

enum { TILE_NODES = 1 << 14, AHEAD = 24 /* nodes between the prefetch of one and its use */ };

typedef struct job {
    ptrdiff_t n;
    const uint32_t *order;
    const int64_t *indptr;
    const double *strength;
    uint32_t *position;
    int64_t *out_indptr;
    double *inverse_strength;
    int64_t *links; /* of each tile, and of those before it */
    fml_watch *watch;
} job;

static inline void prefetch_node(const job *j, uint32_t node)
{
    __builtin_prefetch(&j->strength[node]);
    __builtin_prefetch(&j->indptr[node]);
    __builtin_prefetch(&j->position[node], 1);
}

/* Returns how many links the rows of the tile have. */
static int64_t permute_tile(const job *j, ptrdiff_t tile)
{
    const ptrdiff_t end = fml_block_end(j->n, TILE_NODES, tile);
    int64_t links = 0;
    for (ptrdiff_t i = tile * TILE_NODES; i < end; i++) {
        uint32_t node = j->order[i];
        prefetch_node(j, j->order[i + AHEAD < end ? i + AHEAD : i]);
        double strength = j->strength[node];
        j->position[node] = (uint32_t)i;
        j->inverse_strength[i] = strength > 0 ? 1 / strength : 0;
        links += j->indptr[node + 1] - j->indptr[node];
        j->out_indptr[i + 1] = links;
    }
    return links;
}

static void permute_tiles(void *all, ptrdiff_t first, ptrdiff_t last)
{
    const job *j = all;
    for (ptrdiff_t tile = first; tile < last; tile++)
        j->links[tile + 1] = fml_stopped(j->watch) ? 0 : permute_tile(j, tile);
}

static void add_links_before(void *all, ptrdiff_t first, ptrdiff_t last)
{
    const job *j = all;
    for (ptrdiff_t tile = first; tile < last; tile++)
        for (ptrdiff_t i = tile * TILE_NODES; i < fml_block_end(j->n, TILE_NODES, tile); i++)
            j->out_indptr[i + 1] += j->links[tile];
}

static void permute_all(fml_team *team, void *all)
{
    const job *j = all;
    const ptrdiff_t tiles = fml_blocks_of(j->n, TILE_NODES);
    fml_share(team, tiles, 1, permute_tiles, all);
    for (ptrdiff_t tile = 0; tile < tiles; tile++)
        j->links[tile + 1] += j->links[tile];
    fml_share(team, tiles, 1, add_links_before, all);
}

fml_status fml_permute_nodes(ptrdiff_t n, const uint32_t *order, const int64_t *indptr,
                             const double *strength, uint32_t *position, int64_t *out_indptr,
                             double *inverse_strength, int threads)
{
    fml_watch watch;
    int64_t *links = fml_alloc(fml_blocks_of(n, TILE_NODES) + 1, sizeof *links);
    if (!links)
        return FML_NO_MEMORY;
    job j = {n, order, indptr, strength, position, out_indptr, inverse_strength, links, &watch};
    fml_watch_start(&watch);
    out_indptr[0] = links[0] = 0;
    fml_lead_team(fml_clamp_threads(threads, fml_blocks_of(n, TILE_NODES)), permute_all, &j);
    fml_free(links);
    return fml_watch_status(&watch);
}
