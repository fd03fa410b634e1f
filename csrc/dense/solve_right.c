/* X = A U^-1 for upper triangular matrices U: many rows, each by forward substitution; and the Gram
 * matrix of such an X that is nowhere stored.
 *
 * Rows are brought side by side, one in each lane of the vectors, as pack.c does for products; some
 * columns at a time take what the earlier ones contribute. Backward stable row by row (Higham,
 * Accuracy and Stability of Numerical Algorithms, 2002, theorem 8.5), which the product with an
 * inverse of U is not. Several triangles are solved with while a row is in cache. Cost: m n (n + 1)
 * flops for each U, and as many for the Gram matrix; A is read and X written once.
 */
#include "dense.h"

/* Columns that are solved for at a time: their sums stay in registers, of which AVX-512 has twice
 * as many (32 columns: 500 ns for 16 rows where the compiler kept sums in memory, 135 with 4, 125
 * with 8, which is the peak). */
enum { BLOCK = FML_MASKS ? 8 : 4 };
/* Panels of rows that a thread takes at a time: some 50 microseconds for 32 columns of double. */
enum { CHUNK = 64 };
/* Rows are fetched so many numbers before they are read and written, since the CPU does not see all
 * of them coming: 1,000,000 x 32 took 72 ms, and take 30. */
enum { AHEAD_NUMBERS = 512 };
/* Numbers of X that are multiplied while they are in the second-level cache: 256 KB of double. */
enum { BLOCK_NUMBERS = 1 << 15 };
/* Columns so few that their products are summed in the lanes of panels that stay in the first-level
 * cache, 16 KB of double; in tiles that fit the registers. */
enum { FEW = 32, FEW_NUMBERS = 1 << 11, HIGH = 4, WIDE = FML_MASKS ? 4 : 2 };
/* Rows whose products one thread adds up, at least, and the most parts that they make. */
enum { PART_ROWS = 4096, MOST_PARTS = 64 };

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

/* Rows of X = A U_1^-1 U_2^-1 ..., for so many upper triangles. */
typedef struct systems {
    ptrdiff_t n, count;
    const real *a;
    ptrdiff_t a_row, a_col;
    const real *u, *inverse; /* count (n, n), and the inverses of their diagonals */
} systems;

/* Asks for the rows that are read some panels later, and for where they go, unless `out` is NULL.
 */
static void fetch_rows(const systems *s, ptrdiff_t first, ptrdiff_t end, const real *out)
{
    const ptrdiff_t n = s->n, distance = blocks_of(AHEAD_NUMBERS, COLUMNS * n) * COLUMNS;
    const ptrdiff_t soon = distance * n, later = smaller(distance + COLUMNS, end - first) * n;
    if (s->a_col == 1 && s->a_row == n)
        fetch(s->a + first * n, soon, later);
    if (out)
        fetch(out, soon, later);
}

/* Solves for so many rows, side by side in the panel. */
static void solve_side_by_side(const systems *s, ptrdiff_t first, ptrdiff_t lanes, real *panel)
{
    const ptrdiff_t n = s->n;
    FML(pack_panel)(COLUMNS, lanes, n, s->a + first * s->a_row, s->a_row, s->a_col, panel);
    for (ptrdiff_t i = 0; i < s->count; i++)
        solve_panel(n, s->u + i * n * n, s->inverse + i * n, panel);
}

/* Solves for rows first .. end - 1, whose first goes to `out`. */
static void solve_rows(const systems *s, ptrdiff_t first, ptrdiff_t end, bool is_cached,
                       real *panel, real *out)
{
    const ptrdiff_t n = s->n;
    for (; first < end; first += COLUMNS, out += COLUMNS * n) {
        ptrdiff_t lanes = smaller(COLUMNS, end - first);
        fetch_rows(s, first, end, is_cached ? NULL : out);
        solve_side_by_side(s, first, lanes, panel);
        unpack(lanes, n, panel, out);
    }
}

static void invert_diagonals(ptrdiff_t count, ptrdiff_t n, const real *u, real *inverse)
{
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t j = 0; j < n; j++)
            inverse[i * n + j] = 1 / u[(i * n + j) * n + j];
}

