/* Products with X'X, and with X on the way, in one pass over X: Y = X B' - 1 offset', Y'X. For
 * Krylov methods, whose blocks B have few rows.
 *
 * A block of rows is multiplied twice while the second-level cache holds it: inner products with
 * the rows of B, whose vectors lie side by side in a panel, and then the rows times these products,
 * added to a panel of sums. The next block is fetched meanwhile. Groups of rows, whose number does
 * not depend on threads, have sums of their own, which are added up in double.
 * Cost: 4 m n count flops; X is read once.
 */
#include "dense.h"

/* Rows of B in a panel, and rows of X or vectors of a row at a time: sums of a tile fill the
 * registers, with one vector of each kind beside them. */
#if FML_MASKS || defined(__aarch64__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif
enum { HEIGHT = 3 };
/* Vectors of a panel that are multiplied by all rows of a block in turn, from the first-level
 * cache; rows of a block. Twice as many of the former took 5 % longer, half of the latter 3 %. */
enum { CHUNK = 8192 / (WIDTH * FML_VECTOR_BYTES), BLOCK_ROWS = 8 * HEIGHT };
/* Vectors of a row, some chunks, whose products are added up in `real`. */
enum { SPAN = 2048 };
/* Rows of a group, at least and, where sums in `real` would lose digits, at most; and groups where
 * these bounds leave the choice. */
enum { LEAST_ROWS = 48, MOST_ROWS = 4096, GROUPS = 8 };

typedef struct task {
    ptrdiff_t m, n, count;
    ptrdiff_t vectors, last; /* of a row, and lanes of the last one */
    ptrdiff_t panels, groups;
    const real *x, *offset;
    real *y;
    vec *b;    /* panels of `vectors` times WIDTH vectors */
    vec *sums; /* the same for each group */
} task;

/* What the threads need of their own: products of the rows of a block with each panel, lane by
 * lane, their sums so far, and these less the offset. */
typedef struct block {
    vec *parts;
    double *totals;
    real *y;
} block;

FML_INLINE vec load_some(const real *x, ptrdiff_t count)
{
    return count == LANES ? load(x) : load_first(x, count);
}

/* A vector that several multiply-adds take from a register, not each from memory. */
FML_INLINE vec in_register(vec v)
{
#if FML_MASKS
    __asm__("" : "+v"(v));
#endif
    return v;
}

FML_INLINE void add_products(int rows, const real *x, ptrdiff_t x_row, ptrdiff_t lanes,
                             const vec *b, vec (*sums)[WIDTH])
{
    vec values[HEIGHT];
#pragma GCC unroll 3
    for (int i = 0; i < rows; i++)
        values[i] = load_some(x + i * x_row, lanes);
#pragma GCC unroll 8
    for (int c = 0; c < WIDTH; c++) {
        vec factor = in_register(b[c]);
#pragma GCC unroll 3
        for (int i = 0; i < rows; i++)
            sums[i][c] += values[i] * factor;
    }
}

/* Adds products of some rows with a panel, lane by lane, to parts. */
FML_INLINE void multiply_rows(int rows, ptrdiff_t vectors, ptrdiff_t last, const real *x,
                              ptrdiff_t x_row, const vec *b, vec *parts)
{
    vec sums[HEIGHT][WIDTH];
#pragma GCC unroll 3
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int c = 0; c < WIDTH; c++)
            sums[i][c] = parts[i * WIDTH + c];
    for (ptrdiff_t v = 0; v + 1 < vectors; v++, x += LANES, b += WIDTH)
        add_products(rows, x, x_row, LANES, b, sums);
    add_products(rows, x, x_row, last, b, sums);
#pragma GCC unroll 3
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int c = 0; c < WIDTH; c++)
            parts[i * WIDTH + c] = sums[i][c];
}

typedef void rows_function(ptrdiff_t vectors, ptrdiff_t last, const real *x, ptrdiff_t x_row,
                           const vec *b, vec *parts);
#define ROWS_FUNCTION(rows)                                                                        \
    static void multiply_##rows(ptrdiff_t vectors, ptrdiff_t last, const real *x, ptrdiff_t x_row, \
                                const vec *b, vec *parts)                                          \
    {                                                                                              \
        multiply_rows(rows, vectors, last, x, x_row, b, parts);                                    \
    }
ROWS_FUNCTION(1)
ROWS_FUNCTION(2)
ROWS_FUNCTION(3)
static rows_function *const MULTIPLY[HEIGHT] = {multiply_1, multiply_2, multiply_3};

/* Adds rows times their numbers y to so many vectors of a panel of sums; the rows that follow are
 * fetched. */
