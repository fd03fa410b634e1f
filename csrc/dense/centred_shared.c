/* Products of shifted rows of many columns: threads share one block of packed rows after the other,
 * and take parts of the sums.
 */
#include "shifted.h"

/* Numbers that are packed at a time, some 8 MB of float, and panels of BLOCK_K rows that they make
 * at most. Panels are added up in type real, then in double: each in double took 2 to 17 % longer.
 */
enum { SHARED_SIZE = 1 << 21, SHARED_STEPS = 4 };
/* Rows that are packed from end to end, as many as the CPU can fetch ahead of. */
enum { STRIP_ROWS = 8 };
/* Sums of a task, which stay in a second-level cache with its panels. */
enum { TASK_ROWS = 192, TASK_COLUMNS = 96 };

/* All columns of some rows, into the panels of their step. */
static void pack_strip(const shifted *z, ptrdiff_t first, ptrdiff_t row, ptrdiff_t rows,
                       real *panels)
{
    real *out = panels + row / BLOCK_K * BLOCK_K * z->padded + row % BLOCK_K * COLUMNS;
    for (ptrdiff_t column = 0; column < z->size; column += COLUMNS)
        FML(pack_shifted)(z, first + row, rows, column, out + column * BLOCK_K);
}

/* Rows row .. row_end - 1 and columns column .. column_end - 1 of the sums, from the diagonal down.
 */
typedef struct task {
    ptrdiff_t row, row_end, column, column_end;
} task;

static task task_of(const shifted *z, ptrdiff_t number)
{
    const ptrdiff_t across = fml_blocks_of(z->size, TASK_COLUMNS);
    ptrdiff_t row = number / across * TASK_ROWS, column = number % across * TASK_COLUMNS;
    ptrdiff_t row_end = smaller(row + TASK_ROWS, z->size);
    return (task){column > row ? column : row, row_end, column,
                  smaller(column + TASK_COLUMNS, row_end)};
}

/* Products of the rows of a panel: a task's, or more of them. */
static void multiply_panel(const task *t, ptrdiff_t rows, const real *panels, bool add,
                           real *products)
{
    for (ptrdiff_t j = t->column; j < t->column_end; j += COLUMNS)
        for (ptrdiff_t i = j > t->row ? j : t->row; i < t->row_end; i += STEP) {
            ptrdiff_t high = smaller(STEP, t->row_end - i);
            ptrdiff_t wide = tile_columns(j, t->column_end, i + high);
            const real *left = panels + (i - i % COLUMNS) * BLOCK_K + i % COLUMNS;
            FML(tile)(high, wide)(
                rows, left, 1, COLUMNS, panels + j * BLOCK_K, COLUMNS, last_lanes(wide),
                products + (i - t->row) * TASK_COLUMNS + j - t->column, TASK_COLUMNS, add);
        }
}

static void add_task(const task *t, const real *products, ptrdiff_t size, double *sums)
{
    for (ptrdiff_t i = t->row; i < t->row_end; i++, products += TASK_COLUMNS) {
        double *restrict out = sums + i * size + t->column;
        for (ptrdiff_t c = 0; c < smaller(t->column_end, i + 1) - t->column; c++)
            out[c] += (double)products[c];
    }
}

/* Within a team: everything that the packed rows take part in. */
static void add_packed(const shifted *z, ptrdiff_t first, ptrdiff_t rows, real *panels,
                       real *products, double *out, fml_watch *watch)
{
    const ptrdiff_t strip = z->x_col == 1 ? STRIP_ROWS : BLOCK_K;
    const ptrdiff_t tasks =
        fml_blocks_of(z->size, TASK_ROWS) * fml_blocks_of(z->size, TASK_COLUMNS);
    real *own = products + fml_thread_number() * TASK_ROWS * TASK_COLUMNS;
#pragma omp for schedule(static)
    for (ptrdiff_t row = 0; row < rows; row += strip)
        if (!fml_stopped(watch))
            pack_strip(z, first, row, smaller(strip, rows - row), panels);
#pragma omp for schedule(dynamic)
    for (ptrdiff_t number = 0; number < tasks; number++) {
        const task t = task_of(z, number);
        if (t.column >= t.column_end || fml_stopped(watch))
            continue;
        for (ptrdiff_t row = 0; row < rows; row += BLOCK_K)
            multiply_panel(&t, smaller(BLOCK_K, rows - row), panels + row * z->padded, row > 0,
                           own);
        add_task(&t, own, z->size, out);
    }
}

fml_status FML(centred_shared)(const shifted *z, double *out, int threads)
{
    const ptrdiff_t most = SHARED_SIZE / z->padded / BLOCK_K;
    const ptrdiff_t steps = smaller(fml_blocks_of(z->rows, BLOCK_K), smaller(most, SHARED_STEPS));
    const ptrdiff_t step = (steps > 0 ? steps : 1) * BLOCK_K;
    const int team = fml_clamp_threads(threads, fml_blocks_of(z->size, TASK_COLUMNS));
    const ptrdiff_t own_size = (ptrdiff_t)TASK_ROWS * TASK_COLUMNS;
    fml_status status = FML_NO_MEMORY;
    real *panels = fml_alloc(z->padded, (size_t)step * sizeof *panels);
    real *products = fml_alloc(team, (size_t)own_size * sizeof *products);
    if (!panels || !products)
        goto done;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel num_threads(team)
    for (ptrdiff_t first = 0; first < z->rows; first += step)
        add_packed(z, first, smaller(step, z->rows - first), panels, products, out, &watch);
    status = fml_watch_status(&watch);
done:
    fml_free(products);
    fml_free(panels);
    return status;
}
