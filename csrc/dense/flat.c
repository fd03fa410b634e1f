/* Few rows by a large matrix, some rows of which are read where they lie.
 *
 * B is used so little that packing it takes as long as the product: 8 x 2000 by 2000 x 2000 of
 * double took 2.1 ms so, and takes 0.7. Cost: 2 m n k flops; B is read once, C k / TERMS times from
 * the second-level cache.
 */
#include "dense.h"

/* Rows of B side by side. 8 and 32 take up to 1.3 and 1.8 times as long. */
enum { TERMS = 16 };
/* Tiles of these rows that are fetched ahead, a third to a half of the time. */
enum { TILES_AHEAD = 4 };
/* Bytes of a strip of C, which stays in a second-level cache. */
enum { STRIP_BYTES = 1 << 18 };

/* Asks for the part of a row that a later tile reads, if there is such memory. */
FML_INLINE void fetch_ahead(const real *row)
{
    uintptr_t at = (uintptr_t)row + TILES_AHEAD * COLUMNS * sizeof(real);
    for (ptrdiff_t j = 0; j < COLUMNS; j += CACHE_LINE)
        __builtin_prefetch((const void *)(at + (uintptr_t)j * sizeof(real)));
}

/* Columns `column` and on of a tile: k terms from `start` on. */
static void multiply_tiles(const product *x, ptrdiff_t start, ptrdiff_t k, ptrdiff_t column,
                           ptrdiff_t columns)
{
    real panel[TERMS * COLUMNS] __attribute__((aligned(FML_VECTOR_BYTES)));
    const real *a = x->a + start * x->a_col, *b = at_b(x, start, column);
    ptrdiff_t b_row = x->b_row;
    for (ptrdiff_t p = 0; p < k; p++)
        fetch_ahead(b + p * b_row);
    if (!FML_MASKS && columns % LANES != 0) {
        FML(pack_columns)(x, start, k, column, columns, panel);
        b = panel;
        b_row = COLUMNS;
    }
    for (ptrdiff_t i = 0; i < x->m; i += ROWS) {
        ptrdiff_t rows = smaller(ROWS, x->m - i);
        FML(tile)(rows, columns)(k, a + i * x->a_row, x->a_row, x->a_col, b, b_row,
                                 last_lanes(columns), x->c + i * x->c_row + column, x->c_row,
                                 writing_of(x, start));
    }
}

void FML(multiply_flat)(const product *x)
{
    const ptrdiff_t numbers = STRIP_BYTES / (ptrdiff_t)sizeof(real);
    const ptrdiff_t strip = fml_blocks_of(numbers / x->m, COLUMNS) * COLUMNS;
    for (ptrdiff_t first = 0; first < x->n; first += strip) {
        ptrdiff_t end = smaller(first + strip, x->n);
        for (ptrdiff_t start = 0; start < x->k; start += TERMS)
            for (ptrdiff_t column = first; column < end; column += COLUMNS)
                multiply_tiles(x, start, smaller(TERMS, x->k - start), column,
                               smaller(COLUMNS, end - column));
    }
}
