/* The wrapped functions; see shims.h. Kernels may call them from several threads. */
#define _POSIX_C_SOURCE 200809L /* clockid_t */
#include "shims.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
void __wrap_free(void *memory);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_timespec_get(struct timespec *time, int base);

static atomic_long allocations, live, seconds;
static long failing_number;
static bool keeps_failing;

void shims_refuse(long failing, bool persistent)
{
    failing_number = failing;
    keeps_failing = persistent;
    atomic_store(&allocations, 0);
}

long shims_allocations(void)
{
    return atomic_load(&allocations);
}

long shims_live(void)
{
    return atomic_load(&live);
}

static bool refused(void)
{
    long number = atomic_fetch_add(&allocations, 1) + 1;
    if (failing_number == 0)
        return false;
    return number == failing_number || (keeps_failing && number > failing_number);
}

static void *counted(void *memory)
{
    if (memory)
        atomic_fetch_add(&live, 1);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (refused())
        return NULL;
    return old ? __real_realloc(old, size) : counted(__real_realloc(NULL, size));
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    int refusal = refused() ? ENOMEM : __real_posix_memalign(memory, alignment, size);
    if (refusal == 0)
        counted(*memory);
    return refusal;
}

void __wrap_free(void *memory)
{
    if (memory)
        atomic_fetch_sub(&live, 1);
    __real_free(memory);
}

/* Every look at a clock is a second after the last one, so every block of a kernel polls. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    (void)clock;
    *time = (struct timespec){.tv_sec = atomic_fetch_add(&seconds, 1)};
    return 0;
}

int __wrap_timespec_get(struct timespec *time, int base)
{
    *time = (struct timespec){.tv_sec = atomic_fetch_add(&seconds, 1)};
    return base;
}
