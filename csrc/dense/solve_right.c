/* X = A U^-1 for upper triangular matrices U: many rows, each by forward substitution
 * (substitution.c), which threads share in chunks.
 *
 * Cost: m n (n + 1) flops for each U; A is read and X written once.
 */
#include "../stream.h"
#include "substitution.h"

/* Panels of rows that a thread takes at a time: some 50 microseconds for 32 columns of double. */
enum { CHUNK = 64 };
/* Bytes of rows that are solved for before they are streamed: 1,000,000 x 32 double takes 25 ms
 * for 43 without; 1 and 16 KB take a twentieth longer. */
enum { BLOCK_BYTES = 1 << 12 };
/* Columns from which on that pays: 3 of double took 1.3 times as long. */
enum { LEAST_COLUMNS = 8 };

/* Solves for rows first .. end - 1, in a block of so many rows on their way past the caches. */
static void stream_rows(const systems *s, ptrdiff_t first, ptrdiff_t end, ptrdiff_t step,
                        real *panel, real *block, real *x)
{
    for (; first < end; first += step) {
        const ptrdiff_t rows = smaller(step, end - first);
        FML(solve_rows)(s, first, first + rows, true, panel, block);
        fml_stream(x + first * s->n, block, (size_t)(rows * s->n) * sizeof *x);
    }
    fml_end_stream();
}

fml_status FML(solve_right)(ptrdiff_t m, ptrdiff_t n, const real *a, ptrdiff_t row, ptrdiff_t col,
                            ptrdiff_t count, const real *u, real *x, int threads)
{
    if (m == 0 || n == 0)
        return FML_OK;
    const ptrdiff_t rows = CHUNK * COLUMNS, chunks = fml_blocks_of(m, rows);
    const ptrdiff_t panels = fml_blocks_of(BLOCK_BYTES / (ptrdiff_t)sizeof *x, n * COLUMNS);
    const ptrdiff_t step = panels * COLUMNS, size = n * (COLUMNS + step);
    const bool is_streamed = n >= LEAST_COLUMNS && fml_is_streamed(m * n, sizeof *x);
    const int team = fml_clamp_threads(threads, chunks);
    fml_status status = FML_NO_MEMORY;
    const fml_side_by_side sides = {.n = n, .x = a, .x_row = row, .x_col = col};
    systems s;
    real *spaces = fml_alloc(team, (size_t)size * sizeof *spaces);
    if (!FML(systems_start)(&s, m, &sides, count, u) || !spaces)
        goto done;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t chunk = 0; chunk < chunks; chunk++) {
        const ptrdiff_t first = chunk * rows, end = smaller(first + rows, m);
        real *panel = spaces + fml_thread_number() * size, *block = panel + n * COLUMNS;
        if (fml_stopped(&watch))
            continue;
        if (is_streamed)
            stream_rows(&s, first, end, step, panel, block, x);
        else
            FML(solve_rows)(&s, first, end, false, panel, x + first * n);
    }
    status = fml_watch_status(&watch);
done:
    fml_free(s.inverse);
    fml_free(spaces);
    return status;
}
