/* Products of truth values, 64 of them in a word: a row of C is the union of those rows of B that
 * its row of A names.
 *
 * A union that has all columns is done. Cost: at most m n k bits, a vector of them at a time, for
 * the terms that are true; every element is read and written once.
 */
#include "dense.h"

/* Vectors of a union in registers. */
enum { UNION = 4 };
/* Columns of B that are gathered into one word, and those of a strip. */
enum { BITS = 64, STRIP = UNION * LANES * BITS };
/* Rows of a task: as many as are packed together. */
enum { TASK_ROWS = BITS };
/* Terms times results that are worth a second thread: 512^3 take 50 microseconds of one. */
enum { THREAD_WORK = 1 << 28 };

typedef struct bools {
    const fml_bools *a, *b;
    bool *c;
    ptrdiff_t m, n, k, c_row;
    ptrdiff_t words; /* of a row of B: whole strips */
    real *rows;      /* of B */
    real *own;       /* TASK_ROWS rows of A for each thread */
} bools;

/* 64 truth values next to each other. */
FML_INLINE real gather(const unsigned char *at)
{
#if FML_MASKS
    __m512i bytes = _mm512_loadu_si512(at);
    return _mm512_test_epi8_mask(bytes, bytes);
#elif defined(__SSE2__)
    real word = 0;
    for (int i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
        int zeros = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
        word |= (real)(uint16_t)~zeros << 16 * i;
    }
    return word;
#else
    real word = 0;
    for (int j = 0; j < BITS; j++)
        word |= (real)(at[j] != 0) << j;
    return word;
#endif
}

static real gather_some(const unsigned char *at, ptrdiff_t step, ptrdiff_t count)
{
    real word = 0;
    for (ptrdiff_t j = 0; j < count; j++)
        word |= (real)(at[j * step] != 0) << j;
    return word;
}

/* `count` truth values to as many words as they take. */
static void pack(const unsigned char *at, ptrdiff_t step, ptrdiff_t count, real *out)
{
    for (; count >= BITS && step == 1; count -= BITS, at += BITS)
        *out++ = gather(at);
    for (; count > 0; count -= BITS, at += BITS * step)
        *out++ = gather_some(at, step, smaller(count, BITS));
}

/* Bit j of word i becomes bit i of word j, by blocks that change places (Warren, Hacker's Delight,
 * 2nd ed., 7-3). */
static void transpose(real words[BITS])
{
    real low = UINT64_MAX;
    for (int half = BITS / 2; half > 0; half /= 2) {
        low ^= low << half;
        for (int i = 0; i < BITS; i = ((i | half) + 1) & ~half) {
            real change = (words[i] >> half ^ words[i | half]) & low;
            words[i | half] ^= change;
            words[i] ^= change << half;
        }
    }
}

/* Rows whose columns are contiguous: at most BITS of them. */
static void pack_columns(const fml_bools *x, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t count,
                         real *out, ptrdiff_t step)
{
    const unsigned char *at = (const unsigned char *)x->data + row;
    real words[BITS];
    for (ptrdiff_t j = 0; j < count; j += BITS) {
        ptrdiff_t columns = smaller(BITS, count - j);
        memset(words, 0, sizeof words);
        for (ptrdiff_t l = 0; l < columns; l++)
            words[l] = rows == BITS ? gather(at + (j + l) * x->col)
                                    : gather_some(at + (j + l) * x->col, 1, rows);
        transpose(words);
        for (ptrdiff_t i = 0; i < rows; i++)
            out[i * step + j / BITS] = words[i];
    }
}

/* At most BITS rows of `count` truth values to words, `step` from row to row. */
static void pack_rows(const fml_bools *x, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t count, real *out,
                      ptrdiff_t step)
{
    if (x->row == 1 && x->col != 1) {
        pack_columns(x, row, rows, count, out, step);
        return;
    }
    for (ptrdiff_t i = 0; i < rows; i++)
        pack((const unsigned char *)x->data + (row + i) * x->row, x->col, count, out + i * step);
}

/* A word to `count` truth values. */
static void spread(real word, ptrdiff_t count, bool *out)
{
#if FML_MASKS
    _mm512_mask_storeu_epi8(out, (__mmask64)(count < BITS ? ((real)1 << count) - 1 : ~(real)0),
                            _mm512_maskz_set1_epi8((__mmask64)word, 1));
#else
    unsigned char *bytes = (unsigned char *)out;
    for (ptrdiff_t j = 0; j < count; j++)
        bytes[j] = word >> j & 1;
#endif
}