fml_status FML(solve_right)(ptrdiff_t m, ptrdiff_t n, const real *a, ptrdiff_t row, ptrdiff_t col,
                            ptrdiff_t count, const real *u, real *x, int threads)
{
    const ptrdiff_t rows = CHUNK * COLUMNS, chunks = blocks_of(m, rows);
    const int team = fml_clamp_threads(threads, chunks);
    if (m == 0 || n == 0)
        return FML_OK;
    real *scratch = fml_alloc(n, ((size_t)team * COLUMNS + (size_t)count) * sizeof *scratch);
    if (!scratch)
        return FML_NO_MEMORY;
    real *inverse = scratch + team * n * COLUMNS;
    const systems s = {n, count,  a, row / (ptrdiff_t)sizeof(real), col / (ptrdiff_t)sizeof(real),
                       u, inverse};
    invert_diagonals(count, n, u, inverse);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t chunk = 0; chunk < chunks; chunk++)
        if (!fml_stopped(&watch))
            solve_rows(&s, chunk * rows, smaller((chunk + 1) * rows, m), false,
                       scratch + fml_thread_number() * n * COLUMNS, x + chunk * rows * n);
    fml_free(scratch);
    return fml_watch_status(&watch);
}

/* Rows of X at a time, at least one panel: they stay in the second-level cache, or the first. */
static ptrdiff_t block_rows(ptrdiff_t n)
{
    ptrdiff_t panels = (n <= FEW ? FEW_NUMBERS : BLOCK_NUMBERS) / n / COLUMNS;
    return (panels > 0 ? panels : 1) * COLUMNS;
}

/* Adds to sums[(r * n + c) * LANES ..] the products, lane by lane, of columns r < high of x and
 * c < wide of y, in so many panels. Inlined with constants. */
FML_INLINE void add_tile(ptrdiff_t high, ptrdiff_t wide, ptrdiff_t panels, ptrdiff_t n,
                         const real *x, const real *y, real *sums)
{
    vec tile[HIGH][WIDE];
#pragma GCC unroll 4
    for (ptrdiff_t r = 0; r < high; r++)
#pragma GCC unroll 4
        for (ptrdiff_t c = 0; c < wide; c++)
            tile[r][c] = load(sums + (r * n + c) * LANES);
    for (; panels > 0; panels--, x += n * COLUMNS, y += n * COLUMNS)
#pragma GCC unroll 2
        for (ptrdiff_t v = 0; v < COLUMNS; v += LANES) {
            vec right[WIDE];
#pragma GCC unroll 4
            for (ptrdiff_t c = 0; c < wide; c++)
                right[c] = load(y + c * COLUMNS + v);
#pragma GCC unroll 4
            for (ptrdiff_t r = 0; r < high; r++) {
                vec left = load(x + r * COLUMNS + v);
#pragma GCC unroll 4
                for (ptrdiff_t c = 0; c < wide; c++)
                    tile[r][c] += left * right[c];
            }
        }
#pragma GCC unroll 4
    for (ptrdiff_t r = 0; r < high; r++)
#pragma GCC unroll 4
        for (ptrdiff_t c = 0; c < wide; c++)
            store(sums + (r * n + c) * LANES, tile[r][c]);
}

/* Adds the products of columns row .. of the panels and those up to the diagonal. */
static void add_tiles(ptrdiff_t panels, ptrdiff_t n, const real *x, real *sums)
{
    for (ptrdiff_t r = 0; r < n; r += HIGH)
        for (ptrdiff_t c = 0; c < n && c < r + HIGH; c += WIDE) {
            const real *left = x + r * COLUMNS, *right = x + c * COLUMNS;
            real *tile = sums + (r * n + c) * LANES;
            if (r + HIGH <= n && c + WIDE <= n)
                add_tile(HIGH, WIDE, panels, n, left, right, tile);
            else
                for (ptrdiff_t i = 0; i < smaller(HIGH, n - r); i++)
                    for (ptrdiff_t j = 0; j < smaller(WIDE, n - c); j++)
                        add_tile(1, 1, panels, n, left + i * COLUMNS, right + j * COLUMNS,
                                 tile + (i * n + j) * LANES);
        }
}

