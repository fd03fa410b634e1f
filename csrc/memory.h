/* Memory of kernels and of large results, which later calls use again. */
#ifndef FASTMML_MEMORY_H
#define FASTMML_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Memory for count elements on a cache line; NULL when there is none or count overflows. From 2 MB
 * on it lies on large pages where the system has them. What fml_free gets goes to a pool, where the
 * next call finds memory whose pages need not be fetched from the system, a quarter more than it
 * asked for at most; beyond 32 MB Linux may take back blocks from 4 MB on. */
void *fml_alloc(ptrdiff_t count, size_t element_size);
void fml_free(void *memory);
/* Like realloc, for a number of bytes. */
void *fml_realloc(void *memory, size_t bytes);

/* The pool holds this many bytes at most: at first a 32nd of the machine's memory on Linux, else 64
 * MB. Setting it empties the pool. */
size_t fml_pool_limit(void);
void fml_set_pool_limit(size_t bytes);
/* What it holds now. */
size_t fml_pool_bytes(void);
/* Gives all of it back to the system; whether there was anything. */
bool fml_empty_pool(void);
/* For a child of fork, where another thread stood between a block and its count. */
void fml_recount_pool(void);

#endif
