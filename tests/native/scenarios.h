/* One call of every function of fastmml.h that returns a status, on inputs cut into blocks. */
#ifndef FASTMML_SCENARIOS_H
#define FASTMML_SCENARIOS_H

#include "fastmml.h"

typedef struct scenario {
    const char *name;
    /* Calls the function with this many threads; digest receives a hash of all its outputs. */
    fml_status (*run)(int threads, uint64_t *digest);
} scenario;

extern const scenario SCENARIOS[];
extern const int SCENARIO_COUNT;

/* Fills the inputs; once, before any scenario runs. */
void scenarios_prepare(void);

#endif