/* The sums of the products of few columns of rows first .. end - 1, which never leave the panels:
 * 16 rows of 8 take 55 ns where they were laid out again for a product, 86. */
static void add_few(const systems *s, ptrdiff_t first, ptrdiff_t end, real *panels, real *lanes,
                    real *sums)
{
    const ptrdiff_t n = s->n, step = block_rows(n);
    memset(lanes, 0, (size_t)(n * n * LANES) * sizeof *lanes);
    for (; first < end; first += step) {
        ptrdiff_t rows = smaller(step, end - first), count = blocks_of(rows, COLUMNS);
        for (ptrdiff_t p = 0; p < count; p++) {
            ptrdiff_t start = p * COLUMNS, used = smaller(COLUMNS, rows - start);
            real *panel = panels + start * n;
            fetch_rows(s, first + start, end, NULL);
            solve_side_by_side(s, first + start, used, panel);
            for (ptrdiff_t c = 0; used < COLUMNS && c < n; c++)
                memset(panel + c * COLUMNS + used, 0, (size_t)(COLUMNS - used) * sizeof *panel);
        }
        add_tiles(count, n, panels, lanes);
    }
    for (ptrdiff_t e = 0; e < n * n; e++) {
        sums[e] = 0;
        for (ptrdiff_t l = 0; l < LANES; l++)
            sums[e] += lanes[e * LANES + l];
    }
}

/* The sums of the products of any number of columns of rows first .. end - 1, block by block. */
static void add_many(const systems *s, ptrdiff_t first, ptrdiff_t end, real *block, real *panel,
                     real *sums)
{
    const ptrdiff_t n = s->n, step = block_rows(n), unit = sizeof(real);
    memset(sums, 0, (size_t)(n * n) * sizeof *sums);
    for (; first < end; first += step) {
        ptrdiff_t rows = smaller(step, end - first);
        solve_rows(s, first, first + rows, true, panel, block);
        product y = FML(gram_product)(rows, n, block, n * unit, unit, 1, sums);
        y.add = true;
        FML(multiply_small)(&y);
    }
}

fml_status FML(solved_gram)(ptrdiff_t m, ptrdiff_t n, const real *a, ptrdiff_t row, ptrdiff_t col,
                            ptrdiff_t count, const real *u, real *gram, int threads)
{
    memset(gram, 0, (size_t)(n * n) * sizeof *gram);
    if (m == 0 || n == 0)
        return FML_OK;
    const ptrdiff_t step = block_rows(n), size = n * n;
    const ptrdiff_t most = blocks_of(m, MOST_PARTS), least = most > PART_ROWS ? most : PART_ROWS;
    const ptrdiff_t rows = blocks_of(least, step) * step, parts = blocks_of(m, rows);
    const int team = fml_clamp_threads(threads, parts);
    fml_status status = FML_NO_MEMORY;
    real *sums = fml_alloc(parts, (size_t)size * sizeof *sums);
    const ptrdiff_t each = n * (step + (n <= FEW ? n * LANES : COLUMNS));
    real *scratch = fml_alloc(team, (size_t)each * sizeof *scratch);
    real *inverse = fml_alloc(count, (size_t)n * sizeof *inverse);
    if (!sums || !scratch || !inverse)
        goto done;
    const systems s = {n, count,  a, row / (ptrdiff_t)sizeof(real), col / (ptrdiff_t)sizeof(real),
                       u, inverse};
    invert_diagonals(count, n, u, inverse);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t part = 0; part < parts; part++) {
        real *block = scratch + fml_thread_number() * each;
        if (!fml_stopped(&watch))
            (n <= FEW ? add_few : add_many)(&s, part * rows, smaller((part + 1) * rows, m), block,
                                            block + step * n, sums + part * size);
    }
    status = fml_watch_status(&watch);
    if (status == FML_OK) {
        FML(add_parts)(sums, parts, size);
        memcpy(gram, sums, (size_t)size * sizeof *gram);
        FML(mirror)(gram, n, 1, threads);
    }
done:
    fml_free(inverse);
    fml_free(scratch);
    fml_free(sums);
    return status;
}
