/* Many small matrices side by side: lane l of a vector belongs to matrix l of a group.
 *
 * Arithmetic is double for both element types, as in NumPy's linalg: elements are converted on
 * their way into lanes and rounded once, on their way out. What a lane computes does not depend on
 * its neighbours, so that decisions are selections, never branches. */
#ifndef FASTMML_LANES_H
#define FASTMML_LANES_H

#include "kernel.h"
#include "stream.h"

#include <float.h>
#include <math.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define FML_LANE_BYTES 64
#elif defined(__AVX__)
#define FML_LANE_BYTES 32
#else
#define FML_LANE_BYTES 16
#endif
enum {
    LANES = FML_LANE_BYTES / 8,
    MOST_ROWS = FML_SMALL_ROWS,
    /* Groups that take turns, step by step, where n is small and steps wait for each other. */
    GROUPS = 2,
    /* Work of a block, in cubes of rows that are eliminated: 5 to 20 us. */
    BLOCK_WORK = 1 << 16,
    /* Work for which other threads are woken, 0.8 to 2 ms: that takes 0.15, or more after a pause
     * (10,000 systems of 8x8: 0.53 ms alone, 0.68), and where their cores have other work, all
     * wait for 5 to 10. */
    TEAM_WORK = 1 << 23,
    /* Elements of a matrix from which on the next group is prefetched, since the CPU does not see
     * it coming: 100,000 systems of 8x8 took 11.2 ms, and take 7.5; 4x4 gains a tenth in eight
     * lanes, and loses as much in fewer. */
    PREFETCHED = LANES == 8 ? 16 : 25,
    /* Bytes of a group's results that are streamed where all are large, as much as the stack has
     * room for: 1,000,000 inverses of 3x3 double take 5.9 ms for 8.5, of 3x3 float, whose groups
     * are 5 lines, 5.1 for 4.1. QR, which fetches what it overwrites early enough, loses a
     * tenth. */
    LEAST_STREAMED = 1 << 9,
    MOST_STREAMED = 1 << 13,
};

typedef double lanes __attribute__((vector_size(FML_LANE_BYTES)));
typedef int64_t lane_bits __attribute__((vector_size(FML_LANE_BYTES)));
typedef uint64_t lane_words __attribute__((vector_size(FML_LANE_BYTES)));
/* As many elements in memory. */
typedef real lane_row __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real))));

FML_INLINE lanes fml_all(double value)
{
    return (lanes){0} + value;
}

FML_INLINE lanes fml_size(lanes v)
{
    return (lanes)((lane_bits)v & INT64_MAX);
}

FML_INLINE lanes fml_root(lanes v)
{
#if FML_LANE_BYTES == 64
    return (lanes)_mm512_sqrt_pd((__m512d)v);
#elif FML_LANE_BYTES == 32
    return (lanes)_mm256_sqrt_pd((__m256d)v);
#else
    return (lanes){sqrt(v[0]), sqrt(v[1])};
#endif
}

/* Whether multiply-adds round once. */
#ifdef __FMA__
#define FML_FUSED 1
#else
#define FML_FUSED 0
#endif

/* a b - c, with the product as it is where FML_FUSED, even if the same one is rounded elsewhere. */
FML_INLINE lanes fml_multiply_subtract(lanes a, lanes b, lanes c)
{
#if FML_LANE_BYTES == 64
    return (lanes)_mm512_fmsub_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif FML_FUSED
    return (lanes)_mm256_fmsub_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return a * b - c;
#endif
}

/* ---- sets of lanes: with AVX-512 in a register of their own, which saves a tenth of the time - */

#ifdef __AVX512F__

typedef __mmask8 lane_set;

FML_INLINE lane_set fml_larger(lanes a, lanes b)
{
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ);
}

FML_INLINE lane_set fml_equal(lanes a, lanes b)
{
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ);
}

FML_INLINE lanes fml_select(lane_set where, lanes a, lanes b)
{
    return (lanes)_mm512_mask_blend_pd(where, (__m512d)b, (__m512d)a);
}

FML_INLINE bool fml_any(lane_set where)
{
    return where != 0;
}

#else

typedef lane_bits lane_set;

FML_INLINE lane_set fml_larger(lanes a, lanes b)
{
    return a > b;
}

FML_INLINE lane_set fml_equal(lanes a, lanes b)
{
    return a == b;
}

FML_INLINE lanes fml_select(lane_set where, lanes a, lanes b)
{
#if FML_LANE_BYTES == 32
    return (lanes)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)where);
#else
    return (lanes)(((lane_bits)a & where) | ((lane_bits)b & ~where));
#endif
}

FML_INLINE bool fml_any(lane_set where)
{
    int64_t any = 0;
    for (int l = 0; l < LANES; l++)
        any |= where[l];
    return any != 0;
}

#endif

FML_INLINE bool fml_every(lane_set where)
{
    return !fml_any((lane_set)~where);
}

