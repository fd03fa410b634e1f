/* Products of numbers of 8 and 16 bits, summed up in 32.
 *
 * A real here is a pair of terms of a sum, two numbers of 16 bits, and the product of two pairs
 * (x, y) and (u, v) is x u + y v, one instruction of every x86 (`times` in vectors.h). Operands
 * become pairs where they are packed. A block of B, shared by all threads, stays in the
 * second-level cache; each task packs some rows of A, which its panels pass by.
 * Cost: m n k multiply-adds, twice as many in an instruction as of 32 bits; B is packed once, A
 * n / SHARED_COLUMNS times.
 */
#include "dense.h"

/* Columns of B that are packed at a time: 512 KB. */
enum { SHARED_COLUMNS = 512 };
/* Rows of A of a task, for which a panel of B is read once: whole tiles of 4, 6 and 8, 48 KB. */
enum { TASK_ROWS = 48 };
/* Multiply-adds that are worth a second thread: 30 microseconds. */
enum { THREAD_WORK = 1 << 23 };

/* Numbers of 16 bits in the memory of pairs. */
typedef int16_t half __attribute__((may_alias));

typedef struct block {
    const fml_short *a, *b;
    ptrdiff_t m, n, k; /* of the product */
    uint32_t *c;
    ptrdiff_t c_row;
    real *panels;                            /* of B */
    real *own;                               /* room for TASK_ROWS * BLOCK_K pairs of each thread */
    ptrdiff_t column, columns, start, terms; /* of the block */
} block;

static ptrdiff_t size_of(fml_short_kind kind)
{
    return kind == FML_INT16 ? 2 : 1;
}

FML_INLINE int16_t number(fml_short_kind kind, const char *at)
{
    int16_t x;
    if (kind == FML_INT8)
        return *(const signed char *)at;
    if (kind == FML_UINT8)
        return *(const unsigned char *)at;
    memcpy(&x, at, sizeof x);
    return x;
}

FML_INLINE void widen(fml_short_kind kind, ptrdiff_t terms, const char *in, half *out)
{
    const ptrdiff_t size = kind == FML_INT16 ? 2 : 1;
    for (ptrdiff_t p = 0; p < terms; p++)
        out[p] = number(kind, in + p * size);
}

/* Lines of terms that are next to each other: pair p of line l goes to out[l * pairs + p]. */
static void pair_lines(fml_short_kind kind, ptrdiff_t lines, ptrdiff_t terms, const char *in,
                       ptrdiff_t line, real *out)
{
    const ptrdiff_t pairs = blocks_of(terms, 2);
    for (ptrdiff_t l = 0; l < lines; l++, in += line, out += pairs) {
        half *numbers = (half *)out;
        numbers[2 * pairs - 1] = 0; /* where their number is odd */
        if (kind == FML_INT8)       /* known to the compiler, which then works in vectors */
            widen(FML_INT8, terms, in, numbers);
        else if (kind == FML_UINT8)
            widen(FML_UINT8, terms, in, numbers);
        else
            widen(FML_INT16, terms, in, numbers);
    }
}

/* A pair of each lane from two terms, or one. */
FML_INLINE void pair_terms(fml_short_kind kind, ptrdiff_t lanes, const char *x, const char *y,
                           ptrdiff_t lane, real *out)
{
    for (ptrdiff_t l = 0; l < lanes; l++)
        out[l] = (uint16_t)number(kind, x + l * lane);
    for (ptrdiff_t l = 0; y != NULL && l < lanes; l++)
        out[l] |= (uint32_t)(uint16_t)number(kind, y + l * lane) << 16;
}

/* Other lines, term by term into a panel: pair p of lane l goes to out[p * width + l]. */
static void pair_lanes(fml_short_kind kind, ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t terms,
                       const char *in, ptrdiff_t lane, ptrdiff_t step, real *out)
{
    for (ptrdiff_t p = 0; p < terms; p += 2, in += 2 * step, out += width) {
        const char *next = p + 1 < terms ? in + step : NULL;
        if (kind == FML_INT8 && lane == 1)
            pair_terms(FML_INT8, lanes, in, next, 1, out);
        else if (kind == FML_UINT8 && lane == 1)
            pair_terms(FML_UINT8, lanes, in, next, 1, out);
        else
            pair_terms(kind, lanes, in, next, lane, out);
        memset(out + lanes, 0, (size_t)(width - lanes) * sizeof *out);
    }
}

static real *own_room(const block *x)
{
    return x->own + fml_thread_number() * TASK_ROWS * BLOCK_K;
}

