/* Rows of in-links in another order of the nodes, ready for Gauss-Seidel by segments and blocks.
 *
 * Links from earlier segments come first in a row: they are summed once, the others at every sweep.
 * In acyclic segments all links do, but those of a node to itself. A link from another block of the
 * same wave becomes source + n: it reads the value from before the sweep, which the solver keeps n
 * places further on, so that the blocks of a wave can be swept at the same time with the same
 * result (csrc/kernels/rank_solve.c). Cost: 8 bytes a link (24 with weights) and one random read of
 * 4 bytes a link.
 */
#include "../team.h"

#include <string.h>

enum {
    TILE_ROWS = 1 << 12,
    BUFFER_LINKS = 1 << 11,
    AHEAD = 4, /* rows between the prefetch of a row's place, and of what tells it, and its use */
    LANES = 4,
    GROUP = 2 * LANES /* links that are written at once, if none is of an earlier segment */
};
/* Sources are below 2^31, so that comparisons may be signed, as every CPU has them. */
typedef int32_t lanes __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint32_t unsigned_lanes __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef int64_t words __attribute__((vector_size(LANES * sizeof(int32_t))));

/* A block: from where on sources are not of earlier segments, and the other blocks of its wave that
 * have nodes (empty ranges fill the places that are left). */
typedef struct place {
    uint32_t limit;
    bool acyclic; /* then the row itself is the limit */
    int32_t starts[FML_WAVE_BLOCKS - 1], ends[FML_WAVE_BLOCKS - 1];
} place;

static place place_of(const fml_rank_plan *plan, ptrdiff_t segment, ptrdiff_t block)
{
    ptrdiff_t first = plan->segments[segment], waves = plan->waves[segment], others = 0;
    place at = {(uint32_t)plan->blocks[first], plan->kinds[segment] == FML_ACYCLIC, {0}, {0}};
    if (plan->kinds[segment] != FML_CYCLIC)
        return at;
    for (ptrdiff_t b = first + (block - first) % waves; b < plan->segments[segment + 1]; b += waves)
        if (b != block && plan->blocks[b + 1] > plan->blocks[b]) {
            at.starts[others] = (int32_t)plan->blocks[b];
            at.ends[others++] = (int32_t)plan->blocks[b + 1];
        }
    return at;
}

/* The block of every node, and the place of every block. */
static void find_places(const fml_rank_plan *plan, uint32_t *block_of, place *places)
{
    for (ptrdiff_t segment = 0; segment < plan->num_segments; segment++)
        for (ptrdiff_t b = plan->segments[segment]; b < plan->segments[segment + 1]; b++) {
            places[b] = place_of(plan, segment, b);
            for (int64_t i = plan->blocks[b]; i < plan->blocks[b + 1]; i++)
                block_of[i] = (uint32_t)b;
        }
}

static inline lanes read_lanes(const uint32_t *at)
{
    lanes read;
    memcpy(&read, at, sizeof read);
    return read;
}

static inline bool any_below(const uint32_t *sources, uint32_t limit)
{
    words below = (words)((read_lanes(sources) < (int32_t)limit) |
                          (read_lanes(sources + LANES) < (int32_t)limit));
    return (below[0] | below[1]) != 0;
}

/* Inlined with a constant for `in_waves`: most rows need not ask for other blocks. */
static inline void renumber_group(const place *at, bool in_waves, uint32_t n,
                                  const uint32_t *sources, uint32_t *out)
{
    for (int half = 0; half < GROUP; half += LANES) {
        lanes source = read_lanes(sources + half), found = {0};
        for (int i = 0; in_waves && i < FML_WAVE_BLOCKS - 1; i++)
            found |= (source >= at->starts[i]) & (source < at->ends[i]);
        unsigned_lanes renumbered = (unsigned_lanes)source + ((unsigned_lanes)found & n);
        memcpy(out + half, &renumbered, sizeof renumbered);
    }
}

/* A row that is being filled from both ends. */
typedef struct row {
    ptrdiff_t low, high;
    uint32_t limit;
    const place *at;
} row;

/* Reads whole groups of sources, whatever is behind the last one. */
static inline void fill(row *r, bool in_waves, ptrdiff_t links, const uint32_t *sources,
                        const double *weights, const fml_rank_plan *plan)
{
    const place at = *r->at;
    const uint32_t n = (uint32_t)plan->n, limit = r->limit;
    ptrdiff_t low = r->low, high = r->high;
    for (ptrdiff_t k = 0; k < links; k += GROUP) {
        if (links - k >= GROUP && !any_below(sources + k, limit)) {
            high -= GROUP;
            renumber_group(&at, in_waves, n, sources + k, plan->indices + high + 1);
            if (weights)
                memcpy(plan->weights + high + 1, weights + k, GROUP * sizeof *weights);
            continue;
        }
        uint32_t renumbered[GROUP];
        renumber_group(&at, in_waves, n, sources + k, renumbered);
        for (ptrdiff_t l = k; l < links && l < k + GROUP; l++) {
            ptrdiff_t earlier = sources[l] < limit, to = earlier ? low : high;
            low += earlier;
            high -= 1 - earlier;
            plan->indices[to] = renumbered[l - k];
            if (weights)
                plan->weights[to] = weights[l];
        }
    }
    r->low = low;
    r->high = high;
}

