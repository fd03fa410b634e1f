/* Gram matrix of rows z = scale (x - shift, y - shift, 1), which are nowhere stored: weights, sums
 * and products of two arrays side by side, of which mean and covariance come without cancellation
 * when the shift is near the mean (T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing
 * the sample variance, The American Statistician 37, 1983).
 *
 * Rows are read once, shifted while they are packed into panels that stay in the first-level cache,
 * and multiplied there by the tiles of matrix products. Sums are double for every type: products of
 * float are added up in float over a panel's rows alone. Threads take parts of the rows, which do
 * not depend on them. Cost: k (n + p + 1)² flops for x (k x n) and y (k x p), whole tiles on the
 * diagonal; x and y are read once.
 */
#include "../kernel.h"
#include "dense.h"

/* Rows of a panel: 16 columns of double take 16 KB of a first-level cache of 48, beside the rows
 * that come next, which are fetched meanwhile: 64 ms for 98 with 256 rows (10 million x 10 double).
 */
enum { PANEL_ROWS = 128 };
/* Rows of a part, at least: 10 columns of double take 0.3 MB, some 30 microseconds. */
enum { PART_ROWS = 4096 };
/* Parts at most, where their sums take much memory: 64 MB, but no fewer than FEW_PARTS. */
enum { MOST_SUMS = 1 << 23, FEW_PARTS = 4 };
/* Rows of a tile that starts at a multiple of them within a panel. */
enum { STEP = COLUMNS % ROWS == 0 ? ROWS : 4 };

/* What z is made of. */
typedef struct columns {
    ptrdiff_t n, p, size; /* of x, of y, of z */
    const real *x, *y, *scale;
    ptrdiff_t x_row, x_col, y_row, y_col;
    const real *shift; /* one for each column of every panel: -1 for the last of z, then zeros */
} columns;

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

/* The columns of z from `column` on, of these rows, side by side. Where x ends, zeros are shifted,
 * which makes ones of the last column. */
static void pack(const columns *z, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t column, real *panel)
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

/* Adds the products of the columns of two panels, from row `row` and column `column` of the sums.
 */
static void add_products(ptrdiff_t size, ptrdiff_t rows, const real *left, ptrdiff_t row,
                         const real *right, ptrdiff_t column, double *sums)
{
    ptrdiff_t wide = smaller(COLUMNS, size - column), end = smaller(row + COLUMNS, size);
    for (ptrdiff_t i = row; i < end; i += STEP) {
        real products[STEP * COLUMNS] __attribute__((aligned(FML_VECTOR_BYTES)));
        ptrdiff_t high = smaller(STEP, end - i);
        if (i + high <= column)
            continue; /* above the diagonal */
        FML(tile)(high, wide)(rows, left + i - row, 1, COLUMNS, right, COLUMNS, last_lanes(wide),
                              products, COLUMNS, false);
        for (ptrdiff_t r = 0; r < high; r++)
            for (ptrdiff_t c = 0; c < wide; c++)
                sums[(i + r) * size + column + c] += (double)products[r * COLUMNS + c];
    }
}

/* Asks for the rows that are packed next, while these are multiplied. */
static void fetch_rows(const columns *z, ptrdiff_t first, ptrdiff_t end)
{
    if (z->x_col == 1 && z->x_row == z->n && z->n <= COLUMNS && first < end)
        fetch(z->x, first * z->x_row, end * z->x_row);
}

/* Adds the products of rows first .. end - 1 to the lower triangle of the sums. */
static void add_rows(const columns *z, ptrdiff_t first, ptrdiff_t end, real *panels, double *sums,
                     fml_watch *watch)
{
    for (; first < end && !fml_stopped(watch); first += PANEL_ROWS) {
        ptrdiff_t rows = smaller(PANEL_ROWS, end - first);
        for (ptrdiff_t column = 0; column < z->size; column += COLUMNS)
            pack(z, first, rows, column, panels + column * PANEL_ROWS);
        fetch_rows(z, first + PANEL_ROWS, smaller(first + 2 * PANEL_ROWS, end));
        for (ptrdiff_t row = 0; row < z->size; row += COLUMNS)
            for (ptrdiff_t column = 0; column <= row; column += COLUMNS)
                add_products(z->size, rows, panels + row * PANEL_ROWS, row,
                             panels + column * PANEL_ROWS, column, sums);
    }
}

/* Adds the sums of the parts pairwise, and mirrors the lower triangle. */
static void add_up(ptrdiff_t size, double *parts, ptrdiff_t count, double *out)
{
    for (ptrdiff_t step = 1; step < count; step *= 2)
        for (ptrdiff_t i = 0; i + step < count; i += 2 * step)
            for (ptrdiff_t e = 0; e < size * size; e++)
                parts[i * size * size + e] += parts[(i + step) * size * size + e];
    for (ptrdiff_t i = 0; i < size; i++)
        for (ptrdiff_t j = 0; j <= i; j++)
            out[i * size + j] = out[j * size + i] = parts[i * size + j];
}

/* Rows of a part: whole panels, and at most so many parts as memory has room for. */
static ptrdiff_t part_rows(ptrdiff_t k, ptrdiff_t size)
{
    ptrdiff_t most = MOST_SUMS / size / size;
    ptrdiff_t rows = blocks_of(k, most > FEW_PARTS ? most : FEW_PARTS);
    return blocks_of(rows > PART_ROWS ? rows : PART_ROWS, PANEL_ROWS) * PANEL_ROWS;
}

fml_status FML(centred_gram)(ptrdiff_t k, const fml_side_by_side *sides, const real *shift,
                             const real *scale, double *out, int threads)
{
    const ptrdiff_t size = sides->n + sides->p + 1, padded = blocks_of(size, COLUMNS) * COLUMNS;
    const ptrdiff_t rows = part_rows(k, size), parts = blocks_of(k, rows);
    const int team = fml_clamp_threads(threads, parts);
    const ptrdiff_t unit = sizeof(real);
    fml_status status = FML_NO_MEMORY;
    memset(out, 0, (size_t)(size * size) * sizeof *out);
    if (k == 0)
        return FML_OK;
    double *sums = fml_alloc(parts, (size_t)(size * size) * sizeof *sums);
    real *panels = fml_alloc(padded, ((size_t)team * PANEL_ROWS + 1) * sizeof *panels);
    if (!sums || !panels)
        goto done;
    real *shifts = panels + team * padded * PANEL_ROWS;
    memset(shifts, 0, (size_t)padded * sizeof *shifts);
    memcpy(shifts, shift, (size_t)(size - 1) * sizeof *shifts);
    shifts[size - 1] = -1;
    const columns z = {.n = sides->n,
                       .p = sides->p,
                       .size = size,
                       .x = sides->x,
                       .y = sides->y,
                       .scale = scale,
                       .x_row = sides->x_row / unit,
                       .x_col = sides->x_col / unit,
                       .y_row = sides->y_row / unit,
                       .y_col = sides->y_col / unit,
                       .shift = shifts};
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t part = 0; part < parts; part++) {
        double *own = sums + part * size * size;
        memset(own, 0, (size_t)(size * size) * sizeof *own);
        add_rows(&z, part * rows, smaller((part + 1) * rows, k),
                 panels + fml_thread_number() * padded * PANEL_ROWS, own, &watch);
    }
    status = fml_watch_status(&watch);
    if (status == FML_OK)
        add_up(size, sums, parts, out);
done:
    fml_free(panels);
    fml_free(sums);
    return status;
}
