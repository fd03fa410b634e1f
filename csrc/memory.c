/* Memory on cache lines and large pages, and the pool of what was freed. */
#define _DEFAULT_SOURCE /* madvise, posix_memalign, sysconf */
#include "memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef _WIN32
#include <unistd.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define FML_HAS_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FML_HAS_ASAN
#endif
#endif

#if defined(__linux__) && !defined(FML_HAS_ASAN)
#define FML_HAS_MAPPINGS
#endif

enum {
    ALIGNMENT = 64,
    LARGE_PAGE = 1 << 21,   /* large blocks start on one, and end with a page of any system */
    LARGEST_PAGE = 1 << 16, /* of those that are not large */
    LEAST_POOLED = 1 << 16, /* smaller blocks come from malloc without page faults */
    MOST_HELD = 1 << 25,    /* what is beyond that the system may take back: 0.1 ms for 25 MB */
    SLOTS = 16,
};

#define UNKNOWN SIZE_MAX

/* Every block starts with its size, a cache line before what the caller sees. */
typedef struct block {
    size_t bytes; /* of all of it */
    char padding[ALIGNMENT - sizeof(size_t)];
} block;

/* Blocks are taken and given by exchanges, so that no thread waits, nor a child of fork. */
static _Atomic(block *) pool[SLOTS];
static atomic_size_t sizes[SLOTS]; /* hints: what slots last had */
static atomic_size_t pooled_bytes;
static atomic_size_t limit = UNKNOWN;
static atomic_uint next_victim;

static size_t default_limit(void)
{
#if defined(FML_HAS_ASAN)
    return 0;            /* which sees what is used after it was freed */
#elif defined(__linux__) /* where the system may take it back */
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages / 32 * (size_t)page : 0;
#else
    return (size_t)1 << 26;
#endif
}

size_t fml_pool_limit(void)
{
    size_t unknown = UNKNOWN;
    if (atomic_load(&limit) == UNKNOWN)
        atomic_compare_exchange_strong(&limit, &unknown, default_limit());
    return atomic_load(&limit);
}

#ifdef FML_HAS_MAPPINGS

/* Large blocks are mappings of their own: malloc would keep holes of those that it gets back. */
static block *map_block(size_t bytes)
{
    char *whole =
        mmap(NULL, bytes + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (whole == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)whole % LARGE_PAGE;
    if (before > 0)
        (void)munmap(whole, before);
    (void)munmap(whole + before + bytes, LARGE_PAGE - before);
#ifdef MADV_HUGEPAGE /* whose first touch costs a quarter; a refusal is no error */
    (void)madvise(whole + before, bytes, MADV_HUGEPAGE);
#endif
    return (block *)(whole + before);
}

#endif

static block *new_block(size_t bytes)
{
#ifdef _WIN32
    return _aligned_malloc(bytes, ALIGNMENT);
#else
    void *fresh;
    return posix_memalign(&fresh, ALIGNMENT, bytes) == 0 ? fresh : NULL;
#endif
}

static block *fetch_block(size_t bytes)
{
#ifdef FML_HAS_MAPPINGS
    block *fresh = bytes >= LARGE_PAGE ? map_block(bytes) : new_block(bytes);
#else
    block *fresh = new_block(bytes);
#endif
    if (fresh)
        fresh->bytes = bytes;
    return fresh;
}

static void release(block *old)
{
#ifdef FML_HAS_MAPPINGS
    if (old && old->bytes >= LARGE_PAGE) {
        (void)munmap(old, old->bytes);
        return;
    }
#endif
#ifdef _WIN32
    _aligned_free(old);
#else
    free(old);
#endif
}

static block *take(int slot)
{
    block *found = atomic_exchange(&pool[slot], NULL);
    if (found)
        atomic_fetch_sub(&pooled_bytes, found->bytes);
    return found;
}

/* Whether the slot was empty and took the block, which may be another thread's at once. */
static bool give(int slot, block *old)
{
    block *empty = NULL;
    size_t bytes = old->bytes;
    if (!atomic_compare_exchange_strong(&pool[slot], &empty, old))
        return false;
    atomic_store(&sizes[slot], bytes);
    return true;
}

bool fml_empty_pool(void)
{
    bool had_any = false;
    for (int slot = 0; slot < SLOTS; slot++) {
        block *old = take(slot);
        had_any |= old != NULL;
        release(old);
    }
    return had_any;
}

/* Counts what is to be given, before it is there to be taken: the limit is never passed. */
static bool reserve(size_t bytes)
{
    size_t held = atomic_load(&pooled_bytes);
    do {
        if (held + bytes > fml_pool_limit())
            return false;
    } while (!atomic_compare_exchange_weak(&pooled_bytes, &held, held + bytes));
    return true;
}

/* Whether an empty slot took the block. */
static bool keep(block *old)
{
    const size_t bytes = old->bytes;
    if (!reserve(bytes))
        return false;
    for (int slot = 0; slot < SLOTS; slot++)
        if (give(slot, old)) {
            if (atomic_load(&pooled_bytes) > fml_pool_limit())
                fml_empty_pool(); /* the limit has been lowered since */
            return true;
        }
    atomic_fetch_sub(&pooled_bytes, bytes);
    return false;
}

/* Whether so many bytes serve for fewer, and are not much more than that. */
static bool fits(size_t bytes, size_t needed)
{
    return bytes >= needed && bytes - needed <= needed / 4;
}

static block *find(size_t bytes)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        block *found = fits(atomic_load(&sizes[slot]), bytes) ? take(slot) : NULL;
        if (found && fits(found->bytes, bytes))
            return found;
        if (found && !keep(found)) /* the hint was wrong */
            release(found);
    }
    return NULL;
}

