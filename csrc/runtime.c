/* Scratch memory, threads and interrupts: the services that every kernel uses. */
#define _DEFAULT_SOURCE /* clock_gettime, madvise */
#include "runtime.h"

#include <stdlib.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { ALIGNMENT = 64, HUGE_PAGE = 1 << 21 };

/* Ctrl-C must be seen within 0.2 s; a poll takes the interpreter's lock, so not at every block. */
static const int64_t POLL_INTERVAL_NS = 40 * 1000 * 1000;

static _Atomic(fml_poll_function) poll_function;
static atomic_bool forked;

/* Asks for huge pages where the system knows them, whose first touch costs a quarter; a refusal is
 * no error. */
static void advise_huge_pages(void *large, size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    (void)madvise(large, bytes, MADV_HUGEPAGE);
#else
    (void)large;
    (void)bytes;
#endif
}

void *fml_alloc(ptrdiff_t count, size_t element_size)
{
    if (count < 0 || (size_t)count > (PTRDIFF_MAX - HUGE_PAGE) / element_size)
        return NULL;
    size_t bytes = (size_t)count * element_size;
    size_t alignment = bytes < 2 * HUGE_PAGE ? ALIGNMENT : HUGE_PAGE;
    size_t rounded = (bytes / alignment + 1) * alignment; /* never zero */
#ifdef _WIN32
    return _aligned_malloc(rounded, alignment);
#else
    void *scratch = aligned_alloc(alignment, rounded);
    if (scratch && alignment == HUGE_PAGE)
        advise_huge_pages(scratch, rounded);
    return scratch;
#endif
}

void fml_free(void *scratch)
{
#ifdef _WIN32
    _aligned_free(scratch);
#else
    free(scratch);
#endif
}

/* Kept scratch starts with its size, a cache line before what the caller sees. */
typedef struct kept_scratch {
    size_t bytes;
    char padding[ALIGNMENT - sizeof(size_t)];
} kept_scratch;

enum { MOST_KEPT = 1 << 24 };

static _Atomic(kept_scratch *) kept;

void *fml_alloc_kept(ptrdiff_t count, size_t element_size)
{
    if (count < 0 || (size_t)count > (PTRDIFF_MAX - ALIGNMENT) / element_size)
        return NULL;
    size_t bytes = (size_t)count * element_size;
    kept_scratch *scratch = atomic_exchange(&kept, NULL);
    if (!scratch || scratch->bytes < bytes) {
        fml_free(scratch);
        scratch = fml_alloc((ptrdiff_t)(bytes + ALIGNMENT), 1);
        if (!scratch)
            return NULL;
        scratch->bytes = bytes;
    }
    return scratch + 1;
}

void fml_keep(void *scratch)
{
    kept_scratch *whole = scratch ? (kept_scratch *)scratch - 1 : NULL;
    if (whole && whole->bytes <= MOST_KEPT)
        whole = atomic_exchange(&kept, whole);
    fml_free(whole);
}

void fml_forget(void)
{
    fml_free(atomic_exchange(&kept, NULL));
}

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