FML_INLINE void add_rows(int vectors, ptrdiff_t rows, ptrdiff_t last, const real *x,
                         ptrdiff_t x_row, const real *y, vec *panel)
{
    vec sums[HEIGHT][WIDTH];
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++)
#pragma GCC unroll 8
        for (int c = 0; c < WIDTH; c++)
            sums[v][c] = panel[v * WIDTH + c];
    for (ptrdiff_t r = 0; r < rows; r++, x += x_row, y += WIDTH) {
        vec values[HEIGHT];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) {
            values[v] = load_some(x + v * LANES, v == vectors - 1 ? last : LANES);
            __builtin_prefetch(
                (const void *)((uintptr_t)(x + v * LANES) + (uintptr_t)(rows * x_row) * sizeof *x));
        }
#pragma GCC unroll 8
        for (int c = 0; c < WIDTH; c++)
#pragma GCC unroll 3
            for (int v = 0; v < vectors; v++)
                sums[v][c] += y[c] * values[v];
    }
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++)
#pragma GCC unroll 8
        for (int c = 0; c < WIDTH; c++)
            panel[v * WIDTH + c] = sums[v][c];
}

typedef void sums_function(ptrdiff_t rows, ptrdiff_t last, const real *x, ptrdiff_t x_row,
                           const real *y, vec *panel);
#define SUMS_FUNCTION(vectors)                                                                \
    static void add_##vectors(ptrdiff_t rows, ptrdiff_t last, const real *x, ptrdiff_t x_row, \
                              const real *y, vec *panel)                                      \
    {                                                                                         \
        add_rows(vectors, rows, last, x, x_row, y, panel);                                    \
    }
SUMS_FUNCTION(1)
SUMS_FUNCTION(2)
SUMS_FUNCTION(3)
static sums_function *const ADD[HEIGHT] = {add_1, add_2, add_3};

static real sum_lanes(const vec *v)
{
    real lanes[LANES];
    memcpy(lanes, v, sizeof lanes);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

FML_INLINE ptrdiff_t of_block(const task *t)
{
    return t->panels * BLOCK_ROWS * WIDTH;
}

/* y of a block, for the kernel's caller and, padded with zeros, for the second product. */
static void finish_products(const task *t, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t panel,
                            const block *own)
{
    const double *totals = own->totals + panel * BLOCK_ROWS * WIDTH;
    real *y = own->y + panel * BLOCK_ROWS * WIDTH;
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < WIDTH; c++) {
            ptrdiff_t column = panel * WIDTH + c;
            real sum = 0;
            if (column < t->count) {
                sum = (real)(totals[r * WIDTH + c] - (double)t->offset[column]);
                t->y[(start + r) * t->count + column] = sum;
            }
            y[r * WIDTH + c] = sum;
        }
}

/* Products of some vectors of the rows, from v on: all panels find them in the first cache. */
static void multiply_chunk(const task *t, ptrdiff_t start, ptrdiff_t rows, ptrdiff_t v,
                           ptrdiff_t count, const block *own)
{
    const ptrdiff_t last = v + count == t->vectors ? t->last : LANES;
    for (ptrdiff_t r = 0; r < rows; r += HEIGHT) {
        const real *x = t->x + (start + r) * t->n + v * LANES;
        for (ptrdiff_t panel = 0; panel < t->panels; panel++)
            MULTIPLY[smaller(HEIGHT, rows - r) - 1](count, last, x, t->n,
                                                    t->b + (panel * t->vectors + v) * WIDTH,
                                                    own->parts + (panel * BLOCK_ROWS + r) * WIDTH);
    }
}

static void multiply_block(const task *t, ptrdiff_t start, ptrdiff_t rows, const block *own,
                           fml_watch *watch)
{
    memset(own->totals, 0, (size_t)of_block(t) * sizeof *own->totals);
    for (ptrdiff_t span = 0; span < t->vectors && !fml_stopped(watch); span += SPAN) {
        const ptrdiff_t end = smaller(span + SPAN, t->vectors);
        memset(own->parts, 0, (size_t)of_block(t) * sizeof *own->parts);
        for (ptrdiff_t v = span; v < end; v += CHUNK)
            multiply_chunk(t, start, rows, v, smaller(CHUNK, end - v), own);
        for (ptrdiff_t i = 0; i < of_block(t); i++)
            own->totals[i] += (double)sum_lanes(own->parts + i);
    }
    for (ptrdiff_t panel = 0; panel < t->panels; panel++)
        finish_products(t, start, rows, panel, own);
}

