/* Threads and interrupts: services that every kernel uses. */
#define _DEFAULT_SOURCE /* clock_gettime */
#include "runtime.h"

#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* Ctrl-C must be seen within 0.2 s; a poll takes the interpreter's lock, so not at every block. */
static const int64_t POLL_INTERVAL_NS = 40 * 1000 * 1000;

static _Atomic(fml_poll_function) poll_function;
static atomic_bool forked;

void fml_set_poll(fml_poll_function poll)
{
    atomic_store(&poll_function, poll);
}

bool fml_has_openmp(void)
{
#ifdef _OPENMP
    return true;
#else
    return false;
#endif
}

int fml_get_num_threads(void)
{
#ifdef _OPENMP
    return atomic_load(&forked) ? 1 : omp_get_max_threads();
#else
    return 1;
#endif
}

void fml_set_num_threads(int threads)
{
#ifdef _OPENMP
    omp_set_num_threads(threads);
#else
    (void)threads;
#endif
}

void fml_after_fork_in_child(void)
{
    atomic_store(&forked, true);
    fml_recount_pool();
}

int fml_clamp_threads(int threads, ptrdiff_t blocks)
{
    if (threads < 1 || blocks <= 1 || atomic_load(&forked))
        return 1;
    return threads < blocks ? threads : (int)blocks;
}

static int64_t now_ns(void)
{
    struct timespec time;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &time); /* a clock that nobody sets back */
#else
    timespec_get(&time, TIME_UTC);
#endif
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int fml_thread_number(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

void fml_watch_start(fml_watch *watch)
{
    atomic_init(&watch->stop, false);
    watch->next_poll = now_ns() + POLL_INTERVAL_NS;
}

bool fml_stopped(fml_watch *watch)
{
    if (atomic_load_explicit(&watch->stop, memory_order_relaxed))
        return true;
    if (fml_thread_number() != 0 || now_ns() < watch->next_poll)
        return false;
    fml_poll_function poll = atomic_load(&poll_function);
    watch->next_poll = now_ns() + POLL_INTERVAL_NS;
    if (poll == NULL || poll() == 0)
        return false;
    atomic_store(&watch->stop, true);
    return true;
}

fml_status fml_watch_status(fml_watch *watch)
{
    return atomic_load(&watch->stop) ? FML_INTERRUPTED : FML_OK;
}

/* Whether a team of the caller's, of one thread even, would take an `omp for` for its own. */
static bool is_in_team(void)
{
#ifdef _OPENMP
    return omp_get_level() > 0;
#else
    return false;
#endif
}

fml_status fml_with_team(int team, fml_team_work *work, const void *job)
{
    fml_watch watch;
    fml_watch_start(&watch);
    /* A team of one would wake nobody at each barrier, by system calls. */
    if (team == 1 && !is_in_team()) {
        work(job, &watch);
    } else {
#pragma omp parallel num_threads(team)
        work(job, &watch);
    }
    return fml_watch_status(&watch);
}
