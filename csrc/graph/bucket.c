/* Edges to compressed rows: a two-level radix sort by target, then source.
 *
 * Edges are scattered into buckets of 2^shift target nodes, each tile of edges writing to places
 * counted for it beforehand (so the result does not depend on the number of threads), and every
 * bucket is then sorted alone, in cache, by a stable least-significant-digit radix sort (Knuth,
 * The Art of Computer Programming 3, section 5.2.5). The scattered sources land in the array that
 * becomes the graph's, and of the target only its low bits are kept, 2 bytes an edge: the peak is
 * 6 bytes an edge beside what the caller still holds.
 * Cost: counting 4, scattering 14, sorting at least 12 bytes an edge (weights add 8 each way).
 */
#include "../runtime.h"

#include <string.h>

fml_status fml_bucket_count(ptrdiff_t edges, const uint32_t *dst, int shift, ptrdiff_t buckets,
                            int64_t *counts, int threads)
{
    fml_watch watch;
    fml_watch_start(&watch);
    ptrdiff_t tiles = fml_blocks_of(edges, FML_TILE_EDGES);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, tiles))
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        if (fml_stopped(&watch))
            continue;
        int64_t *mine = counts + tile * buckets;
        memset(mine, 0, (size_t)buckets * sizeof *mine);
        for (ptrdiff_t e = tile * FML_TILE_EDGES; e < fml_block_end(edges, FML_TILE_EDGES, tile);
             e++)
            mine[dst[e] >> shift]++;
    }
    return fml_watch_status(&watch);
}

fml_status fml_bucket_scatter(ptrdiff_t edges, const uint32_t *src, const uint32_t *dst,
                              const double *weights, int shift, ptrdiff_t buckets,
                              int64_t *positions, uint32_t *out_src, uint16_t *out_local,
                              double *out_weights, int threads)
{
    fml_watch watch;
    fml_watch_start(&watch);
    uint32_t mask = (UINT32_C(1) << shift) - 1;
    ptrdiff_t tiles = fml_blocks_of(edges, FML_TILE_EDGES);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, tiles))
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        if (fml_stopped(&watch))
            continue;
        int64_t *mine = positions + tile * buckets;
        for (ptrdiff_t e = tile * FML_TILE_EDGES; e < fml_block_end(edges, FML_TILE_EDGES, tile);
             e++) {
            int64_t place = mine[dst[e] >> shift]++;
            out_src[place] = src[e];
            out_local[place] = (uint16_t)(dst[e] & mask);
            if (weights)
                out_weights[place] = weights[e];
        }
    }
    return fml_watch_status(&watch);
}

/* Columns of the edges of one bucket. */
typedef struct columns {
    uint32_t *src;
    uint16_t *local;
    double *weights; /* or NULL */
} columns;

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

static bool sources_ascend(ptrdiff_t count, const uint32_t *src)
{
    for (ptrdiff_t e = 1; e < count; e++)
        if (src[e - 1] > src[e])
            return false;
    return true;
}

/* Counts become the places where each digit's run starts. */
static void starts_from_counts(ptrdiff_t digits, int64_t *counts)
{
    int64_t start = 0;
    for (ptrdiff_t d = 0; d < digits; d++) {
        int64_t count = counts[d];
        counts[d] = start;
        start += count;
    }
}

static void move_edge(columns from, ptrdiff_t e, columns to, int64_t place)
{
    to.src[place] = from.src[e];
    to.local[place] = from.local[e];
    if (from.weights)
        to.weights[place] = from.weights[e];
}

static void sort_by_source_digit(ptrdiff_t count, int low_bit, columns from, columns to,
                                 int64_t *places)
{
    memset(places, 0, DIGITS * sizeof *places);
    for (ptrdiff_t e = 0; e < count; e++)
        places[from.src[e] >> low_bit & (DIGITS - 1)]++;
    starts_from_counts(DIGITS, places);
    for (ptrdiff_t e = 0; e < count; e++)
        move_edge(from, e, to, places[from.src[e] >> low_bit & (DIGITS - 1)]++);
}

/* Leaves in places[v] where the row of local target v ends. */
static void sort_by_target(ptrdiff_t count, ptrdiff_t rows, columns from, columns to,
                           int64_t *places)
{
    memset(places, 0, (size_t)rows * sizeof *places);
    for (ptrdiff_t e = 0; e < count; e++)
        places[from.local[e]]++;
    starts_from_counts(rows, places);
    for (ptrdiff_t e = 0; e < count; e++) {
        int64_t place = places[from.local[e]]++;
        to.src[place] = from.src[e];
        if (from.weights)
            to.weights[place] = from.weights[e];
    }
}

