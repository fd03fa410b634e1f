/* Products of numbers of 8 and 16 bits, summed up in 32.
 *
 * A real here is TERMS terms of a sum, two numbers of 16 bits or four of 8, and the product of two
 * reals is the sum of those of their terms (`add_times` in vectors.h): one instruction of every x86
 * for two; for four one of newer ones (VNNI), to which terms of A are unsigned and those of B
 * signed. So 128 is added to numbers of a signed A and taken off those of an unsigned B, and sums
 * start from what that changes: (a - 128) (b + 128) = a b + 128 a - 128 (b + 128). Operands become
 * reals where they are packed. A block of B, shared by all threads, stays in the second-level
 * cache; each task packs some rows of A, which its panels pass by.
 * Cost: m n k multiply-adds, TERMS times as many in an instruction as of 32 bits; B is packed once,
 * A n / SHARED_COLUMNS times.
 */
#include "dense.h"

enum { TERMS = FML_TERMS(FML_TYPE), TERM_BITS = 32 / TERMS };
/* Columns of B that are packed at a time: 512 KB. */
enum { SHARED_COLUMNS = 512 };
/* Rows of A of a task, for which a panel of B is read once: at most 32 KB, and so few that two
 * threads share 256 evenly (48 took them 1.06 times as long). */
enum { TASK_ROWS = 4 * ROWS };
_Static_assert(COLUMNS <= TASK_ROWS && SHARED_COLUMNS % COLUMNS == 0,
               "room for the lines of a panel, and sums that start whole ones");
/* Multiply-adds that are worth a second thread: 30 microseconds. */
enum { THREAD_WORK = TERMS << 22 };

/* A real whose four terms are 1. */
static const real ONES = 0x01010101;

/* Terms in the memory of reals. */
#if FML_TERMS(FML_TYPE) == 4
typedef uint8_t term;
#else
typedef int16_t term __attribute__((may_alias));
#endif

typedef struct block {
    const fml_short *a, *b;
    real a_flip, b_flip; /* of four terms: 128 where A is signed, and where B is not */
    ptrdiff_t m, n, k;   /* of the product */
    uint32_t *c;
    ptrdiff_t c_row;
    real *panels;                            /* of B */
    real *starts;                            /* what sums of its columns start from */
    real *own;                               /* room for TASK_ROWS * BLOCK_K reals of each thread */
    ptrdiff_t column, columns, start, terms; /* of the block */
} block;

static ptrdiff_t size_of(fml_short_kind kind)
{
    return kind == FML_INT16 ? 2 : 1;
}

/* A term; of four, a byte of either kind and the flip of its highest bit. */
FML_INLINE term number(fml_short_kind kind, real flip, const char *at)
{
    int16_t x;
    if (TERMS == 4)
        return (term)(*(const unsigned char *)at ^ flip);
    if (kind == FML_INT8)
        return (term)(*(const signed char *)at);
    if (kind == FML_UINT8)
        return (term)(*(const unsigned char *)at);
    memcpy(&x, at, sizeof x);
    return (term)x;
}

FML_INLINE void convert(fml_short_kind kind, real flip, ptrdiff_t terms, const char *in, term *out)
{
    const ptrdiff_t size = kind == FML_INT16 ? 2 : 1;
    for (ptrdiff_t p = 0; p < terms; p++)
        out[p] = number(kind, flip, in + p * size);
}

/* Lines of terms that are next to each other: real p of line l goes to out[l * reals + p]. */
static void group_lines(fml_short_kind kind, real flip, ptrdiff_t lines, ptrdiff_t terms,
                        const char *in, ptrdiff_t line, real *out)
{
    const ptrdiff_t reals = fml_blocks_of(terms, TERMS);
    for (ptrdiff_t l = 0; l < lines; l++, in += line, out += reals) {
        out[reals - 1] = 0;                 /* terms that it has and the line has not */
        if (TERMS == 4 || kind == FML_INT8) /* known to the compiler, which then uses vectors */
            convert(FML_INT8, flip, terms, in, (term *)out);
        else if (kind == FML_UINT8)
            convert(FML_UINT8, flip, terms, in, (term *)out);
        else
            convert(FML_INT16, flip, terms, in, (term *)out);
    }
}

