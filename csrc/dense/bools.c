/* Products of truth values, 64 of them in a word: a row of C is the union of those rows of B that
 * its row of A names.
 *
 * A union that has all columns is done. Few terms are enough for most rows of matrices that are
 * not sparse, so the first ones alone are packed before the others: 512 x 512 elements, half of
 * them or all true, take a fifth of the time. Cost: at most m n k bits, a vector of them at a time,
 * for the terms that are true; elements are read at most once, but for those of the first terms.
 */
#include "dense.h"

/* Words of a row's work from which on the clock is read before it: some 10 microseconds. */
enum { ROW_WORK = 1 << 16 };
/* Vectors of a union in registers, at most. */
enum { UNION = 4 };
/* Columns of B that are gathered into one word. */
enum { BITS = 64 };
/* Rows of a task: as many as are packed together. */
enum { TASK_ROWS = BITS };
/* Terms that are tried first: one word. */
enum { FIRST_TERMS = BITS };
/* Terms times results that are worth a second thread: 1024^3 take 30 to 60 microseconds of one. */
enum { THREAD_WORK = 1 << 30 };

typedef struct bools {
    const fml_bools *a, *b;
    bool *c;
    ptrdiff_t m, n, k, c_row;
    ptrdiff_t vectors, words; /* of a strip; of a row of B: whole strips */
    real *rows;               /* of B */
    real *own;                /* TASK_ROWS rows of A for each thread */
    bool *is_done;            /* for each row of C */
    real last[UNION * LANES]; /* columns of the last strip that do not exist */
} bools;

/* `count` (1 to BITS) ones. */
FML_INLINE real first_bits(ptrdiff_t count)
{
    return ~(real)0 >> (BITS - count);
}

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

/* The first `count` of them, and zeros. */
static real gather_first(const unsigned char *at, ptrdiff_t count)
{
#if FML_MASKS
    __m512i bytes = _mm512_maskz_loadu_epi8(first_bits(count), at);
    return _mm512_test_epi8_mask(bytes, bytes);
#else
    unsigned char padded[BITS] = {0};
    memcpy(padded, at, (size_t)count);
    return gather(padded);
#endif
}

