/* Gram matrix of rows z = scale (x - shift, y - shift, 1), which are nowhere stored: weights, sums
 * and products of two arrays side by side, of which mean and covariance come without cancellation
 * when the shift is near the mean (T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing
 * the sample variance, The American Statistician 37, 1983).
 *
 * Rows are read once, shifted while they are packed into panels that stay in the first-level cache,
 * and multiplied there by the tiles of matrix products. Sums are double for every type: products of
 * float are added up in float over a panel's rows alone. Threads take parts of the rows, which do
 * not depend on them, and add them up; of many columns, they share one block of packed rows after
 * the other, and take parts of the sums. Cost: k (n + p + 1)² flops for x (k x n) and y (k x p),
 * whole tiles on the diagonal; x and y are read once.
 */
#include "../kernel.h"
#include "dense.h"

/* Rows of a panel that holds all columns: 16 of double take 16 KB of a first-level cache of 48,
 * beside the rows that come next, which are fetched meanwhile: 64 ms for 94 with 256 rows
 * (10 million x 10 double). Of more columns, panels have BLOCK_K rows. */
enum { SINGLE_ROWS = 128 };
/* Rows of a part, at least: 10 columns of double take 0.3 MB, some 30 microseconds. */
enum { PART_ROWS = 4096 };
/* Parts at most, where their sums take much memory: 64 MB, but no fewer than FEW_PARTS. */
enum { MOST_SUMS = 1 << 23, FEW_PARTS = 4 };
/* Columns from which on threads share packed rows: parts would be as fast (0.93 times the time of
 * gram at 250 columns, for 1.03 at 260), but for the memory of their sums. */
enum { WIDE = 256 };
/* Numbers that are packed then, and rows, in steps of a panel of BLOCK_K: some 8 MB of float, and
 * a sum is fetched and written once for up to 4 panels. */
enum { SHARED_SIZE = 1 << 21, SHARED_STEPS = 4 };
/* Rows that are packed from end to end, as many as the CPU can fetch ahead of. */
enum { STRIP_ROWS = 8 };
/* Sums of a task: 192 x 96, which stay in a second-level cache with the panels of a step. */
enum { TASK_ROWS = 192, TASK_COLUMNS = 96 };
/* Rows of a tile that starts at a multiple of them within a panel. */
enum { STEP = COLUMNS % ROWS == 0 ? ROWS : 4 };

/* What z is made of. */
typedef struct columns {
    ptrdiff_t rows, n, p, size, padded; /* columns of x, of y, of z, of its panels */
    const real *x, *y, *scale;
    ptrdiff_t x_row, x_col, y_row, y_col;
    ptrdiff_t depth;   /* rows of a panel */
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

/* Inlined for whole rows of a tile with a constant. */
FML_INLINE void add_rows_of_tile(ptrdiff_t high, ptrdiff_t wide, const real *products,
                                 double *restrict sums, ptrdiff_t size)
{
    for (ptrdiff_t r = 0; r < high; r++)
        for (ptrdiff_t c = 0; c < wide; c++)
            sums[r * size + c] += (double)products[r * COLUMNS + c];
}

FML_INLINE void fetch_sums(ptrdiff_t high, ptrdiff_t wide, const double *sums, ptrdiff_t size)
{
    for (ptrdiff_t r = 0; r < high; r++)
        for (ptrdiff_t c = 0; c < wide; c += 64 / (ptrdiff_t)sizeof *sums)
            __builtin_prefetch(sums + r * size + c);
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
        double *out = sums + i * size + column;
        if (i + high <= column)
            continue; /* above the diagonal */
        fetch_sums(high, wide, out, size);
        FML(tile)(high, wide)(rows, left + i - row, 1, COLUMNS, right, COLUMNS, last_lanes(wide),
                              products, COLUMNS, false);
        if (wide == COLUMNS)
            add_rows_of_tile(high, COLUMNS, products, out, size);
        else
            add_rows_of_tile(high, wide, products, out, size);
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
    for (; first < end && !fml_stopped(watch); first += z->depth) {
        ptrdiff_t rows = smaller(z->depth, end - first);
        for (ptrdiff_t column = 0; column < z->size; column += COLUMNS)
            pack(z, first, rows, column, panels + column * z->depth);
        fetch_rows(z, first + z->depth, smaller(first + 2 * z->depth, end));
        for (ptrdiff_t row = 0; row < z->size; row += COLUMNS)
            for (ptrdiff_t column = 0; column <= row; column += COLUMNS)
                add_products(z->size, rows, panels + row * z->depth, row,
                             panels + column * z->depth, column, sums);
    }
}

/* Adds the sums of the parts pairwise into those of the first. */
static void add_up(ptrdiff_t size, double *parts, ptrdiff_t count)
{
    for (ptrdiff_t step = 1; step < count; step *= 2)
        for (ptrdiff_t i = 0; i + step < count; i += 2 * step)
            for (ptrdiff_t e = 0; e < size * size; e++)
                parts[i * size * size + e] += parts[(i + step) * size * size + e];
}

/* Rows of a part: whole panels, and at most so many parts as memory has room for. */
static ptrdiff_t part_rows(const columns *z)
{
    ptrdiff_t most = MOST_SUMS / z->size / z->size;
    ptrdiff_t rows = blocks_of(z->rows, most > FEW_PARTS ? most : FEW_PARTS);
    return blocks_of(rows > PART_ROWS ? rows : PART_ROWS, z->depth) * z->depth;
}

/* Threads take parts of the rows. */
static fml_status add_parts(const columns *z, double *out, int threads)
{
    const ptrdiff_t rows = part_rows(z), parts = blocks_of(z->rows, rows);
    const ptrdiff_t panels_size = z->padded * z->depth, square = z->size * z->size;
    const int team = fml_clamp_threads(threads, parts);
    fml_status status = FML_NO_MEMORY;
    double *sums = fml_alloc(parts, (size_t)square * sizeof *sums);
    real *panels = fml_alloc(team, (size_t)panels_size * sizeof *panels);
    if (!sums || !panels)
        goto done;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t part = 0; part < parts; part++) {
        double *own = sums + part * square;
        memset(own, 0, (size_t)square * sizeof *own);
        add_rows(z, part * rows, smaller((part + 1) * rows, z->rows),
                 panels + fml_thread_number() * panels_size, own, &watch);
    }
    status = fml_watch_status(&watch);
    if (status == FML_OK) {
        add_up(z->size, sums, parts);
        memcpy(out, sums, (size_t)square * sizeof *out);
    }
done:
    fml_free(panels);
    fml_free(sums);
    return status;
}

