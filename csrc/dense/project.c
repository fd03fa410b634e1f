/* Rows and their coordinates in a basis: z = x - shift, coordinates z B', squared distances
 * |z - (z B') B|^2 from the subspace, and back, y B + shift. For principal components.
 *
 * Rows are read once: shifted on the way to a block that stays in the second-level cache,
 * multiplied there by the tiles of matrix products, and what the projection leaves of them is taken
 * from the block itself, so that no digits are lost to |z|^2 - |y|^2. A shift in two parts keeps
 * the digits of float beside a large mean. Sums of squares are double for every type.
 *
 * Threads take blocks. Cost: 2 m n k flops each way; x is read, and y or x written, once.
 */
#include "../kernel.h"
#include "../stream.h"
#include "dense.h"
#include "wide.h"

/* Numbers of a block of rows, 128 KB of float, and its rows at most. */
enum { BLOCK_NUMBERS = 1 << 15, MOST_ROWS = 512 };
/* Columns that are taken from a row in turn where these are not next to each other: those of a row
 * of the block that fill two cache lines. */
enum { STRIP = 128 / sizeof(real) };

/* Columns of rows that are put together in the first-level cache for their way past the others, 2
 * KB, and components up to which that pays: 50,000 rows of 784 of float from 16 in 0.7 of the time.
 */
enum { STRETCH = 2048 / sizeof(real), FEW_COMPONENTS = 32 };
/* Bytes of a row from which on that pays: rows of 128 to 192 took 1.3 to 2 times as long. */
enum { LEAST_ROW = 256 };

/* Blocks that a thread takes one after the other, so that it fetches its own rows ahead, and such
 * turns for each thread, so that all finish together. */
enum { BLOCKS_IN_TURN = 8, TURNS_PER_THREAD = 4 };

typedef struct projection {
    ptrdiff_t rows, n, k;
    const real *x; /* or coordinates, on the way back */
    ptrdiff_t x_row, x_col;
    const real *first, *second; /* parts of the shift */
    ptrdiff_t height, step;     /* rows of a block; from one of them to the next */
    real *components;           /* panels of rows of the basis, with n steps */
    real *columns;              /* panels of columns of the basis, with k steps */
    real *blocks;               /* a block and coordinates for each thread */
    real *coordinates;
    double *errors;
} projection;

/* Rows that are next to each other are shifted in vectors. */
static void shift_row(const projection *p, const real *x, real *out)
{
    for (ptrdiff_t j = 0; j < p->n; j += LANES) {
        ptrdiff_t count = smaller(LANES, p->n - j);
        if (count == LANES)
            store(out + j, load(x + j) - load(p->first + j) - load(p->second + j));
        else
            store_first(out + j,
                        load_first(x + j, count) - load_first(p->first + j, count) -
                            load_first(p->second + j, count),
                        count);
    }
}

static void shift_block(const projection *p, ptrdiff_t start, ptrdiff_t rows, real *block)
{
    const real *x = p->x + start * p->x_row;
    if (p->x_col == 1) {
        for (ptrdiff_t i = 0; i < rows; i++)
            shift_row(p, x + i * p->x_row, block + i * p->step);
        return;
    }
    for (ptrdiff_t strip = 0; strip < p->n; strip += STRIP)
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = strip; j < smaller(strip + STRIP, p->n); j++)
                block[i * p->step + j] =
                    x[i * p->x_row + j * p->x_col] - p->first[j] - p->second[j];
}

/* C (+)= A B for some rows of A and the columns of a panel, BLOCK_K of `terms` at a time. `soon`
 * may be NULL. */
static void multiply_panel(ptrdiff_t rows, ptrdiff_t terms, const real *a, ptrdiff_t a_row,
                           ptrdiff_t a_col, const real *panel, ptrdiff_t columns, real *c,
                           ptrdiff_t c_row, bool add, ahead *soon)
{
    const ptrdiff_t last = last_lanes(columns);
    ptrdiff_t start = 0;
    do {
        ptrdiff_t count = smaller(BLOCK_K, terms - start);
        for (ptrdiff_t i = 0; i < rows; i += ROWS) {
            FML(tile)(smaller(ROWS, rows - i), columns)(
                count, a + i * a_row + start * a_col, a_row, a_col, panel + start * COLUMNS,
                COLUMNS, last, c + i * c_row, c_row, add || start > 0);
            if (soon)
                fetch_piece(soon);
        }
        start += BLOCK_K;
    } while (start < terms);
}

