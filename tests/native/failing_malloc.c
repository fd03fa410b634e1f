/* Fails every allocation of every function once, and from there on, by turns.
 *
 * Each run must return FML_NO_MEMORY, or FML_OK with the right outputs, and leave no memory
 * behind. The sanitizers that this is built with see what a failed run touches. */
#include "scenarios.h"
#include "shims.h"

#include <stdio.h>
#include <stdlib.h>

enum { HASH_START = 14695981 };

static void demand(bool condition, const char *name, long failing, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s: allocation %ld failed, and %s\n", name, failing, what);
    exit(EXIT_FAILURE);
}

static uint64_t reference_digest(const scenario *subject, int threads)
{
    uint64_t digest = HASH_START;
    shims_refuse(0, false);
    demand(subject->run(threads, &digest) == FML_OK, subject->name, 0, "the call failed");
    demand(shims_live() == 0, subject->name, 0, "memory leaked");
    return digest;
}

/* Returns how many allocations could fail. */
static long fail_each(const scenario *subject, int threads, bool persistent)
{
    const uint64_t reference = reference_digest(subject, threads);
    for (long failing = 1;; failing++) {
        uint64_t digest = HASH_START;
        shims_refuse(failing, persistent);
        fml_status status = subject->run(threads, &digest);
        demand(shims_live() == 0, subject->name, failing, "memory leaked");
        demand(status == FML_NO_MEMORY || status == FML_OK, subject->name, failing,
               "the status is wrong");
        demand(status == FML_NO_MEMORY || digest == reference, subject->name, failing,
               "the outputs are wrong though the status is FML_OK");
        if (shims_allocations() < failing)
            return failing - 1;
    }
}

int main(void)
{
    scenarios_prepare();
    for (int s = 0; s < SCENARIO_COUNT; s++) {
        long failures = 0;
        for (int threads = 1; threads <= 2; threads++)
            for (int persistent = 0; persistent <= 1; persistent++)
                failures += fail_each(&SCENARIOS[s], threads, persistent);
        printf("%-24s %4ld failures survived\n", SCENARIOS[s].name, failures);
    }
    return EXIT_SUCCESS;
}
