/* A stack of products: which matrices belong together, and how threads share them.
 *
 * Cost: that of the products; a small one takes a few nanoseconds beside its flops.
 */
#include "dense.h"

enum { MAX_DIMS = 64 };
/* Multiply-adds of a chunk of products that a thread takes: some 20 microseconds of double. */
enum { CHUNK_WORK = 1 << 20 };
/* Multiply-adds of one product from which on threads share each product. */
enum { SHARED_WORK = 1 << 22 };
/* Multiply-adds and bytes of a stack that are worth a second thread: half a millisecond. Right
 * after other calls it is awake and less would do; after a pause waking it takes 0.2 ms and more.
 */
enum { TEAM_COST = 1 << 25 };
/* Terms up to which large results go past the caches, where rows are whole lines and where they are
 * not. 4096 x 4096 of double by 8 terms take 0.35 and 0.43 of the time, by 16 0.48 and 0.57, by 32
 * 0.92 and 0.96, by 64 0.98 and 1.08; stacks of 64 x 64 0.9. */
enum { TERMS_OF_LINES = 64, TERMS_OF_PIECES = 16 };
/* Bytes of a row from which on it goes by pieces: with 3 columns that took 2.2 times as long, with
 * 1001 of double 0.8 to 1.2. */
enum { LONG_ROW = 1 << 14 };

/* Products at equal distances, in up to MAX_DIMS dimensions; the last one varies fastest. */
typedef struct batch {
    product first;
    ptrdiff_t unit; /* numbers of an element: 2 for complex ones */
    ptrdiff_t dims, count;
    ptrdiff_t sizes[MAX_DIMS], a[MAX_DIMS], b[MAX_DIMS], c[MAX_DIMS];
} batch;

/* Adds a dimension within the others, or makes the last one longer. */
static void append(batch *x, ptrdiff_t size, ptrdiff_t a, ptrdiff_t b, ptrdiff_t c)
{
    ptrdiff_t last = x->dims - 1;
    if (size == 1)
        return;
    x->count *= size;
    if (last >= 0 && x->a[last] == a * size && x->b[last] == b * size && x->c[last] == c * size) {
        x->sizes[last] *= size;
    } else {
        x->dims++;
        last++;
        x->sizes[last] = size;
    }
    x->a[last] = a;
    x->b[last] = b;
    x->c[last] = c;
}

/* C' = B'A' where the columns of C are next to each other and its rows are not. */
static void turn(batch *x, ptrdiff_t c_row, ptrdiff_t c_col)
{
    product *p = &x->first;
    p->c_row = c_row;
    if (p->n == 1 || c_col == x->unit)
        return;
    product t = {.m = p->n,
                 .n = p->m,
                 .k = p->k,
                 .a = p->b,
                 .a_row = p->b_col,
                 .a_col = p->b_row,
                 .b = p->a,
                 .b_row = p->a_col,
                 .b_col = p->a_row,
                 .c = p->c,
                 .c_row = c_col};
    *p = t;
    for (ptrdiff_t d = 0; d < x->dims; d++) {
        ptrdiff_t a = x->a[d];
        x->a[d] = x->b[d];
        x->b[d] = a;
    }
}

/* Matrices under each other that are multiplied with the same B are one. */
static void join_rows(batch *x)
{
    product *p = &x->first;
    ptrdiff_t d = x->dims - 1;
    if (d < 0 || x->b[d] != 0)
        return;
    if (p->m == 1) {
        p->a_row = x->a[d];
        p->c_row = x->c[d];
    }
    if (x->a[d] != p->m * p->a_row || x->c[d] != p->m * p->c_row)
        return;
    p->m *= x->sizes[d];
    x->count /= x->sizes[d];
    x->dims--;
}

/* Whether each row of each C, and of its tiles, is made of whole lines. */
static bool is_in_lines(const batch *x)
{
    const product *p = &x->first;
    ptrdiff_t starts = (ptrdiff_t)((uintptr_t)p->c / sizeof(real)) | p->c_row | p->n * x->unit;
    for (ptrdiff_t d = 0; d < x->dims; d++)
        starts |= x->c[d];
    return (starts | COLUMNS) % CACHE_LINE == 0;
}

/* Large results of few terms go past the caches: memory sets the pace of these. */
static void choose_stores(batch *x)
{
    product *p = &x->first;
    if (!fml_is_streamed(x->count * p->m * p->n * x->unit, sizeof(real)))
        return;
    p->is_in_lines = is_in_lines(x);
    bool is_long = p->n * x->unit >= LONG_ROW / (ptrdiff_t)sizeof(real);
    p->is_streamed = p->is_in_lines ? p->k * x->unit <= TERMS_OF_LINES
                                    : is_long && p->k * x->unit <= TERMS_OF_PIECES;
}

/* Its arrays stay unset beyond `dims`: clearing 2 KB would take longer than a small product. */
static void read_stack(const fml_stack *stack, ptrdiff_t unit, const real *a, const real *b,
                       real *c, batch *x)
{
    enum { SIZE = sizeof(real) };
    ptrdiff_t row = stack->dims - 2, col = stack->dims - 1;
    x->unit = unit;
    x->dims = 0;
    x->count = 1;
    x->first = (product){.m = stack->shape[row],
                         .n = stack->shape[col],
                         .k = stack->k,
                         .a = a,
                         .a_row = stack->a[row] / SIZE,
                         .a_col = stack->a[col] / SIZE,
                         .b = b,
                         .b_row = stack->b[row] / SIZE,
                         .b_col = stack->b[col] / SIZE,
                         .c = c};
    for (ptrdiff_t d = 0; d < row; d++)
        append(x, stack->shape[d], stack->a[d] / SIZE, stack->b[d] / SIZE, stack->c[d] / SIZE);
    turn(x, stack->c[row] / SIZE, stack->c[col] / SIZE);
    join_rows(x);
    settle_strides(&x->first, unit);
    choose_stores(x);
}

