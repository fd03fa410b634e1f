/* Numbers for distinct byte strings, in the order of first appearance.
 *
 * Open addressing with linear probing over a table of (hash, number) pairs, at most half full
 * (Knuth, The Art of Computer Programming 3, section 6.4); the strings stand end to end in one
 * array. Strings are hashed some at a time, and their slots are fetched ahead, since the table of
 * many is larger than the caches. Cost: one hash and about 1.5 probes a string.
 */
#include "../runtime.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1 << 10, FIRST_BYTES = 1 << 14 };
/* Strings hashed at once. */
enum { BATCH = 64 };

#if defined(__GNUC__)
#define FML_PREFETCH(at) __builtin_prefetch(at)
#else
#define FML_PREFETCH(at) ((void)(at))
#endif

static const uint32_t EMPTY = UINT32_MAX;

typedef struct slot {
    uint32_t hash, number;
} slot;

struct fml_interner {
    slot *slots;
    int64_t slot_count; /* a power of two */
    int64_t *offsets;   /* where string i starts; room for slot_count / 2 + 1 */
    char *bytes;
    int64_t byte_capacity, size;
};

typedef struct string {
    const char *start;
    int64_t length;
} string;

static string string_at(const char *text, int64_t span)
{
    return (string){text + (span >> 32), span & 0xffffffff};
}

static inline uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

