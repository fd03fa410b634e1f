/* Stops every function at its first, second, ... poll.
 *
 * A stopped run must return FML_INTERRUPTED and leave no memory behind; one that nobody stopped
 * must return FML_OK with the right outputs. A function that never polls fails the test. */
#include "scenarios.h"
#include "shims.h"

#include <stdio.h>
#include <stdlib.h>

enum { HASH_START = 14695981, MOST_POLLS = 20 };

static int polls, stopping_poll;

static int poll(void)
{
    return ++polls == stopping_poll;
}

static fml_status run(const scenario *subject, int threads, int stop_at, uint64_t *digest)
{
    polls = 0;
    stopping_poll = stop_at;
    *digest = HASH_START;
    return subject->run(threads, digest);
}

static void demand(bool condition, const char *name, int stop_at, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s, stopped at poll %d: %s\n", name, stop_at, what);
    exit(EXIT_FAILURE);
}

/* Returns how often the run was stopped. */
static int stop_each(const scenario *subject, int threads)
{
    uint64_t reference, digest;
    demand(run(subject, threads, 0, &reference) == FML_OK, subject->name, 0, "the call failed");
    /* On several threads the calling one may happen to get no block, and then nobody polls. */
    demand(threads > 1 || polls > 0, subject->name, 0, "it never polls");
    for (int stop_at = 1; stop_at <= MOST_POLLS; stop_at++) {
        fml_status status = run(subject, threads, stop_at, &digest);
        bool stopped = polls >= stop_at;
        demand(shims_live() == 0, subject->name, stop_at, "memory leaked");
        demand(status == (stopped ? FML_INTERRUPTED : FML_OK), subject->name, stop_at,
               "the status is wrong");
        if (!stopped) {
            demand(digest == reference, subject->name, stop_at, "the outputs are wrong");
            return stop_at - 1;
        }
    }
    return MOST_POLLS;
}

int main(void)
{
    scenarios_prepare();
    fml_set_poll(poll);
    for (int s = 0; s < SCENARIO_COUNT; s++) {
        int stops = stop_each(&SCENARIOS[s], 1) + stop_each(&SCENARIOS[s], 2);
        printf("%-24s %4d stops survived\n", SCENARIOS[s].name, stops);
    }
    return EXIT_SUCCESS;
}
