/* Edges of a Kronecker (R-MAT) graph with the parameters of Graph500 and GAP.
 *
 * Chakrabarti, Zhan, Faloutsos, R-MAT: a recursive model for graph mining, SDM 2004. Each level
 * picks a quadrant of the adjacency matrix with probabilities A, B, C and 1 - A - B - C. Edge e
 * and level l take their random number from a counter (splitmix64 of Steele, Lea, Flood, OOPSLA
 * 2014, over seed, e and l), so any range of edges can be made alone and in any order. Ids are
 * then scrambled by a bijection of [0, 2^scale), so that they say nothing about degrees.
 * Cost: scale random numbers an edge; writes 8 bytes an edge.
 */
#include "../runtime.h"

/* Thresholds on the upper 32 bits of a random number: 0.57, 0.19, 0.19 (and 0.05). */
static const uint32_t BELOW_A = 2448131358u;
static const uint32_t BELOW_AB = 3264175144u;
static const uint32_t BELOW_ABC = 4080218931u;

enum { BLOCK_EDGES = 1 << 14 };

static inline uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Multiplying by an odd number and folding high bits into low ones are both invertible. */
static inline uint32_t scramble(uint64_t id, int scale, uint64_t key)
{
    uint64_t mask = (UINT64_C(1) << scale) - 1;
    int fold = scale / 2 > 0 ? scale / 2 : 1;
    for (int round = 0; round < 3; round++) {
        key = mix(key + 0x9e3779b97f4a7c15u);
        id = (id * (key | 1) + (key >> 32)) & mask;
        id ^= id >> fold;
    }
    return (uint32_t)id;
}

static void make_edge(int scale, uint64_t seed_key, uint64_t edge, uint32_t *src, uint32_t *dst)
{
    uint64_t row = 0, column = 0, key = mix(seed_key + edge * 0x9e3779b97f4a7c15u);
    for (int level = 0; level < scale; level++) {
        key += 0x9e3779b97f4a7c15u;
        uint32_t draw = (uint32_t)(mix(key) >> 32);
        unsigned down = draw >= BELOW_AB;
        unsigned right = (draw >= BELOW_A && !down) || draw >= BELOW_ABC;
        row = row << 1 | down;
        column = column << 1 | right;
    }
    *src = scramble(row, scale, seed_key);
    *dst = scramble(column, scale, seed_key);
}

fml_status fml_rmat_edges(int scale, uint64_t seed, int64_t first, ptrdiff_t count, uint32_t *src,
                          uint32_t *dst, int threads)
{
    fml_watch watch;
    fml_watch_start(&watch);
    uint64_t seed_key = mix(seed + 0x9e3779b97f4a7c15u);
    ptrdiff_t blocks = fml_blocks_of(count, BLOCK_EDGES);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        ptrdiff_t start = block * BLOCK_EDGES;
        ptrdiff_t end = fml_block_end(count, BLOCK_EDGES, block);
        for (ptrdiff_t i = start; i < end; i++)
            make_edge(scale, seed_key, (uint64_t)(first + i), &src[i], &dst[i]);
    }
    return fml_watch_status(&watch);
}
