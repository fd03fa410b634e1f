/* Threads that share many short loops in turn, between which they stay awake.
 *
 * A thread that waits at the end of each loop of OpenMP's is soon put to sleep, and woken for the
 * next one, by system calls; many a scheduler then puts it beside the thread that woke it, on one
 * core. Here the calling thread runs a program, and the others of its team take blocks of the loops
 * that it shares. No loop waits for a thread that has taken no block of it: one that has lost its
 * core to another process holds up the block it is at, and the end of the program. Who waits looks
 * again and again for some microseconds, then lets others run in between. */
#ifndef FASTMML_TEAM_H
#define FASTMML_TEAM_H

#include "runtime.h"

/* Steps first to last - 1 of a loop. */
typedef void fml_shared_work(void *job, ptrdiff_t first, ptrdiff_t last);
/* Shares a loop, `grain` steps at a time, and returns when all is done; without a team the caller
 * does it by itself. */
void fml_share(fml_team *team, ptrdiff_t count, ptrdiff_t grain, fml_shared_work *work, void *job);

#endif