/* LANES terms next to each other; a loop, since gcc makes single numbers of a converted vector, as
 * it does of four signed bytes. */
FML_INLINE vec load_terms(fml_short_kind kind, const char *at)
{
    const bool is_signed = TERMS == 2 && kind == FML_INT8;
    const ptrdiff_t size = kind == FML_INT16 ? 2 : 1;
    real terms[LANES];
    for (ptrdiff_t l = 0; l < LANES; l++)
        terms[l] = (real)number(is_signed ? FML_UINT8 : kind, 0, at + l * size);
    vec found = load(terms);
    if (is_signed)
        found = (found ^ 128) - 128;
    return found & UINT32_MAX >> (32 - TERM_BITS);
}

/* The reals of LANES lanes next to each other. */
FML_INLINE vec group_vector(fml_short_kind kind, real flip, const char *in, ptrdiff_t step)
{
    vec group = load_terms(kind, in);
#pragma GCC unroll 4
    for (int t = 1; t < TERMS; t++)
        group |= load_terms(kind, in + t * step) << t * TERM_BITS;
    return group ^ flip * ONES;
}

/* The real of one lane, from at most TERMS terms. */
FML_INLINE real group_one(fml_short_kind kind, real flip, ptrdiff_t terms, const char *in,
                          ptrdiff_t step)
{
    const real mask = UINT32_MAX >> (32 - TERM_BITS);
    real group = 0;
    for (ptrdiff_t t = 0; t < terms; t++)
        group |= ((real)number(kind, flip, in + t * step) & mask) << t * TERM_BITS;
    return group;
}

/* A row of a panel: the reals of some lanes. */
FML_INLINE void group_lanes(fml_short_kind kind, real flip, ptrdiff_t lanes, ptrdiff_t terms,
                            const char *in, ptrdiff_t lane, ptrdiff_t step, real *out)
{
    ptrdiff_t l = 0;
    if (lane == size_of(kind) && terms >= TERMS)
        for (; l + LANES <= lanes; l += LANES)
            store(out + l, group_vector(kind, flip, in + l * lane, step));
    for (; l < lanes; l++)
        out[l] = group_one(kind, flip, smaller(TERMS, terms), in + l * lane, step);
}

/* The same, of a kind that the compiler knows. */
static void group_any_lanes(fml_short_kind kind, real flip, ptrdiff_t lanes, ptrdiff_t terms,
                            const char *in, ptrdiff_t lane, ptrdiff_t step, real *out)
{
    if (TERMS == 4 || kind == FML_INT8)
        group_lanes(FML_INT8, flip, lanes, terms, in, lane, step, out);
    else if (kind == FML_UINT8)
        group_lanes(FML_UINT8, flip, lanes, terms, in, lane, step, out);
    else
        group_lanes(FML_INT16, flip, lanes, terms, in, lane, step, out);
}

#if FML_SHUFFLES

/* A byte of each column of a panel, and two bytes of each of half of them. CPUs shuffle within
 * GROUP bytes. */
typedef uint8_t bytes __attribute__((vector_size(COLUMNS)));
typedef uint16_t pairs __attribute__((vector_size(COLUMNS)));
enum { GROUP = COLUMNS < 16 ? COLUMNS : 16 };

/* Bytes of x and y in turn: of each group the first half (0) or the last (1). */
FML_INLINE pairs zip_bytes(bytes x, bytes y, int half)
{
    bytes from;
    for (int l = 0; l < COLUMNS; l++)
        from[l] = (uint8_t)(l / GROUP * GROUP + (half * GROUP + l % GROUP) / 2 + l % 2 * COLUMNS);
    return (pairs)__builtin_shuffle(x, y, from);
}

