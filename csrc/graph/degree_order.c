/* Nodes by falling out-degree: the sources that most links read lie side by side, in cache.
 *
 * A stable counting sort, each thread of a part of the nodes. Nodes without links in come first and
 * nodes without links out last: no cycle passes through either, and sweeps need not visit them. On
 * R-MAT 20 a pass in this order takes a third of the time (docs/performance.md).
 * Cost: O(nodes), random writes.
 */
#include "../runtime.h"

#include <string.h>

/* Higher degrees share a key: so few nodes have one that their order does not matter. */
enum { DEGREES = 1 << 15, FIRST = 0, LAST = DEGREES + 1, KEYS = DEGREES + 2 };
/* Nodes between two polls; nodes of a part, at least, since counters of a part take memory. */
enum { BLOCK_NODES = 1 << 20, PART_NODES = 1 << 17 };

typedef struct nodes {
    const int64_t *indptr;
    const double *out_degree;
    const uint8_t *is_sink;
} nodes;

static ptrdiff_t key_of(const nodes *in, ptrdiff_t i)
{
    if (in->is_sink[i])
        return LAST;
    if (in->indptr[i] == in->indptr[i + 1])
        return FIRST;
    double degree = in->out_degree[i];
    return degree < DEGREES ? DEGREES - (ptrdiff_t)degree : 1;
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
            counts[key_of(in, i)]++;
}

static void place_nodes(const nodes *in, ptrdiff_t start, ptrdiff_t end, int64_t *places,
                        uint32_t *order, fml_watch *watch)
{
    for (; start < end && !fml_stopped(watch); start = block_end(start, end))
        for (ptrdiff_t i = start; i < block_end(start, end); i++)
            order[places[key_of(in, i)]++] = (uint32_t)i;
}

/* Where the nodes of each key of each part go, from how many they are. */
static void find_places(int parts, int64_t *places, int64_t *bounds)
{
    int64_t placed = 0;
    for (ptrdiff_t key = 0; key < KEYS; key++) {
        if (key == LAST)
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

fml_status fml_degree_order(ptrdiff_t n, const int64_t *indptr, const double *out_degree,
                            const uint8_t *is_sink, uint32_t *order, int64_t *bounds, int threads)
{
    const nodes in = {indptr, out_degree, is_sink};
    const int parts = fml_clamp_threads(threads, n / PART_NODES);
    const ptrdiff_t share = n / parts;
    int64_t *places = fml_alloc(parts, KEYS * sizeof *places);
    if (!places)
        return FML_NO_MEMORY;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static, 1) num_threads(parts)
    for (int part = 0; part < parts; part++)
        count_keys(&in, part * share, part + 1 < parts ? (part + 1) * share : n,
                   places + part * KEYS, &watch);
    find_places(parts, places, bounds);
#pragma omp parallel for schedule(static, 1) num_threads(parts)
    for (int part = 0; part < parts; part++)
        place_nodes(&in, part * share, part + 1 < parts ? (part + 1) * share : n,
                    places + part * KEYS, order, &watch);
    fml_free(places);
    return fml_watch_status(&watch);
}