/* The larger; b where one is not a number. */
FML_INLINE lanes fml_max(lanes a, lanes b)
{
#if FML_LANE_BYTES == 64
    return (lanes)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif FML_LANE_BYTES == 32
    return (lanes)_mm256_max_pd((__m256d)a, (__m256d)b);
#else
    return fml_select(fml_larger(a, b), a, b);
#endif
}

/* The power of two that makes a number 1 to 2, as far as doubles go. */
FML_INLINE lanes fml_scale_to_one(lanes size)
{
    lane_bits field = 2 * DBL_MAX_EXP - 2 - ((lane_bits)size >> (DBL_MANT_DIG - 1));
    field -= field == 0; /* a lane of a comparison is -1 */
    field += field == 2 * DBL_MAX_EXP - 2;
    return (lanes)(field << (DBL_MANT_DIG - 1));
}

/* ---- between memory and lanes ---------------------------------------------------------------- */

/* A stack of matrices; strides are in elements. */
typedef struct stack {
    const real *data;
    ptrdiff_t stride, row_stride, column_stride;
} stack;

/* Element e of each matrix. */
FML_INLINE lanes fml_gather(const real *const *m, ptrdiff_t e)
{
#if FML_LANE_BYTES == 64
    lane_row elements = {m[0][e], m[1][e], m[2][e], m[3][e], m[4][e], m[5][e], m[6][e], m[7][e]};
#elif FML_LANE_BYTES == 32
    lane_row elements = {m[0][e], m[1][e], m[2][e], m[3][e]};
#else
    lane_row elements = {m[0][e], m[1][e]};
#endif
    return __builtin_convertvector(elements, lanes);
}

/* Exchanges rows and columns of LANES vectors. */
FML_INLINE void fml_transpose(lanes *t)
{
#if FML_LANE_BYTES == 64
    for (int i = 0; i < 8; i += 2) {
        lanes a = t[i], b = t[i + 1];
        t[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
        t[i + 1] = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 2; i++) { /* quarters of registers */
        lanes a = __builtin_shufflevector(t[i], t[i + 2], 0, 1, 2, 3, 8, 9, 10, 11);
        lanes b = __builtin_shufflevector(t[i], t[i + 2], 4, 5, 6, 7, 12, 13, 14, 15);
        lanes c = __builtin_shufflevector(t[i + 4], t[i + 6], 0, 1, 2, 3, 8, 9, 10, 11);
        lanes d = __builtin_shufflevector(t[i + 4], t[i + 6], 4, 5, 6, 7, 12, 13, 14, 15);
        t[i] = __builtin_shufflevector(a, c, 0, 1, 4, 5, 8, 9, 12, 13);
        t[i + 2] = __builtin_shufflevector(a, c, 2, 3, 6, 7, 10, 11, 14, 15);
        t[i + 4] = __builtin_shufflevector(b, d, 0, 1, 4, 5, 8, 9, 12, 13);
        t[i + 6] = __builtin_shufflevector(b, d, 2, 3, 6, 7, 10, 11, 14, 15);
    }
#elif FML_LANE_BYTES == 32
    for (int i = 0; i < 4; i += 2) {
        lanes a = t[i], b = t[i + 1];
        t[i] = __builtin_shufflevector(a, b, 0, 4, 2, 6);
        t[i + 1] = __builtin_shufflevector(a, b, 1, 5, 3, 7);
    }
    for (int i = 0; i < 2; i++) {
        lanes a = t[i], b = t[i + 2];
        t[i] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
        t[i + 2] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    }
#else
    lanes a = t[0], b = t[1];
    t[0] = __builtin_shufflevector(a, b, 0, 2);
    t[1] = __builtin_shufflevector(a, b, 1, 3);
#endif
}

/* Asks for what lies so many elements further on, if there is such memory. */
FML_INLINE void fml_prefetch(const real *from, ptrdiff_t distance)
{
    __builtin_prefetch((const void *)((uintptr_t)from + (uintptr_t)distance * sizeof *from));
}

/* How many matrices before `end` a group has that starts at `first`. */
FML_INLINE ptrdiff_t fml_count(ptrdiff_t first, ptrdiff_t end)
{
    ptrdiff_t left = end - first;
    return left > LANES ? LANES : left > 0 ? left : 0;
}

/* Where each matrix of a group starts; those from `end` on are the last one before it again. */
FML_INLINE void fml_point(const stack *from, ptrdiff_t first, ptrdiff_t end, const real **starts)
{
    if (end - first >= LANES)
#pragma GCC unroll 8
        for (ptrdiff_t l = 0; l < LANES; l++)
            starts[l] = from->data + (first + l) * from->stride;
    else
        for (ptrdiff_t l = 0; l < LANES; l++)
            starts[l] = from->data + (first + l < end ? first + l : end - 1) * from->stride;
}

/* Moves `size` numbers from each start into lanes; the next group lies `ahead` elements on. */
FML_INLINE void fml_load_rows(const real *const *starts, ptrdiff_t size, ptrdiff_t ahead, lanes *to)
{
    ptrdiff_t e = 0;
    for (; e + LANES <= size; e += LANES) {
#pragma GCC unroll 8
        for (int l = 0; l < LANES; l++) {
            to[e + l] = __builtin_convertvector(*(const lane_row *)(starts[l] + e), lanes);
            if (size >= PREFETCHED)
                fml_prefetch(starts[l] + e, ahead);
        }
        fml_transpose(to + e);
    }
    for (; e < size; e++)
        to[e] = fml_gather(starts, e);
}

/* The same from matrices that follow each other, whose distances are constants if `size` is. */
FML_INLINE void fml_load_packed(const real *from, ptrdiff_t size, lanes *to)
{
    const real *starts[LANES];
#pragma GCC unroll 8
    for (ptrdiff_t l = 0; l < LANES; l++)
        starts[l] = from + l * size;
    fml_load_rows(starts, size, LANES * size, to);
}

/* Moves the matrices of the group that starts at `first` into lanes; lanes that are left over
 * behind `end` hold the last one. */
FML_INLINE void fml_load(const stack *from, ptrdiff_t first, ptrdiff_t end, ptrdiff_t rows,
                         ptrdiff_t columns, lanes *to)
{
    const ptrdiff_t size = rows * columns;
    const bool in_rows =
        (columns == 1 || from->column_stride == 1) && (rows == 1 || from->row_stride == columns);
    if (in_rows && from->stride == size && end - first >= LANES) {
        fml_load_packed(from->data + first * size, size, to);
        return;
    }
    const real *starts[LANES];
    fml_point(from, first, end, starts);
    if (in_rows)
        fml_load_rows(starts, size, LANES * from->stride, to);
    else
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < columns; j++)
                *to++ = fml_gather(starts, i * from->row_stride + j * from->column_stride);
}

