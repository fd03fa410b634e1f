/* X U = A for an upper triangular matrix U: many rows, each by forward substitution.
 *
 * Rows are brought side by side, one in each lane of the vectors, as pack.c does for products; four
 * columns at a time take what the earlier ones contribute. Backward stable row by row (Higham,
 * Accuracy and Stability of Numerical Algorithms, 2002, theorem 8.5), which the product with an
 * inverse of U is not. Cost: m n (n + 1) flops; A is read and X written once.
 */
#include "dense.h"

enum { BLOCK = 4 };
/* Panels of rows that a thread takes at a time: some 50 microseconds for 32 columns of double. */
enum { CHUNK = 64 };

/* Columns j .. j + count - 1 of the panel, whose column i is panel[i * COLUMNS ..]. Inlined with a
 * constant for `count`. */
FML_INLINE void solve_columns(ptrdiff_t count, ptrdiff_t n, ptrdiff_t j, const real *u,
                              const real *inverse, real *panel)
{
    vec sums[BLOCK][VECTORS];
    for (ptrdiff_t c = 0; c < count; c++)
        for (int v = 0; v < VECTORS; v++)
            sums[c][v] = load(panel + (j + c) * COLUMNS + v * LANES);
    for (ptrdiff_t i = 0; i < j; i++) {
        vec x[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            x[v] = load(panel + i * COLUMNS + v * LANES);
        for (ptrdiff_t c = 0; c < count; c++)
            for (int v = 0; v < VECTORS; v++)
                sums[c][v] -= u[i * n + j + c] * x[v];
    }
    for (ptrdiff_t c = 0; c < count; c++)
        for (int v = 0; v < VECTORS; v++) {
            for (ptrdiff_t d = 0; d < c; d++)
                sums[c][v] -= u[(j + d) * n + j + c] * sums[d][v];
            sums[c][v] *= inverse[j + c];
            store(panel + (j + c) * COLUMNS + v * LANES, sums[c][v]);
        }
}

static void solve_panel(ptrdiff_t n, const real *u, const real *inverse, real *panel)
{
    ptrdiff_t j = 0;
    for (; j + BLOCK <= n; j += BLOCK)
        solve_columns(BLOCK, n, j, u, inverse, panel);
    for (; j < n; j++)
        solve_columns(1, n, j, u, inverse, panel);
}

/* Element p of lane l to out[l * n + p], one by one from column `start` on. */
static void unpack_rest(ptrdiff_t lanes, ptrdiff_t n, ptrdiff_t start, const real *panel, real *out)
{
    for (ptrdiff_t l = 0; l < lanes; l++)
        for (ptrdiff_t p = start; p < n; p++)
            out[l * n + p] = panel[p * COLUMNS + l];
}

static void unpack(ptrdiff_t lanes, ptrdiff_t n, const real *panel, real *out)
{
    ptrdiff_t whole = FML_SHUFFLES ? n / LANES * LANES : 0;
#if FML_SHUFFLES
    for (ptrdiff_t p = 0; p < whole; p += LANES)
        for (ptrdiff_t l = 0; l < lanes; l += LANES) {
            vec rows[LANES];
            for (ptrdiff_t i = 0; i < LANES; i++)
                rows[i] = load(panel + (p + i) * COLUMNS + l);
            transpose_vectors(rows, LANES);
            for (ptrdiff_t i = 0; i < smaller(LANES, lanes - l); i++)
                store(out + (l + i) * n + p, rows[i]);
        }
#endif
    unpack_rest(lanes, n, whole, panel, out);
}

fml_status FML(solve_right)(ptrdiff_t m, ptrdiff_t n, const real *a, ptrdiff_t row, ptrdiff_t col,
                            const real *u, real *x, int threads)
{
    const ptrdiff_t a_row = row / (ptrdiff_t)sizeof(real), a_col = col / (ptrdiff_t)sizeof(real);
    const ptrdiff_t panels = blocks_of(m, COLUMNS), chunks = blocks_of(panels, CHUNK);
    const int team = fml_clamp_threads(threads, chunks);
    if (m == 0 || n == 0)
        return FML_OK;
    real *scratch = fml_alloc(n, ((size_t)team * COLUMNS + 1) * sizeof *scratch);
    if (!scratch)
        return FML_NO_MEMORY;
    real *inverse = scratch + team * n * COLUMNS;
    for (ptrdiff_t j = 0; j < n; j++)
        inverse[j] = 1 / u[j * n + j];
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t chunk = 0; chunk < chunks; chunk++) {
        real *panel = scratch + fml_thread_number() * n * COLUMNS;
        if (fml_stopped(&watch))
            continue;
        for (ptrdiff_t p = chunk * CHUNK; p < smaller((chunk + 1) * CHUNK, panels); p++) {
            ptrdiff_t first = p * COLUMNS, lanes = smaller(COLUMNS, m - first);
            FML(pack_panel)(COLUMNS, lanes, n, a + first * a_row, a_row, a_col, panel);
            solve_panel(n, u, inverse, panel);
            unpack(lanes, n, panel, x + first * n);
        }
    }
    fml_free(scratch);
    return fml_watch_status(&watch);
}
