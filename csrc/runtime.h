/* What every C file of the library shares: memory, threads, interrupts. */
#ifndef FASTMML_RUNTIME_H
#define FASTMML_RUNTIME_H

#include "fastmml.h"
#include "memory.h"

#include <stdatomic.h>

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
