/* Which ids occur, and giving them new numbers: two passes over all ends of edges.
 * Cost: 4 bytes an id read (and written when relabelling), one random access each.
 */
#include "../runtime.h"

#include <stdatomic.h>

enum { BLOCK_IDS = 1 << 16 };

/* Threads may mark the same id at once: relaxed atomic stores compile to plain ones. */
static void mark(uint8_t *present, uint32_t id)
{
    atomic_store_explicit((_Atomic uint8_t *)&present[id], 1, memory_order_relaxed);
}

fml_status fml_mark_ids(ptrdiff_t count, const uint32_t *ids, uint8_t *present, int threads)
{
    fml_watch watch;
    fml_watch_start(&watch);
    ptrdiff_t blocks = fml_blocks_of(count, BLOCK_IDS);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        for (ptrdiff_t i = block * BLOCK_IDS; i < fml_block_end(count, BLOCK_IDS, block); i++) {
            fml_fetch_ahead(ids + i);
            mark(present, ids[i]);
        }
    }
    return fml_watch_status(&watch);
}

fml_status fml_relabel(ptrdiff_t count, const uint32_t *table, uint32_t *ids, int threads)
{
    fml_watch watch;
    fml_watch_start(&watch);
    ptrdiff_t blocks = fml_blocks_of(count, BLOCK_IDS);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        for (ptrdiff_t i = block * BLOCK_IDS; i < fml_block_end(count, BLOCK_IDS, block); i++)
            ids[i] = table[ids[i]];
    }
    return fml_watch_status(&watch);
}