static void fill_row(row *r, ptrdiff_t links, const uint32_t *sources, const double *weights,
                     const fml_rank_plan *plan)
{
    if (r->at->ends[0] > 0)
        fill(r, true, links, sources, weights, plan);
    else
        fill(r, false, links, sources, weights, plan);
}

typedef struct job {
    const int64_t *indptr;
    const uint32_t *indices;
    const double *weights;
    const uint32_t *position, *block_of;
    const place *places;
    const fml_rank_plan *plan;
    fml_watch *watch;
} job;

static row start_row(const job *j, uint32_t node)
{
    const place *at = &j->places[j->block_of[node]];
    return (row){j->plan->indptr[node], j->plan->indptr[node + 1] - 1,
                 at->acyclic ? node : at->limit, at};
}

/* Fetches what start_row will read. */
static inline void prefetch_start(const job *j, ptrdiff_t i)
{
    __builtin_prefetch(&j->block_of[j->position[i]]);
    __builtin_prefetch(&j->plan->indptr[j->position[i]]);
}

/* Fetches both ends of where a row will be written. */
static inline void prefetch_place(const job *j, ptrdiff_t i)
{
    const int64_t *bounds = &j->plan->indptr[j->position[i]];
    __builtin_prefetch(&j->plan->indices[bounds[0]], 1);
    __builtin_prefetch(&j->plan->indices[bounds[1]], 1);
}

/* Rows in the given order: their links are read and renumbered in a stream, which hides the wait
 * for random reads; the rows are written to where they belong. */
static void permute_tile(const job *j, ptrdiff_t start, ptrdiff_t end)
{
    uint32_t buffer[BUFFER_LINKS + GROUP] = {0};
    int64_t first = j->indptr[start], filled = first, last = j->indptr[end];
    for (ptrdiff_t i = start; i < end; i++) {
        prefetch_start(j, i + 2 * AHEAD < end ? i + 2 * AHEAD : i);
        prefetch_place(j, i + AHEAD < end ? i + AHEAD : i);
        if (j->indptr[i] == j->indptr[i + 1])
            continue;
        row r = start_row(j, j->position[i]);
        int64_t begin = r.low;
        for (int64_t k = j->indptr[i]; k < j->indptr[i + 1];) {
            if (k == filled) {
                first = filled;
                filled = last - first < BUFFER_LINKS ? last : first + BUFFER_LINKS;
                for (int64_t l = first; l < filled; l++) {
                    fml_fetch_ahead(j->indices + l);
                    buffer[l - first] = j->position[j->indices[l]];
                }
            }
            int64_t stop = j->indptr[i + 1] < filled ? j->indptr[i + 1] : filled;
            fill_row(&r, (ptrdiff_t)(stop - k), buffer + (k - first),
                     j->weights ? j->weights + k : NULL, j->plan);
            k = stop;
        }
        j->plan->earlier[j->position[i]] = (uint32_t)(r.low - begin);
    }
}

static void permute_tiles(void *all, ptrdiff_t first, ptrdiff_t last)
{
    const job *j = all;
    for (ptrdiff_t tile = first; tile < last && !fml_stopped(j->watch); tile++)
        permute_tile(j, tile * TILE_ROWS, fml_block_end(j->plan->n, TILE_ROWS, tile));
}

static void permute_all(fml_team *team, void *all)
{
    const job *j = all;
    fml_share(team, fml_blocks_of(j->plan->n, TILE_ROWS), 1, permute_tiles, all);
}

static void fill_padding(const fml_rank_plan *plan)
{
    for (ptrdiff_t k = 0; k < FML_PLAN_PADDING; k++) {
        plan->indices[plan->indptr[plan->n] + k] = 0;
        if (plan->weights)
            plan->weights[plan->indptr[plan->n] + k] = 0;
    }
}

fml_status fml_permute_rows(const int64_t *indptr, const uint32_t *indices, const double *weights,
                            const uint32_t *position, const fml_rank_plan *plan, int threads)
{
    ptrdiff_t n = plan->n;
    uint32_t *block_of = fml_alloc(n, sizeof *block_of);
    place *places = fml_alloc(plan->num_blocks, sizeof *places);
    fml_status status = FML_NO_MEMORY;
    if (block_of && places) {
        fml_watch watch;
        fml_watch_start(&watch);
        find_places(plan, block_of, places);
        fill_padding(plan);
        memset(plan->earlier, 0, (size_t)n * sizeof *plan->earlier); /* rows without links stay */
        job j = {indptr, indices, weights, position, block_of, places, plan, &watch};
        fml_lead_team(fml_clamp_threads(threads, fml_blocks_of(n, TILE_ROWS)), permute_all, &j);
        status = fml_watch_status(&watch);
    }
    fml_free(block_of);
    fml_free(places);
    return status;
}