static double sum_of_squares(const real *x, ptrdiff_t n)
{
    const ptrdiff_t step = (ptrdiff_t)WIDE;
    wide sums[WIDE_SUMS] = {{0}};
    ptrdiff_t j = 0;
    for (; j + WIDE_SUMS * step <= n; j += WIDE_SUMS * step)
#pragma GCC unroll 4
        for (int s = 0; s < WIDE_SUMS; s++) {
            wide value = widen(x + j + s * step, 1, step);
            sums[s] += value * value;
        }
    for (; j < n; j += step) {
        wide value = widen(x + j, 1, smaller(step, n - j));
        sums[0] += value * value;
    }
    return sum_wide(sums);
}

/* Takes off the block what the coordinates stand for, and sums up the squares of the rest. */
static void measure_block(const projection *p, ptrdiff_t start, ptrdiff_t rows, const real *y,
                          real *block)
{
    for (ptrdiff_t j = 0; j < p->n && p->k > 0; j += COLUMNS)
        multiply_panel(rows, p->k, y, p->k, 1, p->columns + j * p->k, smaller(COLUMNS, p->n - j),
                       block + j, p->step, true, NULL);
    for (ptrdiff_t i = 0; i < rows; i++)
        p->errors[start + i] = sum_of_squares(block + i * p->step, p->n);
}

/* The rows of the next block, to be fetched while coordinates of this one are computed. */
static ahead next_rows(const projection *p, ptrdiff_t start)
{
    ptrdiff_t rows = smaller(p->height, p->rows - start);
    ptrdiff_t tiles =
        p->height / ROWS * fml_blocks_of(p->k, COLUMNS) * fml_blocks_of(p->n, BLOCK_K);
    if (p->x_col != 1 || p->x_row != p->n || rows <= 0 || tiles == 0)
        return (ahead){.piece = 0};
    ptrdiff_t piece = fml_blocks_of(fml_blocks_of(rows * p->n, tiles), CACHE_LINE) * CACHE_LINE;
    return (ahead){.a = p->x + start * p->x_row, .a_size = rows * p->n, .piece = piece};
}

static void project_block(const projection *p, ptrdiff_t start)
{
    ptrdiff_t rows = smaller(p->height, p->rows - start);
    real *block = p->blocks + fml_thread_number() * p->height * (p->step + p->k);
    real *y = p->coordinates ? p->coordinates + start * p->k : block + p->height * p->step;
    ahead soon = next_rows(p, start + rows);
    shift_block(p, start, rows, block);
    for (ptrdiff_t c = 0; c < p->k; c += COLUMNS)
        multiply_panel(rows, p->n, block, p->step, 1, p->components + c * p->n,
                       smaller(COLUMNS, p->k - c), y + c, p->k, false, &soon);
    if (p->errors)
        measure_block(p, start, rows, y, block);
}

/* Sums of a panel are finished in the first-level cache, and rows are written once. */
static void reconstruct_block(const projection *p, ptrdiff_t start, real *out)
{
    ptrdiff_t end = smaller(start + p->height, p->rows);
    for (ptrdiff_t j = 0; j < p->n; j += COLUMNS)
        for (ptrdiff_t i = start; i < end; i += ROWS) {
            real sums[ROWS * COLUMNS] __attribute__((aligned(FML_VECTOR_BYTES)));
            ptrdiff_t high = smaller(ROWS, end - i), count = smaller(COLUMNS, p->n - j);
            multiply_panel(high, p->k, p->x + i * p->x_row, p->x_row, p->x_col,
                           p->columns + j * p->k, count, sums, COLUMNS, false, NULL);
            for (ptrdiff_t r = 0; r < high; r++)
                for (ptrdiff_t c = 0; c < count; c++)
                    out[(i + r) * p->n + j + c] =
                        sums[r * COLUMNS + c] + p->second[j + c] + p->first[j + c];
        }
}

/* Some rows of the columns from j on, which are put together in the first-level cache. */
static void stream_rows(const projection *p, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j, real *out)
{
    real sums[ROWS * STRETCH] __attribute__((aligned(FML_VECTOR_BYTES)));
    const real *first = p->first + j, *second = p->second + j;
    ptrdiff_t columns = smaller(STRETCH, p->n - j);
    for (ptrdiff_t c = 0; c < columns; c += COLUMNS)
        multiply_panel(rows, p->k, p->x + i * p->x_row, p->x_row, p->x_col,
                       p->columns + (j + c) * p->k, smaller(COLUMNS, columns - c), sums + c,
                       STRETCH, false, NULL);
    for (ptrdiff_t r = 0; r < rows; r++) {
        for (ptrdiff_t c = 0; c < columns; c++)
            sums[r * STRETCH + c] = sums[r * STRETCH + c] + second[c] + first[c];
        fml_stream(out + (i + r) * p->n + j, sums + r * STRETCH, (size_t)columns * sizeof *out);
    }
}

