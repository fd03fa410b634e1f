/* Threads that share many short loops in turn. */
#define _DEFAULT_SOURCE /* nanosleep, sched_yield */
#include "team.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sched.h>
#include <time.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

enum {
    LOOKS = 400,        /* some 10 microseconds, in which most loops follow */
    YIELDS = 2000,      /* a millisecond on a core of one's own, many where others take turns */
    NAP_NS = 50 * 1000, /* then a loop may wait twice as long for a thread: timers have slack */
    LINE = 64           /* bytes of a cache line, which threads would take from each other */
};
/* The program has ended. */
static const uint64_t CLOSED = UINT64_MAX;
static const uint64_t LEFT_MASK = UINT32_MAX;

/* A loop is read by who takes a block of it; it changes only when none is left to take. */
struct fml_team {
    _Alignas(LINE) _Atomic uint64_t open; /* the loop's number, and how many blocks are left */
    _Alignas(LINE) atomic_size_t done;    /* blocks */
    _Alignas(LINE) _Atomic(fml_shared_work *) work;
    _Atomic(void *) job;
    _Atomic ptrdiff_t count, grain;
    atomic_int limit; /* threads that may help */
};

/* The team that this thread leads, while it is at no loop. */
static _Thread_local fml_team *led;

static void rest(int *looks)
{
    if (*looks < LOOKS + YIELDS)
        ++*looks;
    if (*looks < LOOKS) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
        return;
    }
#ifdef _WIN32
    if (*looks >= LOOKS + YIELDS)
        Sleep(1);
    else if (!SwitchToThread())
        Sleep(0);
#else
    const struct timespec nap = {0, NAP_NS};
    if (*looks < LOOKS + YIELDS)
        (void)sched_yield();
    else
        (void)nanosleep(&nap, NULL);
#endif
}

/* Does blocks of the open loop until none is left; returns whether it did any. */
static bool help(fml_team *team, int thread)
{
    bool helped = false;
    uint64_t open = atomic_load_explicit(&team->open, memory_order_acquire);
    while (open != CLOSED && (open & LEFT_MASK) > 0) {
        fml_shared_work *work = atomic_load_explicit(&team->work, memory_order_relaxed);
        void *job = atomic_load_explicit(&team->job, memory_order_relaxed);
        const ptrdiff_t count = atomic_load_explicit(&team->count, memory_order_relaxed);
        const ptrdiff_t grain = atomic_load_explicit(&team->grain, memory_order_relaxed);
        if (thread >= atomic_load_explicit(&team->limit, memory_order_relaxed))
            break;
        /* Fails where what was read belongs to another loop. */
        if (!atomic_compare_exchange_weak_explicit(&team->open, &open, open - 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        const ptrdiff_t left = (ptrdiff_t)(open & LEFT_MASK);
        const ptrdiff_t first = (fml_blocks_of(count, grain) - left) * grain;
        work(job, first, count - first < grain ? count : first + grain);
        atomic_fetch_add_explicit(&team->done, 1, memory_order_release);
        open = atomic_load_explicit(&team->open, memory_order_acquire);
        helped = true;
    }
    return helped;
}

#ifdef _OPENMP

/* What all but the first thread do until the program ends. */
static void follow(fml_team *team, int thread)
{
    int looks = 0;
    while (atomic_load_explicit(&team->open, memory_order_acquire) != CLOSED)
        if (help(team, thread))
            looks = 0;
        else
            rest(&looks);
}

/* On the first thread of a parallel region, for which OMP_NUM_THREADS may have another number. */
static void lead(fml_team *team, int setting, fml_program *program, void *job)
{
    omp_set_num_threads(setting);
    led = team;
    program(omp_get_num_threads() > 1 ? team : NULL, job);
    led = NULL;
    atomic_store_explicit(&team->open, CLOSED, memory_order_release);
}

/* A program within a program. */
static void lead_some(int threads, fml_program *program, void *job)
{
    const int limit = atomic_exchange(&led->limit, threads);
    program(led, job);
    atomic_store(&led->limit, limit);
}

void fml_lead_team(int threads, fml_program *program, void *job)
{
    threads = fml_clamp_threads(threads, threads);
    fml_team team = {.limit = threads};
    if (threads == 1) {
        program(NULL, job);
    } else if (led) {
        lead_some(threads, program, job);
    } else {
        const int setting = omp_get_max_threads();
#pragma omp parallel num_threads(threads)
        if (omp_get_thread_num() == 0)
            lead(&team, setting, program, job);
        else
            follow(&team, omp_get_thread_num());
    }
}

#else

void fml_lead_team(int threads, fml_program *program, void *job)
{
    (void)threads;
    program(NULL, job);
}

#endif

void fml_share(fml_team *team, ptrdiff_t count, ptrdiff_t grain, fml_shared_work *work, void *job)
{
    const ptrdiff_t blocks = fml_blocks_of(count, grain);
    if (!team || blocks <= 1) {
        if (count > 0)
            work(job, 0, count);
        return;
    }
    const uint64_t last = atomic_load_explicit(&team->open, memory_order_relaxed) & ~LEFT_MASK;
    atomic_store_explicit(&team->work, work, memory_order_relaxed);
    atomic_store_explicit(&team->job, job, memory_order_relaxed);
    atomic_store_explicit(&team->count, count, memory_order_relaxed);
    atomic_store_explicit(&team->grain, grain, memory_order_relaxed);
    atomic_store_explicit(&team->done, 0, memory_order_relaxed);
    atomic_store_explicit(&team->open, last + LEFT_MASK + 1 + (uint64_t)blocks,
                          memory_order_release);
    /* A poll may run Python, whose loops must not take the place of this one. */
    led = NULL;
    help(team, 0);
    led = team;
    for (int looks = 0; atomic_load_explicit(&team->done, memory_order_acquire) < (size_t)blocks;)
        rest(&looks);
}