/* All columns of some rows, into the panels of their step. */
static void pack_strip(const columns *z, ptrdiff_t first, ptrdiff_t row, ptrdiff_t rows,
                       real *panels)
{
    real *out = panels + row / BLOCK_K * BLOCK_K * z->padded + row % BLOCK_K * COLUMNS;
    for (ptrdiff_t column = 0; column < z->size; column += COLUMNS)
        pack(z, first + row, rows, column, out + column * BLOCK_K);
}

/* Adds the products of packed rows to a task's sums. */
static void add_task(const columns *z, ptrdiff_t rows, const real *panels, ptrdiff_t row,
                     ptrdiff_t column, double *sums)
{
    ptrdiff_t row_end = smaller(row + TASK_ROWS, z->size);
    ptrdiff_t column_end = smaller(column + TASK_COLUMNS, row_end);
    for (ptrdiff_t first = 0; first < rows; first += BLOCK_K, panels += BLOCK_K * z->padded)
        for (ptrdiff_t j = column; j < column_end; j += COLUMNS)
            for (ptrdiff_t i = j > row ? j : row; i < row_end; i += COLUMNS)
                add_products(z->size, smaller(BLOCK_K, rows - first), panels + i * BLOCK_K, i,
                             panels + j * BLOCK_K, j, sums);
}

/* Within a team: everything that the packed rows take part in. */
static void add_packed(const columns *z, ptrdiff_t first, ptrdiff_t rows, real *panels, double *out,
                       fml_watch *watch)
{
    const ptrdiff_t strip = z->x_col == 1 ? STRIP_ROWS : BLOCK_K;
    const ptrdiff_t across = blocks_of(z->size, TASK_COLUMNS);
    const ptrdiff_t tasks = blocks_of(z->size, TASK_ROWS) * across;
#pragma omp for schedule(static)
    for (ptrdiff_t row = 0; row < rows; row += strip)
        pack_strip(z, first, row, smaller(strip, rows - row), panels);
#pragma omp for schedule(dynamic)
    for (ptrdiff_t task = 0; task < tasks; task++)
        if (!fml_stopped(watch))
            add_task(z, rows, panels, task / across * TASK_ROWS, task % across * TASK_COLUMNS, out);
}

/* Threads share packed rows, and take parts of the sums. */
static fml_status add_shared(const columns *z, double *out, int threads)
{
    const ptrdiff_t most = SHARED_SIZE / z->padded / BLOCK_K;
    const ptrdiff_t steps = smaller(blocks_of(z->rows, BLOCK_K), smaller(most, SHARED_STEPS));
    const ptrdiff_t step = (steps > 0 ? steps : 1) * BLOCK_K;
    real *panels = fml_alloc(z->padded, (size_t)step * sizeof *panels);
    if (!panels)
        return FML_NO_MEMORY;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel num_threads(fml_clamp_threads(threads, blocks_of(z->size, TASK_COLUMNS)))
    for (ptrdiff_t first = 0; first < z->rows; first += step)
        add_packed(z, first, smaller(step, z->rows - first), panels, out, &watch);
    fml_free(panels);
    return fml_watch_status(&watch);
}

/* Copies the lower triangle to the upper one. */
static void mirror_sums(double *sums, ptrdiff_t size)
{
    for (ptrdiff_t i = 0; i < size; i++)
        for (ptrdiff_t j = 0; j < i; j++)
            sums[j * size + i] = sums[i * size + j];
}

fml_status FML(centred_gram)(ptrdiff_t k, const fml_side_by_side *sides, const real *shift,
                             const real *scale, double *out, int threads)
{
    const ptrdiff_t size = sides->n + sides->p + 1, padded = blocks_of(size, COLUMNS) * COLUMNS;
    const ptrdiff_t unit = sizeof(real);
    memset(out, 0, (size_t)(size * size) * sizeof *out);
    if (k == 0)
        return FML_OK;
    real *shifts = fml_alloc(padded, sizeof *shifts);
    if (!shifts)
        return FML_NO_MEMORY;
    memset(shifts, 0, (size_t)padded * sizeof *shifts);
    memcpy(shifts, shift, (size_t)(size - 1) * sizeof *shifts);
    shifts[size - 1] = -1;
    const columns z = {.rows = k,
                       .n = sides->n,
                       .p = sides->p,
                       .size = size,
                       .padded = padded,
                       .x = sides->x,
                       .y = sides->y,
                       .scale = scale,
                       .x_row = sides->x_row / unit,
                       .x_col = sides->x_col / unit,
                       .y_row = sides->y_row / unit,
                       .y_col = sides->y_col / unit,
                       .depth = size <= COLUMNS ? SINGLE_ROWS : BLOCK_K,
                       .shift = shifts};
    fml_status status = (size < WIDE ? add_parts : add_shared)(&z, out, threads);
    if (status == FML_OK)
        mirror_sums(out, size);
    fml_free(shifts);
    return status;
}