FML_INLINE void fml_store_first(ptrdiff_t count, lanes *from, ptrdiff_t size, real *to,
                                ptrdiff_t stride)
{
    ptrdiff_t e = 0;
    for (; e + LANES <= size; e += LANES) {
        fml_transpose(from + e);
#pragma GCC unroll 8
        for (ptrdiff_t l = 0; l < count; l++)
            *(lane_row *)(to + l * stride + e) = __builtin_convertvector(from[e + l], lane_row);
    }
    for (; e < size; e++) {
        lane_row elements = __builtin_convertvector(from[e], lane_row);
        for (ptrdiff_t l = 0; l < count; l++)
            to[l * stride + e] = elements[l];
    }
}

/* Moves `size` numbers of each of the first count lanes to where they lie side by side, `stride`
 * elements from lane to lane. Leaves the lanes' numbers in another order. */
FML_INLINE void fml_store(ptrdiff_t count, lanes *from, ptrdiff_t size, real *to, ptrdiff_t stride)
{
    if (count < LANES)
        fml_store_first(count, from, size, to, stride);
    else if (size == 1 && stride == 1)
        *(lane_row *)to = __builtin_convertvector(*from, lane_row);
    else
        fml_store_first(LANES, from, size, to, stride);
}

/* Whether results of `size` numbers that lie one after the other go past the caches. */
static inline bool fml_are_streamed(ptrdiff_t batch, ptrdiff_t size)
{
    const ptrdiff_t bytes = size * LANES * (ptrdiff_t)sizeof(real);
    return LANES == 8 && bytes >= LEAST_STREAMED && bytes <= MOST_STREAMED &&
           fml_is_streamed(batch * size, sizeof(real));
}

/* fml_store for such results. */
FML_INLINE void fml_store_results(bool are_streamed, ptrdiff_t count, lanes *from, ptrdiff_t size,
                                  real *to)
{
    if (!are_streamed) {
        fml_store(count, from, size, to, size);
        return;
    }
    _Alignas(FML_LINE) real block[MOST_STREAMED / sizeof(real)];
    fml_store(count, from, size, block, size);
    fml_stream(to, block, (size_t)(count * size) * sizeof *to);
}

/* ---- blocks of a batch ----------------------------------------------------------------------- */

/* Works on the matrices from start to end - 1; whether one of them is not as it should be. */
typedef bool (*fml_small_work)(const void *problem, ptrdiff_t start, ptrdiff_t end);

/* Has all matrices worked on, in blocks of whole groups; `cost` is the work of each. */
static inline fml_status fml_each_block(fml_small_work work, const void *problem, ptrdiff_t batch,
                                        ptrdiff_t cost, bool *found, int threads)
{
    const ptrdiff_t size = 8 * (1 + BLOCK_WORK / 8 / cost);
    const ptrdiff_t blocks = fml_blocks_of(batch, size);
    const int team = batch < TEAM_WORK / cost ? 1 : fml_clamp_threads(threads, blocks);
    if (blocks == 1) { /* over in some microseconds */
        *found = work(problem, 0, batch);
        return FML_OK;
    }
    atomic_bool any;
    fml_watch watch;
    atomic_init(&any, false);
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t block = 0; block < blocks; block++) {
        if (!fml_stopped(&watch) && work(problem, block * size, fml_block_end(batch, size, block)))
            atomic_store(&any, true);
    }
    *found = atomic_load(&any);
    return fml_watch_status(&watch);
}

#endif