/* The same of pairs. */
FML_INLINE pairs zip_pairs(pairs x, pairs y, int half)
{
    enum { ALL = COLUMNS / 2, SOME = GROUP / 2 };
    pairs from;
    for (int l = 0; l < ALL; l++)
        from[l] = (uint16_t)(l / SOME * SOME + (half * SOME + l % SOME) / 2 + l % 2 * ALL);
    return __builtin_shuffle(x, y, from);
}

/* Part `part` of the columns of each group, so many of them. */
FML_INLINE void store_groups(const void *reals, ptrdiff_t part, ptrdiff_t columns, real *out)
{
    for (ptrdiff_t g = 0; g < COLUMNS / GROUP; g++)
        memcpy(out + g * GROUP + part * columns, (const real *)reals + g * columns,
               (size_t)columns * sizeof *out);
}

/* TERMS rows of COLUMNS bytes to a row of a panel: one row by 512 x 512 in half of the time, eight
 * in 0.7. */
FML_INLINE void group_bytes(fml_short_kind kind, real flip, const char *in, ptrdiff_t step,
                            real *out)
{
    bytes rows[TERMS];
    for (int t = 0; t < TERMS; t++) {
        memcpy(rows + t, in + t * step, sizeof *rows);
        rows[t] ^= (uint8_t)flip;
    }
#if FML_TERMS(FML_TYPE) == 2
    typedef int8_t signed_bytes __attribute__((vector_size(COLUMNS)));
    typedef int16_t numbers __attribute__((vector_size(2 * COLUMNS)));
    for (int half = 0; half < 2; half++) {
        pairs found = zip_bytes(rows[0], rows[1], half);
        numbers wide = kind == FML_INT8 ? __builtin_convertvector((signed_bytes)found, numbers)
                                        : __builtin_convertvector((bytes)found, numbers);
        store_groups(&wide, half, GROUP / 2, out);
    }
#else
    (void)kind;
    for (int half = 0; half < 2; half++) {
        pairs first = zip_bytes(rows[0], rows[1], half), last = zip_bytes(rows[2], rows[3], half);
        for (int quarter = 0; quarter < 2; quarter++) {
            pairs found = zip_pairs(first, last, quarter);
            store_groups(&found, 2 * half + quarter, GROUP / 4, out);
        }
    }
#endif
}

/* The same, of a kind that the compiler knows. */
static void group_any_bytes(fml_short_kind kind, real flip, const char *in, ptrdiff_t step,
                            real *out)
{
    if (TERMS == 4 || kind == FML_INT8)
        group_bytes(FML_INT8, flip, in, step, out);
    else
        group_bytes(FML_UINT8, flip, in, step, out);
}

#endif

/* Columns of B whose terms are not next to each other, to a panel. */
static void group_columns(fml_short_kind kind, real flip, ptrdiff_t columns, ptrdiff_t terms,
                          const char *in, ptrdiff_t col, ptrdiff_t row, real *panel)
{
#if FML_SHUFFLES
    bool has_bytes = kind != FML_INT16 && col == 1 && columns == COLUMNS;
#endif
    for (ptrdiff_t p = 0; p < terms; p += TERMS, in += TERMS * row, panel += COLUMNS) {
#if FML_SHUFFLES
        if (has_bytes && terms - p >= TERMS) {
            group_any_bytes(kind, flip, in, row, panel);
            continue;
        }
#endif
        group_any_lanes(kind, flip, columns, terms - p, in, col, row, panel);
        for (ptrdiff_t j = columns; j % LANES != 0; j++)
            panel[j] = 0;
    }
}