/* The same of others. */
static real gather_some(const unsigned char *at, ptrdiff_t step, ptrdiff_t count)
{
    real word = 0;
    if (step == 1)
        return gather_first(at, count);
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
    _mm512_mask_storeu_epi8(out, first_bits(count), _mm512_maskz_set1_epi8(word, 1));
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

FML_INLINE bool is_full(const vec *found, int vectors)
{
    vec all = found[0];
    for (int v = 1; v < vectors; v++)
        all &= found[v];
#if FML_MASKS
    return _mm512_cmpneq_epi64_mask((__m512i)all, _mm512_set1_epi64(-1)) == 0;
#else
    real full = ~(real)0;
    for (int l = 0; l < LANES; l++)
        full &= all[l];
    return full == ~(real)0;
#endif
}

/* Adds those rows of B, from this word of theirs on, that so many words of `row` name. Whether that
 * has all columns. */
FML_INLINE bool unite(const bools *x, int vectors, const real *row, ptrdiff_t words, ptrdiff_t word,
                      vec *found)
{
    for (ptrdiff_t w = 0; w < words; w++)
        for (real left = row[w]; left != 0; left &= left - 1) {
            const real *b = x->rows + (w * BITS + __builtin_ctzll(left)) * x->words + word;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                found[v] |= load(b + v * LANES);
            if (is_full(found, vectors))
                return true;
        }
    return false;
}

/* In vectors, since a compiler may make of memset an instruction that takes long to start. */
static void fill(ptrdiff_t columns, bool *c)
{
    const vec ones = (vec){0} + UINT64_MAX / UINT8_MAX;
    ptrdiff_t j = 0;
    for (; j + FML_VECTOR_BYTES <= columns; j += FML_VECTOR_BYTES)
        memcpy(c + j, &ones, sizeof ones);
    for (; j < columns; j++)
        c[j] = true;
}

/* The union of so many vectors to truth values. */
static void spread_union(int vectors, const vec *found, ptrdiff_t columns, bool *c)
{
    real words[UNION * LANES];
    for (int v = 0; v < vectors; v++)
        store(words + v * LANES, found[v]);
    for (ptrdiff_t j = 0; j < columns; j += BITS)
        spread(words[j / BITS], smaller(BITS, columns - j), c + j);
}

/* A row of C by so many words of a row of A. False if that takes more terms than these. */
FML_INLINE bool multiply_row(const bools *x, int vectors, const real *row, ptrdiff_t words, bool *c)
{
    const ptrdiff_t strip = vectors * LANES;
    bool has_all_terms = words * BITS >= x->k;
    for (ptrdiff_t word = 0; word < x->words; word += strip, c += strip * BITS) {
        ptrdiff_t columns = smaller(x->n - word * BITS, strip * BITS);
        bool is_last = word + strip == x->words;
        vec found[UNION];
        for (int v = 0; v < vectors; v++)
            found[v] = is_last ? load(x->last + v * LANES) : (vec){0};
        if (unite(x, vectors, row, words, word, found))
            fill(columns, c);
        else if (has_all_terms)
            spread_union(vectors, found, columns, c);
        else
            return false;
    }
    return true;
}

static bool multiply_any_row(const bools *x, const real *row, ptrdiff_t words, bool *c)
{
    if (x->vectors == 1)
        return multiply_row(x, 1, row, words, c);
    if (x->vectors == 2)
        return multiply_row(x, 2, row, words, c);
    return multiply_row(x, UNION, row, words, c);
}

/* The rows of a task that are not done, by the first terms. */
static void multiply_rows(const bools *x, ptrdiff_t task, ptrdiff_t terms, fml_watch *watch)
{
    ptrdiff_t words = fml_blocks_of(terms, BITS), row = task * TASK_ROWS;
    ptrdiff_t rows = smaller(TASK_ROWS, x->m - row);
    bool *is_done = x->is_done + row;
    if (memchr(is_done, false, (size_t)rows) == NULL)
        return;
    real *own = x->own + fml_thread_number() * TASK_ROWS * fml_blocks_of(x->k, BITS);
    pack_rows(x->a, row, rows, terms, own, words);
    for (ptrdiff_t i = 0; i < rows; i++)
        if (!is_done[i] && !(terms * x->words >= ROW_WORK && fml_stopped(watch)))
            is_done[i] = multiply_any_row(x, own + i * words, words, x->c + (row + i) * x->c_row);
}

/* By the terms up to `terms`, of which so many are packed. */
static void multiply_first(const bools *x, ptrdiff_t packed, ptrdiff_t terms, fml_watch *watch)
{
#pragma omp for schedule(static)
    for (ptrdiff_t block = packed / BITS; block < fml_blocks_of(terms, BITS); block++)
        if (!fml_stopped(watch))
            pack_b(x, block);
#pragma omp for schedule(dynamic)
    for (ptrdiff_t task = 0; task < fml_blocks_of(x->m, TASK_ROWS); task++)
        if (!fml_stopped(watch))
            multiply_rows(x, task, terms, watch);
}

static void multiply_team(const void *job, fml_watch *watch)
{
    const bools *x = job;
    multiply_first(x, 0, smaller(FIRST_TERMS, x->k), watch);
    if (x->k > FIRST_TERMS)
        multiply_first(x, FIRST_TERMS, x->k, watch);
}

/* As few vectors as hold a row, or UNION of them a strip. */
static void set_strips(bools *x)
{
    ptrdiff_t vectors = fml_blocks_of(x->n, LANES * BITS);
    x->vectors = vectors <= 2 ? vectors : UNION;
    x->words = fml_blocks_of(vectors, x->vectors) * x->vectors * LANES;
    ptrdiff_t strip = x->vectors * LANES, columns = x->n - (x->words - strip) * BITS;
    for (ptrdiff_t w = 0; w < strip; w++) {
        ptrdiff_t own = columns - w * BITS;
        x->last[w] = own >= BITS ? 0 : own <= 0 ? ~(real)0 : ~first_bits(own);
    }
}

fml_status FML(matmul_bool)(ptrdiff_t m, ptrdiff_t k, ptrdiff_t n, const fml_bools *a,
                            const fml_bools *b, bool *c, ptrdiff_t c_row, int threads)
{
    bools x = {.a = a, .b = b, .m = m, .n = n, .k = k, .c = c, .c_row = c_row};
    const product sizes = {.m = m, .n = n, .k = k};
    if (m == 0 || n == 0)
        return FML_OK;
    ptrdiff_t tasks = fml_blocks_of(m, TASK_ROWS);
    int team = fml_clamp_threads(threads, work_of(&sizes) < THREAD_WORK ? 1 : tasks);
    set_strips(&x);
    ptrdiff_t own = team * TASK_ROWS * fml_blocks_of(k, BITS),
              done = fml_blocks_of(m, sizeof(real));
    x.rows = fml_alloc(k + fml_blocks_of(own + done, x.words), (size_t)x.words * sizeof *x.rows);
    if (!x.rows)
        return FML_NO_MEMORY;
    x.own = x.rows + k * x.words;
    x.is_done = (bool *)(x.own + own);
    memset(x.is_done, 0, (size_t)m);
    fml_status status = fml_with_team(team, multiply_team, &x);
    fml_free(x.rows);
    return status;
}
