/* Products whose A fits a cache: it is read where it lies, B too where that serves.
 *
 * Cost: 2 m n k flops; a panel of B is read m / ROWS times from the first-level cache, A n /
 * COLUMNS times from the second. On Zen 5 it keeps 95 % of the peak up to 512 rows and columns.
 */
#include "dense.h"

/* From this many rows on a copy of a panel of B is worth its cost. */
enum { ROWS_FOR_PANEL = 256 };
/* The last columns are narrow where they fill at most a quarter of a vector: such a vector then
 * holds so many of their terms. */
enum { TOGETHER = 4, NARROW = LANES / TOGETHER };
/* Rows of A and terms from which on that is worth its cost: the last terms are padded to a whole
 * vector. */
enum { LEAST_ROWS = 32, LEAST_TERMS = 2 * LANES < 32 ? 32 : 2 * LANES };

static bool needs_panel(const product *x, ptrdiff_t columns)
{
    if (x->expanded || x->b_col != 1 || x->m >= ROWS_FOR_PANEL)
        return true;
    return !FML_MASKS && columns % LANES != 0;
}

/* Whether of so many columns that are left all but the first COLUMNS are narrow. Those of products
 * that are cut into parts are not, nor where these are one of a stack: all have the same sums. */
static bool is_narrow_beyond(const product *x, ptrdiff_t left)
{
    return FML_MASKS && FML_SHUFFLES && left > COLUMNS && left <= COLUMNS + NARROW &&
           x->first_column == 0 && x->a_col == 1 && !x->expanded && x->triangle == 0 &&
           x->m >= LEAST_ROWS && x->k >= LEAST_TERMS && work_of(x) < FML_THREAD_WORK;
}

/* Columns of the tiles from `column` on. */
static ptrdiff_t panel_columns(const product *x, ptrdiff_t column)
{
    ptrdiff_t left = x->n - column;
    if (is_narrow_beyond(x, left))
        return COLUMNS;
    if (left <= MOST_VECTORS * LANES && !needs_panel(x, left))
        return left;
    return smaller(COLUMNS, left);
}

/* Rows of a tile where so many are left: the last two are alike, since one of few rows waits for
 * its sums. */
static ptrdiff_t tile_rows(ptrdiff_t left)
{
    return left > ROWS && left < 2 * ROWS ? fml_blocks_of(left, 2) : smaller(ROWS, left);
}

/* Columns of a tile that ends with row `row`: whole vectors, as many as hold what is asked for. */
static ptrdiff_t wanted_columns(const product *x, ptrdiff_t row, ptrdiff_t column,
                                ptrdiff_t columns)
{
    if (x->triangle == 0)
        return columns;
    ptrdiff_t wanted = (x->first_row + row + 1) * x->triangle - x->first_column - column;
    return smaller(columns, fml_blocks_of(wanted, LANES) * LANES);
}

/* Columns of C from `column` on, k terms from `start` on. */
static void multiply_panel(const product *x, ptrdiff_t column, ptrdiff_t columns, ptrdiff_t start,
                           ptrdiff_t k, ahead *soon)
{
    real panel[BLOCK_K * COLUMNS] __attribute__((aligned(FML_VECTOR_BYTES)));
    const real *b = at_b(x, start, column);
    ptrdiff_t b_row = x->b_row;
    if (needs_panel(x, columns)) {
        FML(pack_columns)(x, start, k, column, columns, panel);
        b = panel;
        b_row = COLUMNS;
    }
    const real *a = x->a + start * x->a_col;
    real *c = x->c + column;
    for (ptrdiff_t i = 0, rows; i < x->m; i += rows) {
        rows = tile_rows(x->m - i);
        if (!is_wanted(x, i + rows - 1, column))
            continue;
        if (soon)
            fetch_piece(soon);
        ptrdiff_t wide = wanted_columns(x, i + rows - 1, column, columns);
        FML(tile)(rows, wide)(k, a + i * x->a_row, x->a_row, x->a_col, b, b_row, last_lanes(wide),
                              c + i * x->c_row, x->c_row, writing_of(x, start));
    }
}

#if FML_MASKS && FML_SHUFFLES

