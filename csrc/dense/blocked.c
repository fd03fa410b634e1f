/* Large products, after Goto and van de Geijn (Anatomy of high-performance matrix multiplication,
 * ACM TOMS 34, 2008) and BLIS (Van Zee and van de Geijn, ACM TOMS 41, 2015).
 *
 * Blocks of A and B are packed into panels that all threads share; then each thread takes blocks of
 * C. A block of A stays in the second-level cache while panels of B pass through the first.
 * The terms of a sum are added in one order, whatever the threads.
 * Cost: 2 m n k flops; A is packed n / SHARED_COLUMNS times, B once.
 */
#include "dense.h"

/* Rows of A and columns of B that are packed at a time: 4 MB each of double. */
enum { SHARED_ROWS = 2048, SHARED_COLUMNS = 2048 };
/* Rows of A of a task: 384 KB of double, of a second-level cache of 512 KB or more. */
enum { TASK_ROWS = 192 };
/* Rows of B, or columns of A, that are packed side by side: as many as the CPU can fetch ahead
 * of. */
enum { STRIP_ROWS = 8 };
/* Columns of C that wait in the first-level cache for their way past the others: 1 KB. 0.5 to 4 KB
 * take 1.0 to 1.2 times as long. */
enum { STRETCH = 1024 / sizeof(real) };
/* Tasks for each thread, so that all finish together. */
enum { TASKS_PER_THREAD = 6 };

typedef struct packed {
    const product *x;
    real *a, *b;
    ptrdiff_t row, rows, column, columns, start, k;
} packed;

/* Whether the block's rows of A are among its columns of B, as in X'X, and need not be packed
 * again: tiles read ROWS columns of a panel of B. Packing them took X'X 1.02 to 1.04 times as long.
 */
FML_INLINE bool is_own_transpose(const packed *block)
{
    const product *x = block->x;
    return COLUMNS % ROWS == 0 && x->a == x->b && x->a_row == x->b_col && x->a_col == x->b_row &&
           block->row == block->column && block->rows <= block->columns && !x->expanded;
}

/* A panel's part of a strip of columns of A, from `first` on, while the strip after it is asked
 * for: products of a transposed A in 0.96 to 0.99 of the time that whole panels take. */
static void pack_columns_of_a(const packed *block, ptrdiff_t first, ptrdiff_t panel)
{
    const product *x = block->x;
    ptrdiff_t row = panel * ROWS, rows = smaller(ROWS, block->rows - row);
    ptrdiff_t end = smaller(first + STRIP_ROWS, block->k);
    ptrdiff_t later = smaller(end + STRIP_ROWS, block->k);
    const real *a = x->a + block->row + row + block->start * x->a_col;
    for (ptrdiff_t p = end; p < later; p++)
        __builtin_prefetch(a + p * x->a_col);
    FML(pack_panel)(ROWS, rows, end - first, a + first * x->a_col, 1, x->a_col,
                    block->a + row * block->k + first * ROWS);
}

/* Part `strip` of A's panels. Where its columns are contiguous they are read from end to end, a
 * strip of them at a time; else a strip is one panel. */
static void pack_a(const packed *block, ptrdiff_t strip)
{
    const product *x = block->x;
    ptrdiff_t i = strip * ROWS;
    if (x->a_row == 1)
        for (ptrdiff_t panel = 0; panel < fml_blocks_of(block->rows, ROWS); panel++)
            pack_columns_of_a(block, strip * STRIP_ROWS, panel);
    else
        FML(pack_panel)(ROWS, smaller(ROWS, block->rows - i), block->k,
                        x->a + (block->row + i) * x->a_row + block->start * x->a_col, x->a_row,
                        x->a_col, block->a + i * block->k);
}

static ptrdiff_t strips_of_a(const packed *block)
{
    return block->x->a_row == 1 ? fml_blocks_of(block->k, STRIP_ROWS)
                                : fml_blocks_of(block->rows, ROWS);
}

static bool lies_by_rows(const product *x)
{
    return x->b_col == (x->expanded ? 2 : 1);
}

/* Asks for so many columns of the strip of rows that is packed after the one from `first` on: X'X
 * of 784 columns of float in 0.98 of the time. */
FML_INLINE void fetch_next_strip(const packed *block, ptrdiff_t first, ptrdiff_t column,
                                 ptrdiff_t columns)
{
    const product *x = block->x;
    ptrdiff_t end = smaller(first + 2 * STRIP_ROWS, block->k);
    for (ptrdiff_t p = first + STRIP_ROWS; p < end; p += x->expanded ? 2 : 1)
        fetch(at_b(x, block->start + p, block->column + column), 0, columns);
}

