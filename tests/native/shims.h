/* Memory that fails on demand and a clock that runs fast, for the drivers of this folder.
 *
 * The linker sends every malloc, calloc, realloc, posix_memalign, free, clock_gettime and
 * timespec_get of the library to shims.c (--wrap). */
#ifndef FASTMML_SHIMS_H
#define FASTMML_SHIMS_H

#include <stdbool.h>

/* From now on count allocations from 1; number `failing` fails (0: none does), and with
 * `persistent` all later ones too. */
void shims_refuse(long failing, bool persistent);

/* Allocations asked for since shims_refuse, refused ones included. */
long shims_allocations(void);

/* Allocations not freed, since the program started. */
long shims_live(void);

#endif