/* Product i of the batch. */
static product product_at(const batch *x, ptrdiff_t i)
{
    product p = x->first;
    for (ptrdiff_t d = x->dims - 1; d >= 0; d--) {
        ptrdiff_t index = i % x->sizes[d];
        i /= x->sizes[d];
        p.a += index * x->a[d];
        p.b += index * x->b[d];
        p.c += index * x->c[d];
    }
    return p;
}

/* Products first .. end - 1, on one thread. */
static fml_status multiply_chunk(const batch *x, multiply_function *multiply, ptrdiff_t first,
                                 ptrdiff_t end)
{
    ptrdiff_t d = x->dims - 1;
    fml_status status = FML_OK;
    while (first < end && status == FML_OK) {
        run part = {product_at(x, first), x->a[d], x->b[d], x->c[d]};
        ptrdiff_t count = smaller(end - first, x->sizes[d] - first % x->sizes[d]);
        first += count;
        if (x->unit == 1)
            FML(multiply_run)(part, count);
        else
            for (; count > 0 && status == FML_OK; count--, next_product(&part))
                status = multiply(&part.p, 1);
    }
    if (x->first.is_streamed)
        fml_end_stream();
    return status;
}

/* Of one product: multiply-adds, and bytes of its matrices. */
static ptrdiff_t cost_of(const batch *x, ptrdiff_t work)
{
    const product *p = &x->first;
    ptrdiff_t numbers = (p->m * p->k + p->k * p->n + p->m * p->n) * x->unit;
    return work * x->unit * x->unit + numbers * (ptrdiff_t)sizeof(real);
}

static fml_status multiply_batch(const batch *x, multiply_function *multiply, ptrdiff_t work,
                                 int threads)
{
    ptrdiff_t chunk = CHUNK_WORK / work + 1, chunks = fml_blocks_of(x->count, chunk);
    int failure = FML_OK;
    if (chunks == 1) /* without a team, even of one, which takes as long as 50 small products */
        return multiply_chunk(x, multiply, 0, x->count);
    fml_watch watch;
    fml_watch_start(&watch);
    int team = x->count < TEAM_COST / cost_of(x, work) ? 1 : fml_clamp_threads(threads, chunks);
#pragma omp parallel for schedule(dynamic) num_threads(team)
    for (ptrdiff_t i = 0; i < chunks; i++) {
        if (fml_stopped(&watch))
            continue;
        int status =
            (int)multiply_chunk(x, multiply, i * chunk, smaller((i + 1) * chunk, x->count));
        if (status != FML_OK) {
#pragma omp atomic write
            failure = status;
        }
    }
    return failure == FML_OK ? fml_watch_status(&watch) : (fml_status)failure;
}

static void clear(const batch *x)
{
    for (ptrdiff_t i = 0; i < x->count; i++) {
        product p = product_at(x, i);
        for (ptrdiff_t row = 0; row < p.m; row++)
            memset(p.c + row * p.c_row, 0, (size_t)(p.n * x->unit) * sizeof(real));
    }
}

/* Whether it is X'X, of which one triangle is enough. */
static bool is_gram(const product *p)
{
    return p->a == p->b && p->m == p->n && p->a_row == p->b_col && p->a_col == p->b_row &&
           p->c_row == p->n;
}

/* One product by all threads. */
static fml_status multiply_one(product p, ptrdiff_t unit, multiply_function *multiply, int threads)
{
    if (unit != 1 || !is_gram(&p))
        return multiply(&p, threads);
    p.triangle = 1;
    p.is_streamed = false; /* its mirror image is made of it */
    fml_status status = multiply(&p, threads);
    FML(mirror)(p.c, p.n, 1, threads);
    return status;
}

/* Products one after the other, each of which may be too short to see a signal. */
static fml_status multiply_each(const batch *x, multiply_function *multiply, int threads)
{
    if (x->count == 1)
        return multiply_one(x->first, x->unit, multiply, threads);
    fml_status status = FML_OK;
    fml_watch watch;
    fml_watch_start(&watch);
    for (ptrdiff_t i = 0; i < x->count && status == FML_OK; i++)
        status = fml_stopped(&watch) ? FML_INTERRUPTED
                                     : multiply_one(product_at(x, i), x->unit, multiply, threads);
    return status;
}

fml_status FML(multiply_stack)(const fml_stack *stack, ptrdiff_t unit, multiply_function *multiply,
                               const real *a, const real *b, real *c, int threads)
{
    for (ptrdiff_t d = 0; d < stack->dims; d++)
        if (stack->shape[d] == 0)
            return FML_OK;
    batch x;
    read_stack(stack, unit, a, b, c, &x);
    if (stack->k == 0) {
        clear(&x);
        return FML_OK;
    }
    ptrdiff_t work = work_of(&x.first);
    if (x.count > 1 && work < SHARED_WORK)
        return multiply_batch(&x, multiply, work, threads);
    return multiply_each(&x, multiply, threads);
}

fml_status FML(matmul)(const fml_stack *stack, const real *a, const real *b, real *c, int threads)
{
    return FML(multiply_stack)(stack, 1, FML(multiply), a, b, c, threads);
}