static void add_block(const task *t, ptrdiff_t start, ptrdiff_t rows, const block *own, vec *sums)
{
    for (ptrdiff_t v = 0; v < t->vectors; v += HEIGHT) {
        ptrdiff_t count = smaller(HEIGHT, t->vectors - v);
        ptrdiff_t last = v + count == t->vectors ? t->last : LANES;
        for (ptrdiff_t panel = 0; panel < t->panels; panel++)
            ADD[count - 1](rows, last, t->x + start * t->n + v * LANES, t->n,
                           own->y + panel * BLOCK_ROWS * WIDTH,
                           sums + (panel * t->vectors + v) * WIDTH);
    }
}

static void sum_group(const task *t, ptrdiff_t group, const block *own, fml_watch *watch)
{
    ptrdiff_t size = t->panels * t->vectors * WIDTH, rows = fml_blocks_of(t->m, t->groups);
    ptrdiff_t start = group * rows, end = smaller(start + rows, t->m);
    vec *sums = t->sums + group * size;
    memset(sums, 0, (size_t)size * sizeof *sums);
    for (; start < end && !fml_stopped(watch); start += BLOCK_ROWS) {
        ptrdiff_t height = smaller(BLOCK_ROWS, end - start);
        multiply_block(t, start, height, own, watch);
        add_block(t, start, height, own, sums);
    }
}

/* Sums of all groups of a vector of a panel, to the rows of `out`. */
static void put_sums(const task *t, ptrdiff_t v, real *out)
{
    const ptrdiff_t size = t->panels * t->vectors * WIDTH;
    const ptrdiff_t lanes = v + 1 == t->vectors ? t->last : LANES;
    for (ptrdiff_t row = 0; row < t->count; row++) {
        const vec *sums = t->sums + (row / WIDTH * t->vectors + v) * WIDTH + row % WIDTH;
        double total[LANES] = {0};
        for (ptrdiff_t group = 0; group < t->groups; group++)
            for (int l = 0; l < LANES; l++)
                total[l] += (double)sums[group * size][l];
        for (ptrdiff_t l = 0; l < lanes; l++)
            out[row * t->n + v * LANES + l] = (real)total[l];
    }
}

static void pack(const task *t, const real *b)
{
    memset(t->b, 0, (size_t)(t->panels * t->vectors * WIDTH) * sizeof *t->b);
    for (ptrdiff_t row = 0; row < t->count; row++) {
        vec *panel = t->b + row / WIDTH * t->vectors * WIDTH + row % WIDTH;
        for (ptrdiff_t v = 0; v < t->vectors; v++)
            panel[v * WIDTH] =
                load_some(b + row * t->n + v * LANES, v + 1 == t->vectors ? t->last : LANES);
    }
}

static ptrdiff_t groups_of(ptrdiff_t rows)
{
    ptrdiff_t few = smaller(GROUPS, fml_blocks_of(rows, LEAST_ROWS)),
              many = fml_blocks_of(rows, MOST_ROWS);
    return few > many ? few : many;
}

fml_status FML(gram_times)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t count, const real *x, const real *b,
                           const real *offset, real *y, real *out, int threads)
{
    task t = {.m = m,
              .n = n,
              .count = count,
              .vectors = fml_blocks_of(n, LANES),
              .last = last_lanes(n),
              .panels = fml_blocks_of(count, WIDTH),
              .groups = groups_of(m),
              .x = x,
              .offset = offset,
              .y = y};
    const int team = fml_clamp_threads(threads, t.groups);
    fml_status status = FML_NO_MEMORY;
    t.b = fml_alloc((t.groups + 1) * t.panels * WIDTH, (size_t)t.vectors * sizeof *t.b);
    vec *parts = fml_alloc(team * of_block(&t), sizeof *parts);
    double *totals = fml_alloc(team * of_block(&t), sizeof *totals);
    real *products = fml_alloc(team * of_block(&t), sizeof *products);
    if (!t.b || !parts || !totals || !products)
        goto done;
    t.sums = t.b + t.panels * t.vectors * WIDTH;
    pack(&t, b);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(team)
    for (ptrdiff_t group = 0; group < t.groups; group++) {
        const ptrdiff_t first = fml_thread_number() * of_block(&t);
        const block own = {parts + first, totals + first, products + first};
        sum_group(&t, group, &own, &watch);
    }
    status = fml_watch_status(&watch);
    if (status == FML_OK) {
#pragma omp parallel for schedule(static) num_threads(team)
        for (ptrdiff_t v = 0; v < t.vectors; v++)
            put_sums(&t, v, out);
    }
done:
    fml_free(products);
    fml_free(totals);
    fml_free(parts);
    fml_free(t.b);
    return status;
}