static void stream_block(const projection *p, ptrdiff_t start, real *out)
{
    ptrdiff_t end = smaller(start + p->height, p->rows);
    for (ptrdiff_t j = 0; j < p->n; j += STRETCH)
        for (ptrdiff_t i = start; i < end; i += ROWS)
            stream_rows(p, i, smaller(ROWS, end - i), j, out);
    fml_end_stream();
}

/* Blocks of whole tiles, of BLOCK_NUMBERS if they can be. */
static void choose_blocks(projection *p)
{
    ptrdiff_t rows = smaller(BLOCK_NUMBERS / p->n, MOST_ROWS) / ROWS * ROWS;
    p->height = rows > ROWS ? rows : ROWS;
    p->step = fml_blocks_of(p->n, LANES) * LANES;
}

FML_INLINE ptrdiff_t blocks_in_turn(ptrdiff_t blocks, int team)
{
    ptrdiff_t share = blocks / (TURNS_PER_THREAD * (ptrdiff_t)team);
    return share > 1 ? smaller(share, BLOCKS_IN_TURN) : 1;
}

static void pack_components(const projection *p, const real *basis)
{
    for (ptrdiff_t c = 0; c < p->k; c += COLUMNS)
        FML(pack_panel)(COLUMNS, smaller(COLUMNS, p->k - c), p->n, basis + c * p->n, p->n, 1,
                        p->components + c * p->n);
}

static void pack_columns(const projection *p, const real *basis)
{
    for (ptrdiff_t j = 0; j < p->n; j += COLUMNS)
        FML(pack_panel)(COLUMNS, smaller(COLUMNS, p->n - j), p->k, basis + j, 1, p->n,
                        p->columns + j * p->k);
}

/* Products of them are taken off what they are added to. */
static void pack_negated_columns(const projection *p, const real *basis, ptrdiff_t size)
{
    memset(p->columns, 0, (size_t)size * sizeof *p->columns);
    pack_columns(p, basis);
    for (ptrdiff_t e = 0; e < size; e++)
        p->columns[e] = -p->columns[e];
}

static projection projection_of(const fml_rows *x, ptrdiff_t n, ptrdiff_t k, const real *shift)
{
    const ptrdiff_t unit = sizeof(real);
    projection p = {.rows = x->count,
                    .n = n,
                    .k = k,
                    .x = x->data,
                    .x_row = x->row / unit,
                    .x_col = x->col / unit,
                    .first = shift,
                    .second = shift + n};
    choose_blocks(&p);
    return p;
}

fml_status FML(project_rows)(const fml_rows *x, ptrdiff_t n, const real *shift, ptrdiff_t k,
                             const real *basis, real *coordinates, double *errors, int threads)
{
    projection p = projection_of(x, n, k, shift);
    const ptrdiff_t blocks = fml_blocks_of(p.rows, p.height);
    const int team = fml_clamp_threads(threads, blocks);
    const ptrdiff_t of_components = fml_blocks_of(k, COLUMNS) * COLUMNS * n;
    const ptrdiff_t of_columns = errors ? fml_blocks_of(n, COLUMNS) * COLUMNS * k : 0;
    const ptrdiff_t of_thread = p.height * (p.step + k);
    real *scratch = fml_alloc(of_components + of_columns + team * of_thread, sizeof *scratch);
    if (!scratch)
        return FML_NO_MEMORY;
    p.components = scratch;
    p.columns = scratch + of_components;
    p.blocks = p.columns + of_columns;
    p.coordinates = coordinates;
    p.errors = errors;
    pack_components(&p, basis);
    if (errors)
        pack_negated_columns(&p, basis, of_columns);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic, blocks_in_turn(blocks, team)) num_threads(team)
    for (ptrdiff_t block = 0; block < blocks; block++)
        if (!fml_stopped(&watch))
            project_block(&p, block * p.height);
    fml_free(scratch);
    return fml_watch_status(&watch);
}

fml_status FML(reconstruct_rows)(const fml_rows *coordinates, ptrdiff_t k, const real *basis,
                                 ptrdiff_t n, const real *shift, real *out, int threads)
{
    projection p = projection_of(coordinates, n, k, shift);
    const ptrdiff_t blocks = fml_blocks_of(p.rows, p.height);
    p.columns = fml_alloc(fml_blocks_of(n, COLUMNS) * COLUMNS, (size_t)(k + 1) * sizeof *p.columns);
    if (!p.columns)
        return FML_NO_MEMORY;
    pack_columns(&p, basis);
    const bool is_streamed = k <= FEW_COMPONENTS && n >= LEAST_ROW / (ptrdiff_t)sizeof(real) &&
                             fml_is_streamed(p.rows * n, sizeof(real));
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++)
        if (!fml_stopped(&watch))
            (is_streamed ? stream_block : reconstruct_block)(&p, block * p.height, out);
    fml_free(p.columns);
    return fml_watch_status(&watch);
}