/* Rows of A whose terms are not next to each other, to panels. */
static void group_rows(fml_short_kind kind, real flip, ptrdiff_t rows, ptrdiff_t terms,
                       const char *in, ptrdiff_t row, ptrdiff_t col, real *panels)
{
    const ptrdiff_t reals = fml_blocks_of(terms, TERMS);
    real lanes[TASK_ROWS] = {0};
    for (ptrdiff_t p = 0; p < terms; p += TERMS, in += TERMS * col, panels += ROWS) {
        group_any_lanes(kind, flip, rows, terms - p, in, row, col, lanes);
        for (ptrdiff_t i = 0; i < rows; i += ROWS)
            memcpy(panels + i * reals, lanes + i, ROWS * sizeof *lanes);
    }
}

static real *own_room(const block *x)
{
    return x->own + fml_thread_number() * TASK_ROWS * BLOCK_K;
}

/* What sums of so many columns start from, but for what the rows of A add. */
static void set_starts(const block *x, ptrdiff_t columns, const real *panel, real *starts)
{
    const ptrdiff_t reals = fml_blocks_of(x->terms, TERMS);
    for (ptrdiff_t j = 0; j < columns; j += LANES) {
        vec sum = (vec){0} + x->b_flip * (real)x->terms, other = {0};
        ptrdiff_t p = 0;
        for (; p + 1 < reals; p += 2) {
            sum = add_times(sum, ONES, load(panel + p * COLUMNS + j));
            other = add_times(other, ONES, load(panel + (p + 1) * COLUMNS + j));
        }
        if (p < reals)
            sum = add_times(sum, ONES, load(panel + p * COLUMNS + j));
        store(starts + j, -x->a_flip * (sum + other));
    }
}

static void pack_b(const block *x, ptrdiff_t panel)
{
    const fml_short *b = x->b;
    ptrdiff_t column = panel * COLUMNS, lanes = smaller(COLUMNS, x->columns - column);
    ptrdiff_t reals = fml_blocks_of(x->terms, TERMS);
    const char *in = (const char *)b->data + x->start * b->row + (x->column + column) * b->col;
    real *out = x->panels + column * reals, *lines = own_room(x);
    if (b->row != size_of(b->kind)) {
        group_columns(b->kind, x->b_flip, lanes, x->terms, in, b->col, b->row, out);
    } else {
        group_lines(b->kind, x->b_flip, lanes, x->terms, in, b->col, lines);
        FML(pack_panel)(COLUMNS, lanes, reals, lines, reals, 1, out);
    }
    if (x->a_flip + x->b_flip > 0)
        set_starts(x, lanes, out, x->starts + column);
}

/* Rows of A, `reals` each: real p of row i of a tile is a[i * row + p * col]; tiles follow each
 * other. */
typedef struct packed_rows {
    const real *a;
    ptrdiff_t reals, row, col;
} packed_rows;

static packed_rows pack_rows(const block *x, ptrdiff_t row, ptrdiff_t rows)
{
    const fml_short *a = x->a;
    const char *in = (const char *)a->data + row * a->row + x->start * a->col;
    ptrdiff_t reals = fml_blocks_of(x->terms, TERMS);
    real *own = own_room(x);
    if (a->col == size_of(a->kind)) {
        group_lines(a->kind, x->a_flip, rows, x->terms, in, a->row, own);
        return (packed_rows){own, reals, reals, 1};
    }
    group_rows(a->kind, x->a_flip, rows, x->terms, in, a->row, a->col, own);
    return (packed_rows){own, reals, 1, ROWS};
}

/* Sums of so many rows of A, from `row` on. */
static void sum_rows(const packed_rows *a, ptrdiff_t row, ptrdiff_t rows, real *sums)
{
    const vec ones = (vec){0} + ONES;
    FML(tile)(rows, 1)(a->reals, a->a + row * a->reals, a->row, a->col, (const real *)&ones, 0, 1,
                       sums, 1, false, NULL, 0);
}

/* What the sums of a tile start from. */
typedef struct tile_starts {
    const real *from;
    ptrdiff_t row;
    real own[ROWS * COLUMNS]; /* where it depends on rows, too */
} tile_starts;