static ptrdiff_t largest_bucket(ptrdiff_t buckets, const int64_t *bounds)
{
    int64_t largest = 0;
    for (ptrdiff_t b = 0; b < buckets; b++)
        if (bounds[b + 1] - bounds[b] > largest)
            largest = bounds[b + 1] - bounds[b];
    return (ptrdiff_t)largest;
}

/* Two sets of scratch columns and the places, allocated by one thread for its buckets. */
typedef struct workspace {
    columns columns[2];
    int64_t *places;
} workspace;

static void workspace_free(workspace *w)
{
    for (int i = 0; i < 2; i++) {
        fml_free(w->columns[i].src);
        fml_free(w->columns[i].local);
        fml_free(w->columns[i].weights);
    }
    fml_free(w->places);
}

static bool workspace_make(workspace *w, ptrdiff_t edges, ptrdiff_t rows, bool weighted)
{
    bool made = true;
    for (int i = 0; i < 2; i++) {
        columns c = {fml_alloc(edges, sizeof *c.src), fml_alloc(edges, sizeof *c.local),
                     weighted ? fml_alloc(edges, sizeof *c.weights) : NULL};
        made = made && c.src && c.local && (c.weights || !weighted);
        w->columns[i] = c;
    }
    w->places = fml_alloc(rows > DIGITS ? rows : DIGITS, sizeof *w->places);
    return made && w->places;
}

/* Sorts one bucket whose edges stand in `bucket` (its weights and sources are overwritten). */
static void sort_bucket(ptrdiff_t count, ptrdiff_t rows, int source_bits, columns bucket,
                        workspace *w)
{
    columns from = bucket;
    int turn = 0;
    if (!sources_ascend(count, bucket.src))
        for (int low_bit = 0; low_bit < source_bits; low_bit += DIGIT_BITS) {
            sort_by_source_digit(count, low_bit, from, w->columns[turn], w->places);
            from = w->columns[turn];
            turn ^= 1;
        }
    columns to = from.src == bucket.src ? w->columns[turn] : bucket;
    sort_by_target(count, rows, from, to, w->places);
    if (to.src == bucket.src)
        return;
    memcpy(bucket.src, to.src, (size_t)count * sizeof *to.src);
    if (bucket.weights)
        memcpy(bucket.weights, to.weights, (size_t)count * sizeof *to.weights);
}

fml_status fml_bucket_sort(ptrdiff_t n, int64_t sources, int shift, ptrdiff_t buckets,
                           const int64_t *bounds, uint16_t *local, uint32_t *src, double *weights,
                           int64_t *indptr, int threads)
{
    ptrdiff_t rows_per_bucket = (ptrdiff_t)1 << shift;
    ptrdiff_t largest = largest_bucket(buckets, bounds);
    int source_bits = 1;
    while (source_bits < 32 && (int64_t)1 << source_bits < sources)
        source_bits++;
    indptr[0] = 0;
    fml_watch watch;
    fml_watch_start(&watch);
    atomic_bool failed = false;
#pragma omp parallel num_threads(fml_clamp_threads(threads, buckets))
    {
        workspace w;
        if (!workspace_make(&w, largest, rows_per_bucket, weights != NULL))
            atomic_store(&failed, true);
#pragma omp barrier
#pragma omp for schedule(dynamic)
        for (ptrdiff_t b = 0; b < buckets; b++) {
            if (atomic_load(&failed) || fml_stopped(&watch))
                continue;
            ptrdiff_t row = b << shift, first = (ptrdiff_t)bounds[b];
            ptrdiff_t rows = n - row < rows_per_bucket ? n - row : rows_per_bucket;
            columns bucket = {src + first, local + first, weights ? weights + first : NULL};
            sort_bucket((ptrdiff_t)bounds[b + 1] - first, rows, source_bits, bucket, &w);
            for (ptrdiff_t v = 0; v < rows; v++)
                indptr[row + v + 1] = first + w.places[v];
        }
        workspace_free(&w);
    }
    return atomic_load(&failed) ? FML_NO_MEMORY : fml_watch_status(&watch);
}