static void pack_b(const block *x, ptrdiff_t panel)
{
    const fml_short *b = x->b;
    ptrdiff_t column = panel * COLUMNS, lanes = smaller(COLUMNS, x->columns - column);
    ptrdiff_t pairs = blocks_of(x->terms, 2);
    const char *in = (const char *)b->data + x->start * b->row + (x->column + column) * b->col;
    real *out = x->panels + column * pairs, *lines = own_room(x);
    if (b->row != size_of(b->kind)) {
        pair_lanes(b->kind, COLUMNS, lanes, x->terms, in, b->col, b->row, out);
        return;
    }
    pair_lines(b->kind, lanes, x->terms, in, b->col, lines);
    FML(pack_panel)(COLUMNS, lanes, pairs, lines, pairs, 1, out);
}

/* Some rows of C, from `row` on. */
static void multiply_rows(const block *x, ptrdiff_t row, ptrdiff_t rows)
{
    const fml_short *a = x->a;
    const char *in = (const char *)a->data + row * a->row + x->start * a->col;
    ptrdiff_t pairs = blocks_of(x->terms, 2);
    bool by_lines = a->col == size_of(a->kind);
    real *own = own_room(x);
    if (by_lines)
        pair_lines(a->kind, rows, x->terms, in, a->row, own);
    for (ptrdiff_t i = 0; i < rows && !by_lines; i += ROWS)
        pair_lanes(a->kind, ROWS, smaller(ROWS, rows - i), x->terms, in + i * a->row, a->row,
                   a->col, own + i * pairs);
    for (ptrdiff_t j = 0; j < x->columns; j += COLUMNS) {
        ptrdiff_t columns = smaller(COLUMNS, x->columns - j);
        uint32_t *c = x->c + row * x->c_row + x->column + j;
        for (ptrdiff_t i = 0; i < rows; i += ROWS) {
            ptrdiff_t height = smaller(ROWS, rows - i);
            FML(tile)(height, columns)(pairs, own + i * pairs, by_lines ? pairs : 1,
                                       by_lines ? 1 : ROWS, x->panels + j * pairs, COLUMNS,
                                       last_lanes(columns), c + i * x->c_row, x->c_row,
                                       x->start > 0);
        }
    }
}

static void multiply_team(block x, fml_watch *watch)
{
    for (x.column = 0; x.column < x.n; x.column += SHARED_COLUMNS)
        for (x.start = 0; x.start < x.k; x.start += 2 * BLOCK_K) {
            x.columns = smaller(SHARED_COLUMNS, x.n - x.column);
            x.terms = smaller(2 * BLOCK_K, x.k - x.start);
#pragma omp for schedule(static)
            for (ptrdiff_t panel = 0; panel < blocks_of(x.columns, COLUMNS); panel++)
                if (!fml_stopped(watch))
                    pack_b(&x, panel);
#pragma omp for schedule(dynamic)
            for (ptrdiff_t row = 0; row < x.m; row += TASK_ROWS)
                if (!fml_stopped(watch))
                    multiply_rows(&x, row, smaller(TASK_ROWS, x.m - row));
        }
}

static void clear(const block *x)
{
    for (ptrdiff_t i = 0; i < x->m; i++)
        memset(x->c + i * x->c_row, 0, (size_t)x->n * sizeof *x->c);
}

fml_status FML(matmul_short)(ptrdiff_t m, ptrdiff_t k, ptrdiff_t n, const fml_short *a,
                             const fml_short *b, uint32_t *c, ptrdiff_t c_row, int threads)
{
    block x = {.a = a, .b = b, .m = m, .n = n, .k = k, .c = c, .c_row = c_row / 4};
    const product sizes = {.m = m, .n = n, .k = k};
    if (k == 0 || m == 0 || n == 0) {
        clear(&x);
        return FML_OK;
    }
    bool is_small = work_of(&sizes) < THREAD_WORK;
    int team = fml_clamp_threads(threads, is_small ? 1 : blocks_of(m, TASK_ROWS));
    ptrdiff_t panels = blocks_of(smaller(n, SHARED_COLUMNS), COLUMNS) * COLUMNS * BLOCK_K;
    x.panels = fml_alloc_kept(panels + team * TASK_ROWS * BLOCK_K, sizeof *x.panels);
    if (!x.panels)
        return FML_NO_MEMORY;
    x.own = x.panels + panels;
    fml_watch watch;
    fml_watch_start(&watch);
    /* A team of one would wake nobody at each barrier, by system calls. */
    if (team == 1 && !fml_is_in_team()) {
        multiply_team(x, &watch);
    } else {
#pragma omp parallel num_threads(team)
        multiply_team(x, &watch);
    }
    fml_keep(x.panels);
    return fml_watch_status(&watch);
}
