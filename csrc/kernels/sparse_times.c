/* Sparse rows times a few dense columns that lie side by side, less a number for each column.
 *
 * A row of b is read for each entry of A, and a tile of its columns added up in registers. Rows are
 * cut into blocks of equal work, each of which one thread writes.
 * Cost: 2 columns flops an entry; 4 bytes and a value of it read, and one random read of
 * 8 columns bytes.
 */
#include "../kernel.h"

/* Entries and rows in a block: 30 us and more, so that many threads balance. */
enum { BLOCK_WORK = 1 << 14 };
/* Columns of a tile: a cache line, and a register of AVX-512. Two sums run side by side. */
enum { TILE = 8 };

typedef double tile __attribute__((vector_size(TILE * sizeof(double)), aligned(sizeof(double))));

typedef struct problem {
    const int64_t *indptr;
    const uint32_t *indices;
    const real *values;
    const double *b, *shift;
    double *out;
    ptrdiff_t columns;
} problem;

static void add_tile(const problem *p, ptrdiff_t row, ptrdiff_t column)
{
    const double *b = p->b + column;
    tile even = {0}, odd = {0};
    int64_t k = p->indptr[row], end = p->indptr[row + 1];
    for (; k + 1 < end; k += 2) {
        even += (double)p->values[k] * *(const tile *)(b + p->indices[k] * p->columns);
        odd += (double)p->values[k + 1] * *(const tile *)(b + p->indices[k + 1] * p->columns);
    }
    if (k < end)
        even += (double)p->values[k] * *(const tile *)(b + p->indices[k] * p->columns);
    *(tile *)(p->out + row * p->columns + column) =
        (even + odd) - *(const tile *)(p->shift + column);
}

/* The same for one column, in the same order. */
static void add_column(const problem *p, ptrdiff_t row, ptrdiff_t column)
{
    const double *b = p->b + column;
    double even = 0, odd = 0;
    int64_t k = p->indptr[row], end = p->indptr[row + 1];
    for (; k + 1 < end; k += 2) {
        even += (double)p->values[k] * b[p->indices[k] * p->columns];
        odd += (double)p->values[k + 1] * b[p->indices[k + 1] * p->columns];
    }
    if (k < end)
        even += (double)p->values[k] * b[p->indices[k] * p->columns];
    p->out[row * p->columns + column] = (even + odd) - p->shift[column];
}

fml_status FML(sparse_times)(ptrdiff_t m, ptrdiff_t columns, const int64_t *indptr,
                             const uint32_t *indices, const real *values, const double *b,
                             const double *shift, double *out, int threads)
{
    const problem p = {indptr, indices, values, b, shift, out, columns};
    ptrdiff_t blocks = fml_count_row_blocks(indptr, m, BLOCK_WORK);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, blocks))
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (fml_stopped(&watch))
            continue;
        const fml_row_range rows = fml_rows_of(indptr, m, BLOCK_WORK, block);
        for (ptrdiff_t row = rows.start; row < rows.end; row++) {
            ptrdiff_t column = 0;
            for (; column + TILE <= columns; column += TILE)
                add_tile(&p, row, column);
            for (; column < columns; column++)
                add_column(&p, row, column);
        }
    }
    return fml_watch_status(&watch);
}