/* Part `strip` of B's panels. Where its rows are contiguous they are read from end to end, a strip
 * of them at a time; else a strip is one panel. */
static void pack_b(const packed *block, ptrdiff_t strip)
{
    const product *x = block->x;
    bool by_rows = lies_by_rows(x);
    ptrdiff_t first = by_rows ? strip * STRIP_ROWS : 0;
    ptrdiff_t rows = by_rows ? smaller(STRIP_ROWS, block->k - first) : block->k;
    ptrdiff_t column = by_rows ? 0 : strip * COLUMNS;
    ptrdiff_t end = by_rows ? block->columns : smaller(column + COLUMNS, block->columns);
    for (ptrdiff_t j = column; j < end; j += COLUMNS) {
        ptrdiff_t columns = smaller(COLUMNS, end - j);
        if (by_rows)
            fetch_next_strip(block, first, j, columns);
        FML(pack_columns)(x, block->start + first, rows, block->column + j, columns,
                          block->b + j * block->k + first * COLUMNS);
    }
}

static ptrdiff_t strips_of_b(const packed *block)
{
    return lies_by_rows(block->x) ? fml_blocks_of(block->k, STRIP_ROWS)
                                  : fml_blocks_of(block->columns, COLUMNS);
}

/* Asks for the tile of C that is written after some 2000 cycles: without, 2048 x 2048 products of
 * double took 1.37 times as long. */
FML_INLINE void prefetch_tile(const real *c, ptrdiff_t c_row, ptrdiff_t rows, ptrdiff_t columns)
{
    for (ptrdiff_t i = 0; i < rows; i++, c += c_row) {
        fetch(c, 0, columns);
        __builtin_prefetch(c + columns - 1); /* a row may start within a cache line */
    }
}

/* A tile of C to `c`: rows from i and columns from j on. */
FML_INLINE void multiply_tile(const packed *block, bool is_own, ptrdiff_t i, ptrdiff_t rows,
                              ptrdiff_t j, ptrdiff_t columns, real *c, ptrdiff_t c_row, writing how)
{
    const real *a =
        is_own ? block->b + i % COLUMNS + (i - i % COLUMNS) * block->k : block->a + i * block->k;
    FML(tile)(rows, columns)(block->k, a, 1, is_own ? COLUMNS : ROWS, block->b + j * block->k,
                             COLUMNS, last_lanes(columns), c, c_row, how);
}

/* Where row i and column j of the block are in C. */
FML_INLINE real *at_c(const packed *block, ptrdiff_t i, ptrdiff_t j)
{
    const product *x = block->x;
    return x->c + (block->row + i) * x->c_row + block->column + j;
}

/* Some rows of the columns from j on. What is not made of whole lines is put together in the
 * first-level cache. */
static void stream_rows(const packed *block, ptrdiff_t i, ptrdiff_t rows, ptrdiff_t j,
                        ptrdiff_t columns)
{
    real sums[ROWS * STRETCH] __attribute__((aligned(FML_VECTOR_BYTES)));
    const product *x = block->x;
    bool is_own = is_own_transpose(block);
    for (ptrdiff_t c = 0; c < columns; c += COLUMNS) {
        ptrdiff_t count = smaller(COLUMNS, columns - c);
        if (x->is_in_lines)
            multiply_tile(block, is_own, i, rows, j + c, count, at_c(block, i, j + c), x->c_row,
                          STREAMED);
        else
            multiply_tile(block, is_own, i, rows, j + c, count, sums + c, STRETCH, PUT);
    }
    for (ptrdiff_t r = 0; r < rows && !x->is_in_lines; r++)
        fml_stream(at_c(block, i + r, j), sums + r * STRETCH, (size_t)columns * sizeof(real));
}

/* A task whose rows go past the caches one after the other. */
static void stream_task(const packed *block, ptrdiff_t row, ptrdiff_t row_end, ptrdiff_t column,
                        ptrdiff_t column_end)
{
    for (ptrdiff_t i = row; i < row_end; i += ROWS)
        for (ptrdiff_t j = column; j < column_end; j += STRETCH)
            stream_rows(block, i, smaller(ROWS, row_end - i), j, smaller(STRETCH, column_end - j));
    fml_end_stream();
}

