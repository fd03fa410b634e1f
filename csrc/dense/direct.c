/* Products whose A fits a cache: it is read where it lies, B too where that serves.
 *
 * Cost: 2 m n k flops; a panel of B is read m / ROWS times from the first-level cache, A n /
 * COLUMNS times from the second. On Zen 5 it keeps 95 % of the peak up to 512 rows and columns.
 */
#include "dense.h"

/* From this many rows on a copy of a panel of B is worth its cost. */
enum { ROWS_FOR_PANEL = 256 };

static bool needs_panel(const product *x, ptrdiff_t columns)
{
    if (x->expanded || x->b_col != 1 || x->m >= ROWS_FOR_PANEL)
        return true;
    return !FML_MASKS && columns % LANES != 0;
}

/* Columns of the tiles from `column` on. */
static ptrdiff_t panel_columns(const product *x, ptrdiff_t column)
{
    ptrdiff_t left = x->n - column;
    if (left <= MOST_VECTORS * LANES && !needs_panel(x, left))
        return left;
    return smaller(COLUMNS, left);
}

/* Rows of a tile where so many are left: the last two are alike, since one of few rows waits for
 * its sums. */
static ptrdiff_t tile_rows(ptrdiff_t left)
{
    return left > ROWS && left < 2 * ROWS ? blocks_of(left, 2) : smaller(ROWS, left);
}

/* Columns of a tile that ends with row `row`: whole vectors, as many as hold what is asked for. */
static ptrdiff_t wanted_columns(const product *x, ptrdiff_t row, ptrdiff_t column,
                                ptrdiff_t columns)
{
    if (x->triangle == 0)
        return columns;
    ptrdiff_t wanted = (x->first_row + row + 1) * x->triangle - x->first_column - column;
    return smaller(columns, blocks_of(wanted, LANES) * LANES);
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
                              c + i * x->c_row, x->c_row, x->add || start > 0);
    }
}

ptrdiff_t FML(direct_tiles)(const product *x)
{
    ptrdiff_t panels = 0;
    for (ptrdiff_t column = 0; column < x->n; column += panel_columns(x, column))
        panels++;
    return panels * blocks_of(x->m, ROWS) * blocks_of(x->k, BLOCK_K);
}

void FML(multiply_direct)(const product *x, ahead *soon)
{
    for (ptrdiff_t start = 0; start < x->k; start += BLOCK_K)
        for (ptrdiff_t column = 0, columns; column < x->n; column += columns) {
            columns = panel_columns(x, column);
            multiply_panel(x, column, columns, start, smaller(BLOCK_K, x->k - start), soon);
        }
}
