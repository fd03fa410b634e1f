/* Products with C'C of sparse rows A less their mean, C = A - scale along', in one pass over A:
 * Y = C B', Y'C. For Krylov methods, whose blocks B have few rows.
 *
 * The rows of B become tiles, numbers of all of them side by side, beside a tile of sums for each
 * column: an entry of a row reads one and, once the products of the row are known, adds to the
 * other, in float on the same cache line. Entries ahead ask for their lines. Parts of the rows, of
 * equal work, have tiles of their own, whose sums are added up in double.
 * Cost: 4 count flops an entry, of which 4 bytes and a value are read; a random read and write of
 * two tiles, which caches hold where n is small.
 */
#include "../kernel.h"

/* Numbers of a tile: a register of AVX-512 in double. */
enum { TILE = 8 };
/* So many entries ahead ask for their tiles. */
enum { AHEAD = 64 };
/* Rows between looks at Ctrl-C, and columns that a thread packs or adds up at a time. */
enum { ROWS_AT_ONCE = 1 << 10, CHUNK = 1 << 10 };

typedef real tile __attribute__((vector_size(TILE * sizeof(real))));
typedef double wide_tile __attribute__((vector_size(TILE * sizeof(double))));

typedef struct column {
    tile b, sum;
} column;

typedef struct task {
    ptrdiff_t m, n, count; /* rows of B in a tile */
    ptrdiff_t parts, chunks;
    const int64_t *indptr;
    const uint32_t *indices;
    const real *values;
    const double *scale, *along;
    tile *b;         /* n */
    column *columns; /* n for each part */
    wide_tile *sums; /* products of B with `along` of each chunk, of Y with `scale` of each part */
    tile offset;
    wide_tile moment;
} task;

FML_INLINE double or_one(const double *factors, ptrdiff_t i)
{
    return factors ? factors[i] : 1;
}

static tile sum_row(const task *t, const column *own, int64_t k, int64_t end)
{
    const uint32_t *indices = t->indices;
    const real *values = t->values;
    tile even = {0}, odd = {0};
    for (; k + 1 < end; k += 2) {
        even += values[k] * own[indices[k]].b;
        odd += values[k + 1] * own[indices[k + 1]].b;
    }
    if (k < end)
        even += values[k] * own[indices[k]].b;
    return even + odd;
}

FML_INLINE void fetch(const column *to)
{
    __builtin_prefetch(&to->b, 1);
    if (sizeof *to > 64)
        __builtin_prefetch(&to->sum, 1);
}

/* Adds a row times its sums; `ahead` are the entries whose tiles are asked for. */
FML_INLINE void add_row(const task *t, int64_t k, int64_t end, tile y, column *own, bool ahead)
{
    const uint32_t *indices = t->indices;
    const real *values = t->values;
    for (; k < end; k++) {
        if (ahead)
            fetch(own + indices[k + AHEAD]);
        own[indices[k]].sum += values[k] * y;
    }
}

/* Adds some rows to the sums of a part, and scale times theirs to `moment`. */
static void add_rows(const task *t, ptrdiff_t start, ptrdiff_t end, column *own, wide_tile *moment)
{
    const int64_t last = t->indptr[t->m] - AHEAD;
    wide_tile sum = *moment;
    int64_t k = t->indptr[start];
    for (ptrdiff_t row = start; row < end; row++) {
        const int64_t next = t->indptr[row + 1];
        const double scale = or_one(t->scale, row);
        const tile y = sum_row(t, own, k, next) - (real)scale * t->offset;
        sum += scale * __builtin_convertvector(y, wide_tile);
        if (next <= last)
            add_row(t, k, next, y, own, true);
        else
            add_row(t, k, next, y, own, false);
        k = next;
    }
    *moment = sum;
}

