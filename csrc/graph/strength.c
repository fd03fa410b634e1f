/* Out-strength of every node from its links in in-link form: one pass over the links.
 *
 * Counting is exact in any order: every thread counts a part of the links in 32 bits of its own.
 * Weights are added in the order of the links with Neumaier's compensation (Z. Angew. Math. Mech.
 * 54, 1974), so a node's strength is right to a few ulp whatever its degree, which the error bound
 * of PageRank relies on.
 * Cost: 4 bytes a link read (12 with weights) and one random access to the node's count or sum.
 */
#include "../team.h"

#include <math.h>
#include <string.h>

enum { BLOCK_LINKS = 1 << 20, TILE_NODES = 1 << 12, TILES_AT_ONCE = 4 };
/* Links that are worth a thread: some 100 microseconds. */
enum { PART_LINKS = 1 << 16 };
/* Links that a thread counts before counters of 32 bits could overflow. */
static const int64_t ROUND_LINKS = (int64_t)1 << 31;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void count_part(int64_t start, int64_t end, const uint32_t *indices, uint32_t *counts,
                       fml_watch *watch)
{
    for (int64_t block = start; block < end && !fml_stopped(watch); block += BLOCK_LINKS)
        for (int64_t k = block; k < smaller(block + BLOCK_LINKS, end); k++) {
            fml_fetch_ahead(indices + k);
            counts[indices[k]]++;
        }
}

typedef struct counting {
    ptrdiff_t n;
    int64_t edges;
    const uint32_t *indices;
    double *strength;
    uint32_t *counts; /* (parts, n) */
    ptrdiff_t parts;
    int64_t round, share; /* the first link of a round, and how many of it are in a part */
    fml_watch *watch;
} counting;

static void count_parts(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const counting *c = job;
    for (ptrdiff_t part = first; part < last; part++)
        count_part(smaller(c->round + part * c->share, c->edges),
                   smaller(c->round + (part + 1) * c->share, c->edges), c->indices,
                   c->counts + part * c->n, c->watch);
}

/* Adds up what is counted for the nodes of some tiles, and clears it. */
static void collect(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const counting *c = job;
    const ptrdiff_t end = smaller(last * TILE_NODES, c->n);
    for (ptrdiff_t part = 0; part < c->parts; part++)
        for (ptrdiff_t j = first * TILE_NODES; j < end; j++) {
            c->strength[j] += c->counts[part * c->n + j];
            c->counts[part * c->n + j] = 0;
        }
}

static void count_rounds(fml_team *team, void *job)
{
    counting *c = job;
    const ptrdiff_t tiles = fml_blocks_of(c->n, TILE_NODES);
    for (; c->round < c->edges; c->round += c->parts * ROUND_LINKS) {
        c->share = smaller(ROUND_LINKS, (c->edges - c->round) / c->parts + 1);
        fml_share(team, c->parts, 1, count_parts, c);
        fml_share(team, tiles, TILES_AT_ONCE, collect, c);
    }
}

static fml_status count_links(ptrdiff_t n, int64_t edges, const uint32_t *indices, double *strength,
                              int threads, fml_watch *watch)
{
    /* With fewer links than nodes for each thread, collecting would take longer than counting. */
    int parts = fml_clamp_threads(threads, smaller(edges / n, edges / PART_LINKS));
    uint32_t *counts = fml_alloc(n, (size_t)parts * sizeof *counts);
    if (!counts)
        return FML_NO_MEMORY;
    memset(counts, 0, (size_t)n * (size_t)parts * sizeof *counts);
    counting c = {n, edges, indices, strength, counts, parts, 0, 0, watch};
    fml_lead_team(parts, count_rounds, &c);
    fml_free(counts);
    return fml_watch_status(watch);
}

static void add_block(ptrdiff_t links, const uint32_t *indices, const double *weights,
                      double *strength, double *carry)
{
    for (ptrdiff_t k = 0; k < links; k++) {
        fml_fetch_ahead(indices + k);
        fml_fetch_ahead(weights + k);
        uint32_t j = indices[k];
        double old = strength[j], weight = weights[k], sum = old + weight;
        carry[j] += fabs(old) >= fabs(weight) ? (old - sum) + weight : (weight - sum) + old;
        strength[j] = sum;
    }
}

static fml_status add_weights(ptrdiff_t n, int64_t edges, const uint32_t *indices,
                              const double *weights, double *strength, fml_watch *watch)
{
    double *carry = fml_alloc(n, sizeof *carry);
    if (!carry)
        return FML_NO_MEMORY;
    memset(carry, 0, (size_t)n * sizeof *carry);
    for (int64_t start = 0; start < edges && !fml_stopped(watch); start += BLOCK_LINKS)
        add_block(smaller(edges - start, BLOCK_LINKS), indices + start, weights + start, strength,
                  carry);
    for (ptrdiff_t j = 0; j < n; j++)
        strength[j] += carry[j];
    fml_free(carry);
    return fml_watch_status(watch);
}

fml_status fml_out_strength(ptrdiff_t n, ptrdiff_t edges, const uint32_t *indices,
                            const double *weights, double *strength, int threads)
{
    memset(strength, 0, (size_t)n * sizeof *strength);
    if (edges == 0)
        return FML_OK;
    fml_watch watch;
    fml_watch_start(&watch);
    return weights ? add_weights(n, edges, indices, weights, strength, &watch)
                   : count_links(n, edges, indices, strength, threads, &watch);
}
