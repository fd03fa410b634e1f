/* Rows of data less a shift, packed: see shifted.h. */
#include "shifted.h"

/* Numbers of the rows of a panel: `lanes` of each, `step` apart. */
typedef struct source {
    const real *in;
    ptrdiff_t step, lanes;
} source;

/* A vector of each row, less the shift, times the row's factor. Inlined with constants for what is
 * asked at each row. */
FML_INLINE void shift_rows(source from, ptrdiff_t rows, bool is_whole, const real *shift,
                           const real *scale, real *out)
{
    const vec offset = load(shift);
    for (ptrdiff_t i = 0; i < rows; i++) {
        const real *in = from.in + i * from.step;
        vec moved = (is_whole ? load(in) : load_first(in, from.lanes)) - offset;
        store(out + i * COLUMNS, scale ? moved * scale[i] : moved);
    }
}

static void shift_vectors(source from, ptrdiff_t rows, const real *shift, const real *scale,
                          real *out)
{
    if (from.lanes == LANES && scale)
        shift_rows(from, rows, true, shift, scale, out);
    else if (from.lanes == LANES)
        shift_rows(from, rows, true, shift, NULL, out);
    else
        shift_rows(from, rows, false, shift, scale, out);
}

/* A column of y, number by number: there are few. */
static void shift_column(const real *y, ptrdiff_t step, ptrdiff_t rows, real shift,
                         const real *scale, real *out)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        real moved = y[i * step] - shift;
        out[i * COLUMNS] = scale ? moved * scale[i] : moved;
    }
}

/* Where x ends zeros are shifted, which makes ones of the last column. */
void FML(pack_shifted)(const shifted *z, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t column,
                       real *panel)
{
    static const real zeros[LANES];
    const ptrdiff_t width = smaller(COLUMNS, z->size - column);
    const ptrdiff_t of_x = column < z->n ? smaller(COLUMNS, z->n - column) : 0;
    const real *x = z->x + first * z->x_row + column * z->x_col;
    const real *scale = z->scale ? z->scale + first : NULL;
    const bool is_direct = z->x_col == 1;
    if (of_x > 0 && !is_direct)
        FML(pack_panel)(COLUMNS, of_x, rows, x, z->x_col, z->x_row, panel);
    for (ptrdiff_t l = 0; l < width; l += LANES) {
        source from = {zeros, 0, LANES};
        if (l < of_x && is_direct)
            from = (source){x + l, z->x_row, smaller(LANES, of_x - l)};
        else if (l < of_x)
            from = (source){panel + l, COLUMNS, LANES};
        shift_vectors(from, rows, z->shift + column + l, scale, panel + l);
    }
    for (ptrdiff_t c = of_x; c < width && column + c < z->n + z->p; c++) {
        ptrdiff_t of_y = column + c - z->n;
        shift_column(z->y + first * z->y_row + of_y * z->y_col, z->y_row, rows,
                     z->shift[column + c], scale, panel + c);
    }
}
