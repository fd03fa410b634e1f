/* X = A U^-1 for upper triangular matrices U: many rows, each by forward substitution
 * (substitution.c), which threads share in chunks.
 *
 * Cost: m n (n + 1) flops for each U; A is read and X written once.
 */
#include "substitution.h"

/* Panels of rows that a thread takes at a time: some 50 microseconds for 32 columns of double. */
enum { CHUNK = 64 };

fml_status FML(solve_right)(ptrdiff_t m, ptrdiff_t n, const real *a, ptrdiff_t row, ptrdiff_t col,
                            ptrdiff_t count, const real *u, real *x, int threads)
{
    const ptrdiff_t rows = CHUNK * COLUMNS, chunks = blocks_of(m, rows), size = n * COLUMNS;
    const int team = fml_clamp_threads(threads, chunks);
    fml_status status = FML_NO_MEMORY;
    if (m == 0 || n == 0)
        return FML_OK;
    const fml_side_by_side sides = {.n = n, .x = a, .x_row = row, .x_col = col};
    systems s;
    real *panels = fml_alloc(team, (size_t)size * sizeof *panels);
    if (!FML(systems_start)(&s, m, &sides, count, u) || !panels)
        goto done;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t chunk = 0; chunk < chunks; chunk++)
        if (!fml_stopped(&watch))
            FML(solve_rows)(&s, chunk * rows, smaller((chunk + 1) * rows, m), false,
                            panels + fml_thread_number() * size, x + chunk * rows * n);
    status = fml_watch_status(&watch);
done:
    fml_free(s.inverse);
    fml_free(panels);
    return status;
}