/* Rows row .. row_end and columns column .. column_end of the block. */
static void multiply_task(const packed *block, ptrdiff_t row, ptrdiff_t row_end, ptrdiff_t column,
                          ptrdiff_t column_end)
{
    const product *x = block->x;
    bool is_own = is_own_transpose(block);
    if (x->is_streamed && writing_of(x, block->start) != ADDED && x->triangle == 0) {
        stream_task(block, row, row_end, column, column_end);
        return;
    }
    for (ptrdiff_t j = column; j < column_end; j += COLUMNS)
        for (ptrdiff_t i = row; i < row_end; i += ROWS) {
            ptrdiff_t rows = smaller(ROWS, row_end - i), columns = smaller(COLUMNS, column_end - j);
            if (!is_wanted(x, block->row + i + rows - 1, block->column + j))
                continue;
            prefetch_tile(at_c(block, i, j), x->c_row, rows, columns);
            multiply_tile(block, is_own, i, rows, j, columns, at_c(block, i, j), x->c_row,
                          writing_of(x, block->start));
        }
}

/* Columns of a task: all of them, or as few as give every thread some tasks. */
static ptrdiff_t task_columns(ptrdiff_t row_tasks, ptrdiff_t columns, int team)
{
    if (team == 1)
        return columns;
    ptrdiff_t parts = fml_blocks_of(TASKS_PER_THREAD * team, row_tasks);
    return fml_blocks_of(fml_blocks_of(columns, parts), COLUMNS) * COLUMNS;
}

/* Within a team: everything that the packed B takes part in. */
static void multiply_shared(const packed *block, int team, fml_watch *watch)
{
    ptrdiff_t row_tasks = fml_blocks_of(block->rows, TASK_ROWS);
    ptrdiff_t width = task_columns(row_tasks, block->columns, team);
    ptrdiff_t column_tasks = fml_blocks_of(block->columns, width);
    ptrdiff_t strips = is_own_transpose(block) ? 0 : strips_of_a(block);
#pragma omp for schedule(static)
    for (ptrdiff_t strip = 0; strip < strips; strip++)
        if (!fml_stopped(watch))
            pack_a(block, strip);
#pragma omp for schedule(dynamic)
    for (ptrdiff_t task = 0; task < row_tasks * column_tasks; task++) {
        if (fml_stopped(watch))
            continue;
        ptrdiff_t row = task / column_tasks * TASK_ROWS, column = task % column_tasks * width;
        multiply_task(block, row, smaller(row + TASK_ROWS, block->rows), column,
                      smaller(column + width, block->columns));
    }
}

static void multiply_team(packed block, int team, fml_watch *watch)
{
    const product *x = block.x;
    ptrdiff_t k_step = fml_blocks_of(x->k, fml_blocks_of(x->k, BLOCK_K));
    k_step += k_step % 2; /* rows of an expanded B come in pairs */
    for (block.column = 0; block.column < x->n; block.column += SHARED_COLUMNS)
        for (block.start = 0; block.start < x->k; block.start += k_step) {
            block.columns = smaller(SHARED_COLUMNS, x->n - block.column);
            block.k = smaller(k_step, x->k - block.start);
#pragma omp for schedule(static) nowait
            for (ptrdiff_t strip = 0; strip < strips_of_b(&block); strip++)
                if (!fml_stopped(watch))
                    pack_b(&block, strip);
            for (block.row = 0; block.row < x->m; block.row += SHARED_ROWS) {
                block.rows = smaller(SHARED_ROWS, x->m - block.row);
                if (is_wanted(x, block.row + block.rows - 1, block.column))
                    multiply_shared(&block, team, watch);
            }
        }
}

fml_status FML(multiply_blocked)(const product *x, int threads)
{
    ptrdiff_t row_panels = fml_blocks_of(smaller(x->m, SHARED_ROWS), ROWS);
    ptrdiff_t column_panels = fml_blocks_of(smaller(x->n, SHARED_COLUMNS), COLUMNS);
    ptrdiff_t k = smaller(x->k, BLOCK_K), a_size = row_panels * ROWS * k;
    real *scratch = fml_alloc(a_size + column_panels * COLUMNS * k, sizeof *scratch);
    if (!scratch)
        return FML_NO_MEMORY;
    packed block = {.x = x, .a = scratch, .b = scratch + a_size};
    int team = fml_clamp_threads(threads, row_panels * column_panels);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel num_threads(team)
    multiply_team(block, team, &watch);
    fml_free(scratch);
    return fml_watch_status(&watch);
}