static void sum_part(const task *t, ptrdiff_t part, fml_watch *watch)
{
    const int64_t work = (t->indptr[t->m] + t->m) / t->parts + 1;
    const ptrdiff_t end = fml_row_at(t->indptr, t->m, (part + 1) * work);
    column *own = t->columns + part * t->n;
    wide_tile moment = {0};
    for (ptrdiff_t j = 0; j < t->n; j++)
        own[j] = (column){.b = t->b[j]};
    for (ptrdiff_t row = fml_row_at(t->indptr, t->m, part * work); row < end && !fml_stopped(watch);
         row += ROWS_AT_ONCE)
        add_rows(t, row, row + ROWS_AT_ONCE < end ? row + ROWS_AT_ONCE : end, own, &moment);
    t->sums[part] = moment;
}

static ptrdiff_t end_of(const task *t, ptrdiff_t chunk)
{
    return (chunk + 1) * CHUNK < t->n ? (chunk + 1) * CHUNK : t->n;
}

/* Tiles of some columns, and their products with `along`. */
static void pack(const task *t, ptrdiff_t chunk, const real *b)
{
    wide_tile sum = {0};
    for (ptrdiff_t j = chunk * CHUNK; j < end_of(t, chunk); j++) {
        tile found = {0};
        for (ptrdiff_t row = 0; row < t->count; row++)
            found[row] = b[row * t->n + j];
        t->b[j] = found;
        sum += or_one(t->along, j) * __builtin_convertvector(found, wide_tile);
    }
    t->sums[chunk] = sum;
}

/* Sums of all parts, to rows of `out`. */
static void put_sums(const task *t, ptrdiff_t chunk, real *out)
{
    for (ptrdiff_t j = chunk * CHUNK; j < end_of(t, chunk); j++) {
        wide_tile total = -or_one(t->along, j) * t->moment;
        for (ptrdiff_t part = 0; part < t->parts; part++)
            total += __builtin_convertvector(t->columns[part * t->n + j].sum, wide_tile);
        for (ptrdiff_t row = 0; row < t->count; row++)
            out[row * t->n + j] = (real)total[row];
    }
}

static wide_tile total_of(const wide_tile *sums, ptrdiff_t count)
{
    wide_tile total = {0};
    for (ptrdiff_t i = 0; i < count; i++)
        total += sums[i];
    return total;
}

/* The products of as many rows of B as a tile holds. */
static void multiply(task *t, const real *b, real *out, int threads, fml_watch *watch)
{
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, t->chunks))
    for (ptrdiff_t chunk = 0; chunk < t->chunks; chunk++)
        pack(t, chunk, b);
    t->offset = __builtin_convertvector(total_of(t->sums, t->chunks), tile);
#pragma omp parallel for schedule(dynamic) num_threads(fml_clamp_threads(threads, t->parts))
    for (ptrdiff_t part = 0; part < t->parts; part++)
        sum_part(t, part, watch);
    t->moment = total_of(t->sums, t->parts);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, t->chunks))
    for (ptrdiff_t chunk = 0; chunk < t->chunks; chunk++)
        put_sums(t, chunk, out);
}

fml_status FML(sparse_gram_times)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t count, const int64_t *indptr,
                                  const uint32_t *indices, const real *values, const real *b,
                                  const double *scale, const double *along, ptrdiff_t parts,
                                  real *out, int threads)
{
    task t = {.m = m,
              .n = n,
              .parts = parts,
              .chunks = (n - 1) / CHUNK + 1,
              .indptr = indptr,
              .indices = indices,
              .values = values,
              .scale = scale,
              .along = along};
    t.columns = fml_alloc(n, (size_t)(2 * parts + 1) * sizeof(tile));
    t.sums = fml_alloc(t.chunks > parts ? t.chunks : parts, sizeof *t.sums);
    fml_watch watch;
    fml_watch_start(&watch);
    fml_status status = t.columns && t.sums ? FML_OK : FML_NO_MEMORY;
    for (ptrdiff_t first = 0; first < count && status == FML_OK; first += TILE) {
        t.b = (tile *)(t.columns + parts * n);
        t.count = count - first < TILE ? count - first : TILE;
        multiply(&t, b + first * n, out + first * n, threads, &watch);
        status = fml_watch_status(&watch);
    }
    fml_free(t.sums);
    fml_free(t.columns);
    return status;
}