static void pack_b(const bools *x, ptrdiff_t block)
{
    ptrdiff_t row = block * BITS, rows = smaller(BITS, x->k - row);
    real *out = x->rows + row * x->words;
    memset(out, 0, (size_t)(rows * x->words) * sizeof *out);
    pack_rows(x->b, row, rows, x->n, out, x->words);
}

FML_INLINE bool is_full(const vec *found)
{
    vec all = found[0];
    real full = ~(real)0;
    for (int v = 1; v < UNION; v++)
        all &= found[v];
    for (int l = 0; l < LANES; l++)
        full &= all[l];
    return full == ~(real)0;
}

/* The union of the rows of B, from this word of theirs on, that the bits of `row` name. Columns
 * beyond the last one count as found. */
static void unite(const bools *x, const real *row, ptrdiff_t word, real *out)
{
    vec found[UNION];
    ptrdiff_t words = blocks_of(x->k, BITS), columns = x->n - word * BITS;
    for (ptrdiff_t w = 0; w < UNION * LANES; w++) {
        ptrdiff_t own = columns - w * BITS;
        out[w] = own >= BITS ? 0 : own <= 0 ? ~(real)0 : ~(real)0 << own;
    }
    for (int v = 0; v < UNION; v++)
        found[v] = load(out + v * LANES);
    for (ptrdiff_t w = 0; w < words && !is_full(found); w++)
        for (real left = row[w]; left != 0; left &= left - 1) {
            const real *b = x->rows + (w * BITS + __builtin_ctzll(left)) * x->words + word;
#pragma GCC unroll 4
            for (int v = 0; v < UNION; v++)
                found[v] |= load(b + v * LANES);
        }
    for (int v = 0; v < UNION; v++)
        store(out + v * LANES, found[v]);
}

static void multiply_row(const bools *x, const real *row, bool *c)
{
    real found[UNION * LANES];
    for (ptrdiff_t word = 0; word * BITS < x->n; word += UNION * LANES) {
        unite(x, row, word, found);
        for (ptrdiff_t j = word * BITS; j < smaller(x->n, word * BITS + STRIP); j += BITS)
            spread(found[j / BITS - word], smaller(BITS, x->n - j), c + j);
    }
}

static void multiply_rows(const bools *x, ptrdiff_t task)
{
    ptrdiff_t words = blocks_of(x->k, BITS), row = task * TASK_ROWS;
    ptrdiff_t rows = smaller(TASK_ROWS, x->m - row);
    real *own = x->own + fml_thread_number() * TASK_ROWS * words;
    pack_rows(x->a, row, rows, x->k, own, words);
    for (ptrdiff_t i = 0; i < rows; i++)
        multiply_row(x, own + i * words, x->c + (row + i) * x->c_row);
}

fml_status FML(matmul_bool)(ptrdiff_t m, ptrdiff_t k, ptrdiff_t n, const fml_bools *a,
                            const fml_bools *b, bool *c, ptrdiff_t c_row, int threads)
{
    bools x = {.a = a, .b = b, .m = m, .n = n, .k = k, .c = c, .c_row = c_row};
    const product sizes = {.m = m, .n = n, .k = k};
    ptrdiff_t tasks = blocks_of(m, TASK_ROWS);
    int team = fml_clamp_threads(threads, work_of(&sizes) < THREAD_WORK ? 1 : tasks);
    x.words = blocks_of(n, STRIP) * UNION * LANES;
    ptrdiff_t own = TASK_ROWS * blocks_of(k, BITS);
    x.rows = fml_alloc_kept(k * x.words + team * own, sizeof *x.rows);
    if (!x.rows)
        return FML_NO_MEMORY;
    x.own = x.rows + k * x.words;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel num_threads(team)
    {
#pragma omp for schedule(static)
        for (ptrdiff_t block = 0; block < blocks_of(k, BITS); block++)
            pack_b(&x, block);
#pragma omp for schedule(dynamic)
        for (ptrdiff_t task = 0; task < tasks; task++)
            if (!fml_stopped(&watch))
                multiply_rows(&x, task);
    }
    fml_keep(x.rows);
    return fml_watch_status(&watch);
}
