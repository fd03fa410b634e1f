/* Products of shifted rows of few columns: threads take parts of the rows, which do not depend on
 * them, and add their sums up in pairs.
 */
#include "shifted.h"

/* Rows of a panel that holds all columns: 16 of double take 16 KB of a first-level cache of 48,
 * beside the rows that come next, which are fetched meanwhile: 64 ms for 94 with 256 rows
 * (10 million x 10 double). Of more columns, panels have BLOCK_K rows. */
enum { SINGLE_ROWS = 128 };
/* Rows of a part, at least: 10 columns of double take 0.3 MB, some 30 microseconds. */
enum { PART_ROWS = 4096 };
/* Numbers of the sums of all parts: 64 MB, at least 128 parts. */
enum { MOST_SUMS = 1 << 23 };

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
    ptrdiff_t end = smaller(row + COLUMNS, size);
    for (ptrdiff_t i = row; i < end; i += STEP) {
        real products[STEP * COLUMNS] __attribute__((aligned(FML_VECTOR_BYTES)));
        ptrdiff_t high = smaller(STEP, end - i), wide = tile_columns(column, size, i + high);
        double *out = sums + i * size + column;
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
static void fetch_rows(const shifted *z, ptrdiff_t first, ptrdiff_t end)
{
    if (z->x_col == 1 && z->x_row == z->n && z->n <= COLUMNS && first < end)
        fetch(z->x, first * z->x_row, end * z->x_row);
}

static ptrdiff_t panel_rows(const shifted *z)
{
    return z->size <= COLUMNS ? SINGLE_ROWS : BLOCK_K;
}

/* Adds the products of rows first .. end - 1 to the lower triangle of the sums. */
static void add_rows(const shifted *z, ptrdiff_t first, ptrdiff_t end, real *panels, double *sums,
                     fml_watch *watch)
{
    const ptrdiff_t depth = panel_rows(z);
    for (; first < end && !fml_stopped(watch); first += depth) {
        ptrdiff_t rows = smaller(depth, end - first);
        for (ptrdiff_t column = 0; column < z->size; column += COLUMNS)
            FML(pack_shifted)(z, first, rows, column, panels + column * depth);
        fetch_rows(z, first + depth, smaller(first + 2 * depth, end));
        for (ptrdiff_t row = 0; row < z->size; row += COLUMNS)
            for (ptrdiff_t column = 0; column <= row; column += COLUMNS)
                add_products(z->size, rows, panels + row * depth, row, panels + column * depth,
                             column, sums);
    }
}

/* Adds the sums of the parts pairwise into those of the first. */
static void add_up(ptrdiff_t size, double *parts, ptrdiff_t count)
{
    for (ptrdiff_t step = 1; step < count; step *= 2)
        for (ptrdiff_t i = 0; i + step < count; i += 2 * step)
            for (ptrdiff_t e = 0; e < size; e++)
                parts[i * size + e] += parts[(i + step) * size + e];
}

/* How parts of the rows become sums, and these the lower triangle of z'z. */
typedef struct way {
    ptrdiff_t sums, scratch; /* numbers of a part, and of a thread */
    void (*add)(const shifted *z, ptrdiff_t first, ptrdiff_t end, real *scratch, double *sums,
                fml_watch *watch);
    void (*put)(const shifted *z, const double *sums, double *out);
} way;

static void put_square(const shifted *z, const double *sums, double *out)
{
    memcpy(out, sums, (size_t)(z->size * z->size) * sizeof *out);
}

static way way_of(const shifted *z)
{
#if FML_MASKS
    if (FML(lies_by_rows)(z)) {
        const ptrdiff_t folded = FML(folded_size)(z->n);
        return (way){folded, folded + z->n * LANES, FML(add_folded), FML(unfold)};
    }
#endif
    return (way){z->size * z->size, z->padded * panel_rows(z), add_rows, put_square};
}

/* Rows of a part: whole panels, and no more parts than memory has room for. */
static ptrdiff_t part_rows(const shifted *z, ptrdiff_t sums)
{
    ptrdiff_t rows = fml_blocks_of(z->rows, MOST_SUMS / sums);
    const ptrdiff_t depth = panel_rows(z);
    return fml_blocks_of(rows > PART_ROWS ? rows : PART_ROWS, depth) * depth;
}

fml_status FML(centred_parts)(const shifted *z, double *out, int threads)
{
    const way w = way_of(z);
    const ptrdiff_t rows = part_rows(z, w.sums), parts = fml_blocks_of(z->rows, rows);
    const int team = fml_clamp_threads(threads, parts);
    fml_status status = FML_NO_MEMORY;
    double *sums = fml_alloc(parts, (size_t)w.sums * sizeof *sums);
    real *scratch = fml_alloc(team, (size_t)w.scratch * sizeof *scratch);
    if (!sums || !scratch)
        goto done;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t part = 0; part < parts; part++) {
        double *own = sums + part * w.sums;
        memset(own, 0, (size_t)w.sums * sizeof *own);
        w.add(z, part * rows, smaller((part + 1) * rows, z->rows),
              scratch + fml_thread_number() * w.scratch, own, &watch);
    }
    status = fml_watch_status(&watch);
    if (status == FML_OK) {
        add_up(w.sums, sums, parts);
        w.put(z, sums, out);
    }
done:
    fml_free(scratch);
    fml_free(sums);
    return status;
}
