/* What every C file of the library shares: memory, threads, interrupts. */
#ifndef FASTMML_RUNTIME_H
#define FASTMML_RUNTIME_H

#include "fastmml.h"
#include "memory.h"

#include <stdatomic.h>

/* Bytes of a stream between what is read and what is fetched into the cache. Where each id of a
 * stream leads to a random access, a CPU does not fetch it early enough by itself: a sweep of R-MAT
 * 18 takes 2.0 ms without, 1.8, 1.5, 1.42 and 1.38 with 0.5, 2, 4 and 8 KB. */
enum { FML_BYTES_AHEAD = 1 << 13 };

/* Asks for what lies so much further on, if there is such memory. */
static inline void fml_fetch_ahead(const void *at)
{
    __builtin_prefetch((const void *)((uintptr_t)at + FML_BYTES_AHEAD));
}

/* How many blocks of this size so many elements take, of which the last may be smaller. */
static inline ptrdiff_t fml_blocks_of(ptrdiff_t count, ptrdiff_t size)
{
    return count / size + (count % size != 0);
}

/* Where a block of this size ends. */
static inline ptrdiff_t fml_block_end(ptrdiff_t count, ptrdiff_t size, ptrdiff_t block)
{
    ptrdiff_t start = block * size;
    return count - start < size ? count : start + size;
}

/* How many threads a job cut into `blocks` blocks should start: never more than blocks. */
int fml_clamp_threads(int threads, ptrdiff_t blocks);
/* Which of a job's threads this is: 0 for the one that called. */
int fml_thread_number(void);

/* One per call of a long kernel; every block asks fml_stopped before it starts. */
typedef struct fml_watch {
    atomic_bool stop;
    int64_t next_poll; /* in ns; touched by the calling thread only */
} fml_watch;

void fml_watch_start(fml_watch *watch);
bool fml_stopped(fml_watch *watch);
fml_status fml_watch_status(fml_watch *watch);

/* What each thread of a team does; the iterations of an `omp for` in it are shared. */
typedef void fml_team_work(const void *job, fml_watch *watch);
fml_status fml_with_team(int team, fml_team_work *work, const void *job);

#endif
