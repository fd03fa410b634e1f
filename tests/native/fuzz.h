/* What the fuzz targets share: a demand that aborts, and copies of exact length, so that the
 * sanitizers see every read past the end. */
#ifndef FASTMML_FUZZ_H
#define FASTMML_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEMAND(condition)                                                           \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

static inline void *fuzz_alloc(size_t count, size_t element_size)
{
    void *memory = calloc(count ? count : 1, element_size);
    DEMAND(memory != NULL);
    return memory;
}

static inline char *fuzz_copy(const void *data, size_t size)
{
    char *copy = malloc(size);
    DEMAND(copy != NULL || size == 0);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

#endif
