/* Forward substitution: rows are brought side by side, one in each lane of the vectors, as pack.c
 * does for products; some columns at a time take what the earlier ones contribute.
 *
 * Backward stable row by row (Higham, Accuracy and Stability of Numerical Algorithms, 2002, theorem
 * 8.5), which the product with an inverse of U is not. Several triangles are solved with while a
 * row is in cache. Cost: n (n + 1) flops for each row and U.
 */
#include "substitution.h"

/* Columns that are solved for at a time: their sums stay in registers, of which AVX-512 has twice
 * as many (32 columns: 500 ns for 16 rows where the compiler kept sums in memory, 135 with 4, 125
 * with 8, which is the peak). */
enum { BLOCK = FML_MASKS ? 8 : 4 };
/* Rows are fetched so many numbers before they are read and written, since the CPU does not see all
 * of them coming: 1,000,000 x 32 took 72 ms, and take 30. */
enum { AHEAD_NUMBERS = 512 };

/* Columns j .. j + count - 1 of the panel, whose column i is panel[i * COLUMNS ..]. Inlined with a
 * constant for `count`. */
FML_INLINE void solve_columns(ptrdiff_t count, ptrdiff_t n, ptrdiff_t j, const real *u,
                              const real *inverse, real *panel)
{
    vec sums[BLOCK][VECTORS];
#pragma GCC unroll 8
    for (ptrdiff_t c = 0; c < count; c++)
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++)
            sums[c][v] = load(panel + (j + c) * COLUMNS + v * LANES);
    for (ptrdiff_t i = 0; i < j; i++) {
        vec x[VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++)
            x[v] = load(panel + i * COLUMNS + v * LANES);
#pragma GCC unroll 8
        for (ptrdiff_t c = 0; c < count; c++)
#pragma GCC unroll 2
            for (int v = 0; v < VECTORS; v++)
                sums[c][v] -= u[i * n + j + c] * x[v];
    }
#pragma GCC unroll 8
    for (ptrdiff_t c = 0; c < count; c++)
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++) {
            sums[c][v] *= inverse[j + c];
            store(panel + (j + c) * COLUMNS + v * LANES, sums[c][v]);
#pragma GCC unroll 8
            for (ptrdiff_t d = c + 1; d < count; d++)
                sums[d][v] -= u[(j + c) * n + j + d] * sums[c][v];
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

#if FML_SHUFFLES && FML_MASKS

/* Half a vector of columns of COLUMNS lanes, all of which turn at once. */
static void unpack_halves(ptrdiff_t n, const real *panel, real *out)
{
    vec rows[LANES];
#pragma GCC unroll 64
    for (ptrdiff_t i = 0; i < LANES; i++)
        rows[i] = load(panel + i % (LANES / 2) * COLUMNS + i / (LANES / 2) * LANES);
    transpose_vectors(rows, LANES);
#pragma GCC unroll 64
    for (ptrdiff_t l = 0; l < LANES; l++) {
        _mm256_storeu_si256((__m256i *)(out + l * n), _mm512_castsi512_si256((__m512i)rows[l]));
        _mm256_storeu_si256((__m256i *)(out + (LANES + l) * n),
                            _mm512_extracti64x4_epi64((__m512i)rows[l], 1));
    }
}

#endif

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
#if FML_MASKS
    if (lanes == COLUMNS && n - whole == LANES / 2) {
        unpack_halves(n, panel + whole * COLUMNS, out + whole);
        return;
    }
#endif
#endif
    unpack_rest(lanes, n, whole, panel, out);
}

bool FML(systems_start)(systems *s, ptrdiff_t m, const fml_side_by_side *sides, ptrdiff_t count,
                        const real *u)
{
    const ptrdiff_t unit = sizeof(real), n = sides->n;
    real *inverse = fml_alloc(n, (size_t)count * sizeof *inverse);
    *s = (systems){.m = m,
                   .n = n,
                   .p = sides->p,
                   .width = n + sides->p,
                   .count = count,
                   .a = sides->x,
                   .b = sides->y,
                   .a_row = sides->x_row / unit,
                   .a_col = sides->x_col / unit,
                   .b_row = sides->y_row / unit,
                   .b_col = sides->y_col / unit,
                   .u = u,
                   .inverse = inverse,
                   .ahead = fml_blocks_of(AHEAD_NUMBERS, COLUMNS * (n + sides->p)) * COLUMNS};
    for (ptrdiff_t i = 0; inverse && i < count; i++)
        for (ptrdiff_t j = 0; j < n; j++)
            inverse[i * n + j] = 1 / u[(i * n + j) * n + j];
    return inverse != NULL;
}

static void fetch_rows(const systems *s, ptrdiff_t first, const real *out)
{
    const ptrdiff_t n = s->n, soon = s->ahead * n;
    const ptrdiff_t later = smaller(s->ahead + COLUMNS, s->m - first) * n;
    if (s->a_col == 1 && s->a_row == n)
        fetch(s->a + first * n, soon, later);
    if (out)
        fetch(out, soon, later);
}

void FML(solve_side_by_side)(const systems *s, ptrdiff_t first, ptrdiff_t lanes, const real *out,
                             real *panel)
{
    const ptrdiff_t n = s->n;
    fetch_rows(s, first, out);
    FML(pack_panel)(COLUMNS, lanes, n, s->a + first * s->a_row, s->a_row, s->a_col, panel);
    for (ptrdiff_t i = 0; i < s->count; i++)
        solve_panel(n, s->u + i * n * n, s->inverse + i * n, panel);
    if (s->p > 0)
        FML(pack_panel)(COLUMNS, lanes, s->p, s->b + first * s->b_row, s->b_row, s->b_col,
                        panel + n * COLUMNS);
}

void FML(solve_rows)(const systems *s, ptrdiff_t first, ptrdiff_t end, bool is_cached, real *panel,
                     real *out)
{
    const ptrdiff_t n = s->width;
    for (; first < end; first += COLUMNS, out += COLUMNS * n) {
        ptrdiff_t lanes = smaller(COLUMNS, end - first);
        FML(solve_side_by_side)(s, first, lanes, is_cached ? NULL : out, panel);
        unpack(lanes, n, panel, out);
    }
}
