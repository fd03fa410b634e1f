/* Nodes by falling out-degree: the sources that most links read lie side by side, in cache.
 *
 * A stable counting sort, each thread of a part of the nodes. Degrees count by their power of two:
 * finer keys scatter what is read and written in the new order, and gain nothing. Nodes of a key
 * stand by falling turns of the loop over their links in, whose end a CPU then predicts. Nodes
 * without links in come first and nodes without links out last: no cycle passes through either, and
 * sweeps need not visit them. On R-MAT 20 a pass in this order takes a third of the time
 * (docs/performance.md).
 * Cost: O(nodes), random writes.
 */
#include "../team.h"

#include <string.h>

enum {
    POWERS = 32, /* of two; larger degrees share the last */
    TURN = 4,    /* links of a turn, csrc/links.h */
    TURNS = 32,  /* rows of more turns share a key: one end in so many links matters less */
    FIRST = 0,
    LINKED = 1, /* the first key of nodes with links both ways */
    SINKS = LINKED + POWERS * TURNS,
    KEYS = SINKS + TURNS
};
/* Nodes between two polls; nodes of a part, at least, since counters of a part take memory. */
enum { BLOCK_NODES = 1 << 20, PART_NODES = 1 << 17 };

typedef struct nodes {
    const int64_t *indptr;
    const double *out_degree;
    const uint8_t *is_sink;
    uint16_t *keys;
} nodes;

/* The key of more turns is smaller. */
static ptrdiff_t key_of_turns(int64_t links)
{
    int64_t turns = links / TURN + (links % TURN != 0);
    return (ptrdiff_t)(turns < TURNS ? TURNS - turns : 1) - 1;
}

/* The exponent of the largest power of two that a degree reaches, 0 below 1. */
static ptrdiff_t power_of(double degree)
{
    return degree < UINT32_MAX ? POWERS - 1 - __builtin_clz((uint32_t)degree | 1) : POWERS - 1;
}

/* Without a branch, which would be mispredicted at every other node: half of the time. All bits are
 * cleared where the key is FIRST. */
static ptrdiff_t key_of(const nodes *in, ptrdiff_t i)
{
    const int64_t links = in->indptr[i + 1] - in->indptr[i];
    const ptrdiff_t linked = in->is_sink[i] == 0;
    const ptrdiff_t powers = POWERS - linked * (power_of(in->out_degree[i]) + 1);
    const ptrdiff_t key = LINKED + powers * TURNS + key_of_turns(links);
    return key & -(ptrdiff_t)((linked == 0) | (links != 0));
}

static ptrdiff_t block_end(ptrdiff_t start, ptrdiff_t end)
{
    return end - start < BLOCK_NODES ? end : start + BLOCK_NODES;
}

static void count_keys(const nodes *in, ptrdiff_t start, ptrdiff_t end, int64_t *counts,
                       fml_watch *watch)
{
    memset(counts, 0, KEYS * sizeof *counts);
    for (; start < end && !fml_stopped(watch); start = block_end(start, end))
        for (ptrdiff_t i = start; i < block_end(start, end); i++)
            counts[in->keys[i] = (uint16_t)key_of(in, i)]++;
}

static void place_nodes(const nodes *in, ptrdiff_t start, ptrdiff_t end, int64_t *places,
                        uint32_t *order, fml_watch *watch)
{
    for (; start < end && !fml_stopped(watch); start = block_end(start, end))
        for (ptrdiff_t i = start; i < block_end(start, end); i++)
            order[places[in->keys[i]]++] = (uint32_t)i;
}

/* Where the nodes of each key of each part go, from how many they are. */
static void find_places(int parts, int64_t *places, int64_t *bounds)
{
    int64_t placed = 0;
    for (ptrdiff_t key = 0; key < KEYS; key++) {
        if (key == SINKS)
            bounds[1] = placed;
        for (int part = 0; part < parts; part++) {
            int64_t count = places[part * KEYS + key];
            places[part * KEYS + key] = placed;
            placed += count;
        }
        if (key == FIRST)
            bounds[0] = placed;
    }
}

typedef struct sorting {
    const nodes *in;
    ptrdiff_t n, share;
    int parts;
    int64_t *places, *bounds;
    uint32_t *order;
    fml_watch *watch;
} sorting;

static ptrdiff_t part_end(const sorting *s, ptrdiff_t part)
{
    return part + 1 < s->parts ? (part + 1) * s->share : s->n;
}

static void count_parts(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const sorting *s = job;
    for (ptrdiff_t part = first; part < last; part++)
        count_keys(s->in, part * s->share, part_end(s, part), s->places + part * KEYS, s->watch);
}

static void place_parts(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const sorting *s = job;
    for (ptrdiff_t part = first; part < last; part++)
        place_nodes(s->in, part * s->share, part_end(s, part), s->places + part * KEYS, s->order,
                    s->watch);
}

static void sort_nodes(fml_team *team, void *job)
{
    const sorting *s = job;
    fml_share(team, s->parts, 1, count_parts, job);
    find_places(s->parts, s->places, s->bounds);
    fml_share(team, s->parts, 1, place_parts, job);
}

fml_status fml_degree_order(ptrdiff_t n, const int64_t *indptr, const double *out_degree,
                            const uint8_t *is_sink, uint32_t *order, int64_t *bounds, int threads)
{
    const nodes in = {indptr, out_degree, is_sink, fml_alloc(n, sizeof *in.keys)};
    const int parts = fml_clamp_threads(threads, n / PART_NODES);
    int64_t *places = fml_alloc(parts, KEYS * sizeof *places);
    fml_status status = FML_NO_MEMORY;
    if (in.keys && places) {
        fml_watch watch;
        fml_watch_start(&watch);
        sorting s = {&in, n, n / parts, parts, places, bounds, order, &watch};
        fml_lead_team(parts, sort_nodes, &s);
        status = fml_watch_status(&watch);
    }
    fml_free(in.keys);
    fml_free(places);
    return status;
}