static inline uint64_t load_8(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* All bytes of a string of fewer than 8, some of them twice. */
static inline uint64_t load_short(string s)
{
    uint32_t first, last;
    if (s.length >= 4) {
        memcpy(&first, s.start, 4);
        memcpy(&last, s.start + s.length - 4, 4);
        return (uint64_t)first << 32 | last;
    }
    if (s.length == 0)
        return 0;
    const unsigned char *bytes = (const unsigned char *)s.start;
    return (uint64_t)bytes[0] << 16 | (uint64_t)bytes[s.length / 2] << 8 | bytes[s.length - 1];
}

static inline uint32_t hash_string(string s)
{
    uint64_t hash = (uint64_t)s.length;
    if (s.length < 8)
        hash = mix(hash, load_short(s));
    else {
        for (int64_t i = 0; i < s.length - 8; i += 8)
            hash = mix(hash, load_8(s.start + i));
        hash = mix(hash, load_8(s.start + s.length - 8));
    }
    return (uint32_t)(mix(hash, 0) >> 32);
}

static inline bool is_same(string a, string b)
{
    return a.length == b.length && memcmp(a.start, b.start, (size_t)a.length) == 0;
}

static slot *new_slots(int64_t count)
{
    slot *slots = fml_alloc((ptrdiff_t)count, sizeof *slots);
    if (slots)
        memset(slots, 0xff, (size_t)count * sizeof *slots); /* number = EMPTY */
    return slots;
}

fml_interner *fml_interner_new(void)
{
    fml_interner *interner = fml_alloc(1, sizeof *interner);
    if (!interner)
        return NULL;
    *interner = (fml_interner){.slots = new_slots(FIRST_SLOTS),
                               .slot_count = FIRST_SLOTS,
                               .offsets = malloc((FIRST_SLOTS / 2 + 1) * sizeof(int64_t)),
                               .bytes = malloc(FIRST_BYTES),
                               .byte_capacity = FIRST_BYTES};
    if (interner->slots && interner->offsets && interner->bytes) {
        interner->offsets[0] = 0;
        return interner;
    }
    fml_interner_free(interner);
    return NULL;
}

void fml_interner_free(fml_interner *interner)
{
    if (!interner)
        return;
    fml_free(interner->slots);
    free(interner->offsets);
    free(interner->bytes);
    fml_free(interner);
}

static bool is_string(const fml_interner *interner, uint32_t number, string s)
{
    int64_t start = interner->offsets[number], end = interner->offsets[number + 1];
    return is_same((string){interner->bytes + start, end - start}, s);
}

/* The slot of the string, or the empty one where it belongs. */
static slot *find_slot(const fml_interner *interner, string s, uint32_t hash)
{
    uint64_t mask = (uint64_t)interner->slot_count - 1;
    for (uint64_t i = hash & mask;; i = (i + 1) & mask) {
        slot *at = &interner->slots[i];
        if (at->number == EMPTY || (at->hash == hash && is_string(interner, at->number, s)))
            return at;
    }
}

static bool grow_slots(fml_interner *interner)
{
    int64_t count = interner->slot_count * 2;
    int64_t *offsets = realloc(interner->offsets, (size_t)(count / 2 + 1) * sizeof *offsets);
    if (!offsets)
        return false;
    interner->offsets = offsets;
    slot *slots = new_slots(count);
    if (!slots)
        return false;
    uint64_t mask = (uint64_t)count - 1;
    for (int64_t old = 0; old < interner->slot_count; old++) {
        if (interner->slots[old].number == EMPTY)
            continue;
        uint64_t i = interner->slots[old].hash & mask;
        while (slots[i].number != EMPTY)
            i = (i + 1) & mask;
        slots[i] = interner->slots[old];
    }
    fml_free(interner->slots);
    interner->slots = slots;
    interner->slot_count = count;
    return true;
}

static bool grow_bytes(fml_interner *interner, int64_t needed)
{
    int64_t capacity = interner->byte_capacity;
    while (capacity < needed)
        capacity *= 2;
    char *bytes = realloc(interner->bytes, (size_t)capacity);
    if (!bytes)
        return false;
    interner->bytes = bytes;
    interner->byte_capacity = capacity;
    return true;
}

static fml_status append(fml_interner *interner, string s, uint32_t hash, slot *place)
{
    if (interner->size == (int64_t)EMPTY)
        return FML_CAPACITY;
    int64_t start = interner->offsets[interner->size], end = start + s.length;
    if (end > interner->byte_capacity && !grow_bytes(interner, end))
        return FML_NO_MEMORY;
    if (s.length > 0)
        memcpy(interner->bytes + start, s.start, (size_t)s.length);
    *place = (slot){hash, (uint32_t)interner->size};
    interner->offsets[++interner->size] = end;
    return FML_OK;
}

static fml_status number_string(fml_interner *interner, string s, uint32_t hash, uint32_t *number)
{
    if (interner->size >= interner->slot_count / 2 && !grow_slots(interner))
        return FML_NO_MEMORY;
    slot *place = find_slot(interner, s, hash);
    fml_status status = place->number == EMPTY ? append(interner, s, hash, place) : FML_OK;
    *number = place->number;
    return status;
}

/* Strings to be numbered one after another, and their hashes. */
typedef struct batch {
    string strings[BATCH];
    uint32_t hashes[BATCH];
} batch;

static void hash_batch(const fml_interner *interner, ptrdiff_t count, batch *next)
{
    uint64_t mask = (uint64_t)interner->slot_count - 1;
    for (ptrdiff_t i = 0; i < count; i++) {
        next->hashes[i] = hash_string(next->strings[i]);
        FML_PREFETCH(&interner->slots[next->hashes[i] & mask]);
    }
}

fml_status fml_interner_add(fml_interner *interner, const char *text, ptrdiff_t count,
                            const int64_t *first, const int64_t *second, uint32_t *first_ids,
                            uint32_t *second_ids)
{
    fml_watch watch;
    fml_watch_start(&watch);
    fml_status status = FML_OK;
    batch next;
    for (ptrdiff_t start = 0; start < count && status == FML_OK; start += BATCH / 2) {
        if (start % 4096 == 0 && fml_stopped(&watch))
            return FML_INTERRUPTED;
        ptrdiff_t edges = count - start < BATCH / 2 ? count - start : BATCH / 2;
        for (ptrdiff_t i = 0; i < edges; i++) {
            next.strings[2 * i] = string_at(text, first[start + i]);
            next.strings[2 * i + 1] = string_at(text, second[start + i]);
        }
        hash_batch(interner, 2 * edges, &next);
        for (ptrdiff_t i = 0; i < 2 * edges && status == FML_OK; i++) {
            uint32_t *ids = i % 2 ? second_ids : first_ids;
            status = number_string(interner, next.strings[i], next.hashes[i], &ids[start + i / 2]);
        }
    }
    return status;
}

int64_t fml_interner_size(const fml_interner *interner)
{
    return interner->size;
}

int64_t fml_interner_bytes(const fml_interner *interner)
{
    return interner->offsets[interner->size];
}

void fml_interner_labels(const fml_interner *interner, int64_t *offsets, char *bytes)
{
    memcpy(offsets, interner->offsets, (size_t)(interner->size + 1) * sizeof *offsets);
    if (fml_interner_bytes(interner) > 0)
        memcpy(bytes, interner->bytes, (size_t)fml_interner_bytes(interner));
}