void *fml_alloc(ptrdiff_t count, size_t element_size)
{
    if (count < 0 || (size_t)count > (PTRDIFF_MAX - 2 * LARGE_PAGE) / element_size)
        return NULL;
    size_t bytes = (size_t)count * element_size + sizeof(block);
    size_t unit = bytes < LARGE_PAGE ? ALIGNMENT : LARGEST_PAGE;
    bytes = (bytes + unit - 1) / unit * unit;
    block *found = bytes < LEAST_POOLED ? NULL : find(bytes);
    found = found ? found : fetch_block(bytes);
    if (!found && fml_empty_pool())
        found = fetch_block(bytes);
    return found ? found + 1 : NULL;
}

void fml_free(void *memory)
{
    block *old = memory ? (block *)memory - 1 : NULL;
    if (!old || old->bytes < LEAST_POOLED || old->bytes > fml_pool_limit()) {
        release(old);
        return;
    }
#if defined(FML_HAS_MAPPINGS) && defined(MADV_FREE) /* others do not lie on whole pages */
    bool is_much = atomic_load(&pooled_bytes) + old->bytes > MOST_HELD;
    if (is_much && old->bytes >= 2 * LARGE_PAGE) /* all but the page that holds the size */
        (void)madvise((char *)old + LARGE_PAGE, old->bytes - LARGE_PAGE, MADV_FREE);
#endif
    for (int turn = 0; turn <= SLOTS; turn++) {
        if (keep(old))
            return;
        release(take((int)(atomic_fetch_add(&next_victim, 1) % SLOTS)));
    }
    release(old);
}

void *fml_realloc(void *memory, size_t bytes)
{
    size_t before = memory ? ((block *)memory - 1)->bytes - sizeof(block) : 0;
    if (memory && fits(before, bytes))
        return memory;
    void *fresh = fml_alloc((ptrdiff_t)bytes, 1); /* negative where there cannot be so much */
    if (!fresh || !memory)
        return fresh;
    memcpy(fresh, memory, before < bytes ? before : bytes);
    fml_free(memory);
    return fresh;
}

void fml_recount_pool(void)
{
    size_t bytes = 0;
    for (int slot = 0; slot < SLOTS; slot++) {
        const block *old = atomic_load(&pool[slot]);
        bytes += old ? old->bytes : 0;
    }
    atomic_store(&pooled_bytes, bytes);
}

void fml_set_pool_limit(size_t bytes)
{
    atomic_store(&limit, bytes < UNKNOWN ? bytes : UNKNOWN - 1);
    fml_empty_pool();
}

size_t fml_pool_bytes(void)
{
    return atomic_load(&pooled_bytes);
}
