/* Products with A'A of sparse rows A, in one pass over them: Y = A B' - scale offset', Y'A. For
 * Krylov methods, whose blocks B have few rows.
 *
 * The rows of B become tiles, numbers of all of them side by side, one of which is read for each
 * entry of a row; then the row's entries times its sums are added to tiles of the same kind. Parts
 * of the rows, of equal work, have sums of their own, which are added up in double.
 * Cost: 4 count flops an entry, of which 4 bytes and a value are read; two random reads and a write
 * of a tile, which caches hold where n is small.
 */
#include "../kernel.h"

/* Numbers of a tile: a register of AVX-512 in double. */
enum { TILE = 8 };
/* Rows between looks at Ctrl-C. */
enum { ROWS_AT_ONCE = 1 << 10 };

typedef real tile __attribute__((vector_size(TILE * sizeof(real))));
typedef double wide_tile __attribute__((vector_size(TILE * sizeof(double))));

typedef struct task {
    const int64_t *indptr;
    const uint32_t *indices;
    const real *values;
    const double *scale;
    tile offset;
    const tile *b;
    tile *sums; /* n for each part */
} task;

static tile sum_row(const task *t, ptrdiff_t row)
{
    tile even = {0}, odd = {0};
    int64_t k = t->indptr[row], end = t->indptr[row + 1];
    for (; k + 1 < end; k += 2) {
        even += t->values[k] * t->b[t->indices[k]];
        odd += t->values[k + 1] * t->b[t->indices[k + 1]];
    }
    if (k < end)
        even += t->values[k] * t->b[t->indices[k]];
    return even + odd;
}

/* Adds some rows to the sums of a part, and scale times theirs to `moment`. */
static void add_rows(const task *t, ptrdiff_t start, ptrdiff_t end, tile *sums, wide_tile *moment)
{
    for (ptrdiff_t row = start; row < end; row++) {
        const real scale = t->scale ? (real)t->scale[row] : 1;
        const tile y = sum_row(t, row) - scale * t->offset;
        *moment += (double)scale * __builtin_convertvector(y, wide_tile);
        for (int64_t k = t->indptr[row]; k < t->indptr[row + 1]; k++)
            sums[t->indices[k]] += t->values[k] * y;
    }
}

static void pack(ptrdiff_t n, ptrdiff_t rows, const real *b, const real *offset, task *t, tile *to)
{
    memset(to, 0, (size_t)n * sizeof *to);
    t->offset = (tile){0};
    for (ptrdiff_t row = 0; row < rows; row++)
        t->offset[row] = offset[row];
    for (ptrdiff_t j = 0; j < n; j++)
        for (ptrdiff_t row = 0; row < rows; row++)
            to[j][row] = b[row * n + j];
    t->b = to;
}

/* Sums of all parts, to rows of `out`. */
static void put_sums(const task *t, ptrdiff_t n, ptrdiff_t parts, ptrdiff_t rows, real *out)
{
    for (ptrdiff_t j = 0; j < n; j++) {
        wide_tile total = {0};
        for (ptrdiff_t part = 0; part < parts; part++)
            total += __builtin_convertvector(t->sums[part * n + j], wide_tile);
        for (ptrdiff_t row = 0; row < rows; row++)
            out[row * n + j] = (real)total[row];
    }
}

static void sum_part(const task *t, ptrdiff_t m, ptrdiff_t n, ptrdiff_t parts, ptrdiff_t part,
                     double *moment, fml_watch *watch)
{
    const int64_t work = (t->indptr[m] + m) / parts + 1;
    const ptrdiff_t end = fml_row_at(t->indptr, m, (part + 1) * work);
    tile *sums = t->sums + part * n;
    wide_tile total = {0};
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (ptrdiff_t row = fml_row_at(t->indptr, m, part * work); row < end && !fml_stopped(watch);
         row += ROWS_AT_ONCE)
        add_rows(t, row, row + ROWS_AT_ONCE < end ? row + ROWS_AT_ONCE : end, sums, &total);
    memcpy(moment, &total, sizeof total);
}

fml_status FML(sparse_gram_times)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t count, const int64_t *indptr,
                                  const uint32_t *indices, const real *values, const real *b,
                                  const double *scale, const real *offset, ptrdiff_t parts,
                                  real *out, double *moments, int threads)
{
    task t = {.indptr = indptr, .indices = indices, .values = values, .scale = scale};
    tile *tiles = fml_alloc(n, (size_t)(parts + 1) * sizeof *tiles);
    double *of_parts = fml_alloc(parts, sizeof(wide_tile));
    fml_watch watch;
    fml_watch_start(&watch);
    fml_status status = tiles && of_parts ? FML_OK : FML_NO_MEMORY;
    for (ptrdiff_t first = 0; first < count && status == FML_OK; first += TILE) {
        const ptrdiff_t rows = count - first < TILE ? count - first : TILE;
        pack(n, rows, b + first * n, offset + first, &t, tiles);
        t.sums = tiles + n;
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, parts))
        for (ptrdiff_t part = 0; part < parts; part++)
            sum_part(&t, m, n, parts, part, of_parts + part * TILE, &watch);
        put_sums(&t, n, parts, rows, out + first * n);
        for (ptrdiff_t row = 0; row < rows; row++) {
            moments[first + row] = 0;
            for (ptrdiff_t part = 0; part < parts; part++)
                moments[first + row] += of_parts[part * TILE + row];
        }
        status = fml_watch_status(&watch);
    }
    fml_free(of_parts);
    fml_free(tiles);
    return status;
}