/* Rows of narrow columns side by side, with zeros up to whole vectors. */
static void pack_narrow(const product *x, ptrdiff_t column, ptrdiff_t start, ptrdiff_t k, real *out)
{
    ptrdiff_t columns = x->n - column;
    const real *b = at_b(x, start, column);
    for (ptrdiff_t p = 0; p < k && x->b_col == 1; p++)
        store_first(out + p * NARROW, load_first(b + p * x->b_row, columns), NARROW);
    for (ptrdiff_t p = 0; p < k && x->b_col != 1; p++)
        for (ptrdiff_t j = 0; j < NARROW; j++)
            out[p * NARROW + j] = j < columns ? b[p * x->b_row + j * x->b_col] : 0;
    for (ptrdiff_t l = k * NARROW; l % (LANES * NARROW) != 0; l++)
        out[l] = 0;
}

/* Sums of the quarters of a vector, in the first one. */
FML_INLINE vec add_quarters(vec sum)
{
    lane_numbers half, quarter;
    for (int l = 0; l < LANES; l++) {
        half[l] = (lane_number)((l + 2 * NARROW) % LANES);
        quarter[l] = (lane_number)((l + NARROW) % LANES);
    }
    sum += __builtin_shuffle(sum, half);
    return sum + __builtin_shuffle(sum, quarter);
}

/* Some rows of narrow columns. */
FML_INLINE void multiply_narrow_rows(int rows, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                                     const vec *b, ptrdiff_t columns, real *c, ptrdiff_t c_row,
                                     bool add)
{
    lane_numbers from[NARROW]; /* of A, for each vector of B */
    vec sums[ROWS];
    for (int q = 0; q < NARROW; q++)
        for (int l = 0; l < LANES; l++)
            from[q][l] = (lane_number)(q * TOGETHER + l / NARROW);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
        sums[i] = (vec){0};
    for (ptrdiff_t p = 0; p < k; p += LANES, a += LANES, b += NARROW)
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const real *row = a + i * a_row;
            vec numbers = k - p >= LANES ? load(row) : load_first(row, k - p);
#pragma GCC unroll 8
            for (int q = 0; q < NARROW; q++)
                sums[i] += __builtin_shuffle(numbers, from[q]) * b[q];
        }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++, c += c_row) {
        vec sum = add_quarters(sums[i]);
        store_first(c, add ? load_first(c, columns) + sum : sum, columns);
    }
}

/* Narrow columns of C, k terms from `start` on: 65 to 100 columns of float in 0.94 of the time. */
static void multiply_narrow(const product *x, ptrdiff_t column, ptrdiff_t start, ptrdiff_t k,
                            ahead *soon)
{
    vec panel[BLOCK_K / TOGETHER];
    ptrdiff_t columns = x->n - column, row = x->a_row;
    const real *a = x->a + start;
    real *c = x->c + column;
    bool add = x->add || start > 0;
    pack_narrow(x, column, start, k, (real *)panel);
    for (ptrdiff_t i = 0; i < x->m; i += ROWS, a += ROWS * row, c += ROWS * x->c_row) {
        if (soon)
            fetch_piece(soon);
        if (x->m - i >= ROWS)
            multiply_narrow_rows(ROWS, k, a, row, panel, columns, c, x->c_row, add);
        else
            for (ptrdiff_t r = 0; r < x->m - i; r++)
                multiply_narrow_rows(1, k, a + r * row, row, panel, columns, c + r * x->c_row, 0,
                                     add);
    }
}

#else

static void multiply_narrow(const product *x, ptrdiff_t column, ptrdiff_t start, ptrdiff_t k,
                            ahead *soon)
{
    multiply_panel(x, column, x->n - column, start, k, soon);
}

#endif

ptrdiff_t FML(direct_tiles)(const product *x)
{
    ptrdiff_t panels = 0;
    for (ptrdiff_t column = 0; column < x->n; column += panel_columns(x, column))
        panels++;
    return panels * fml_blocks_of(x->m, ROWS) * fml_blocks_of(x->k, BLOCK_K);
}

void FML(multiply_direct)(const product *x, ahead *soon)
{
    for (ptrdiff_t start = 0; start < x->k; start += BLOCK_K)
        for (ptrdiff_t column = 0, columns; column < x->n; column += columns) {
            ptrdiff_t k = smaller(BLOCK_K, x->k - start), left = x->n - column;
            columns = panel_columns(x, column);
            if (column > 0 && is_narrow_beyond(x, COLUMNS + left))
                multiply_narrow(x, column, start, k, soon);
            else
                multiply_panel(x, column, columns, start, k, soon);
        }
}