static void set_tile_starts(const block *x, ptrdiff_t rows, ptrdiff_t columns, const real *row_sums,
                            const real *starts, tile_starts *y)
{
    y->from = x->a_flip + x->b_flip > 0 ? starts : NULL;
    y->row = 0;
    if (x->b_flip == 0)
        return;
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j += LANES)
            store(y->own + i * COLUMNS + j, load(starts + j) + x->b_flip * row_sums[i]);
    y->from = y->own;
    y->row = COLUMNS;
}

/* Asks for a tile of C that is written after its sums: 2048 x 2048 in 0.85 of the time. */
FML_INLINE void prefetch_tile(const real *c, ptrdiff_t c_row, ptrdiff_t rows, ptrdiff_t columns)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        fetch(c + i * c_row, 0, columns);
}

/* Some rows of C, from `row` on. */
static void multiply_rows(const block *x, ptrdiff_t row, ptrdiff_t rows)
{
    const packed_rows a = pack_rows(x, row, rows);
    real row_sums[TASK_ROWS] = {0};
    tile_starts starts;
    for (ptrdiff_t i = 0; i < rows && x->b_flip > 0; i += ROWS)
        sum_rows(&a, i, smaller(ROWS, rows - i), row_sums + i);
    for (ptrdiff_t j = 0; j < x->columns; j += COLUMNS) {
        ptrdiff_t columns = smaller(COLUMNS, x->columns - j);
        for (ptrdiff_t i = 0; i < rows; i += ROWS) {
            ptrdiff_t height = smaller(ROWS, rows - i);
            uint32_t *c = x->c + (row + i) * x->c_row + x->column + j;
            prefetch_tile(c, x->c_row, height, columns);
            set_tile_starts(x, height, columns, row_sums + i, x->starts + j, &starts);
            FML(tile)(height, columns)(a.reals, a.a + i * a.reals, a.row, a.col,
                                       x->panels + j * a.reals, COLUMNS, last_lanes(columns), c,
                                       x->c_row, x->start > 0, starts.from, starts.row);
        }
    }
}

static void multiply_team(const void *job, fml_watch *watch)
{
    block x = *(const block *)job;
    for (x.column = 0; x.column < x.n; x.column += SHARED_COLUMNS)
        for (x.start = 0; x.start < x.k; x.start += TERMS * BLOCK_K) {
            x.columns = smaller(SHARED_COLUMNS, x.n - x.column);
            x.terms = smaller(TERMS * BLOCK_K, x.k - x.start);
#pragma omp for schedule(static)
            for (ptrdiff_t panel = 0; panel < fml_blocks_of(x.columns, COLUMNS); panel++)
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
    block x = {.a = a,
               .b = b,
               .a_flip = TERMS == 4 && a->kind == FML_INT8 ? 128 : 0,
               .b_flip = TERMS == 4 && b->kind == FML_UINT8 ? 128 : 0,
               .m = m,
               .n = n,
               .k = k,
               .c = c,
               .c_row = c_row / 4};
    const product sizes = {.m = m, .n = n, .k = k};
    if (k == 0 || m == 0 || n == 0) {
        clear(&x);
        return FML_OK;
    }
    bool is_small = work_of(&sizes) < THREAD_WORK;
    int team = fml_clamp_threads(threads, is_small ? 1 : fml_blocks_of(m, TASK_ROWS));
    ptrdiff_t panels = fml_blocks_of(smaller(n, SHARED_COLUMNS), COLUMNS) * COLUMNS * BLOCK_K;
    x.panels = fml_alloc(panels + SHARED_COLUMNS + team * TASK_ROWS * BLOCK_K, sizeof *x.panels);
    if (!x.panels)
        return FML_NO_MEMORY;
    x.starts = x.panels + panels;
    x.own = x.starts + SHARED_COLUMNS;
    fml_status status = fml_with_team(team, multiply_team, &x);
    fml_free(x.panels);
    return status;
}
