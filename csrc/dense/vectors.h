/* Vectors of the level's full width, and the first lanes of them. */
#ifndef FASTMML_VECTORS_H
#define FASTMML_VECTORS_H

#include "../stream.h"
#include "../variant.h"

#include <string.h>

/* AVX-512 reads and writes the first lanes of a vector as fast as all of them. Other levels have no
 * such load: FML_MASKS is 0, and what they read must be padded to whole vectors. */
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__)
#define FML_MASKS 1
#define FML_VECTOR_BYTES 64
#else
#define FML_MASKS 0
#if defined(__AVX__)
#define FML_VECTOR_BYTES 32
#else
#define FML_VECTOR_BYTES 16
#endif
#endif

enum { LANES = FML_VECTOR_BYTES / sizeof(real) };
_Static_assert((int)FML_VECTOR_BYTES == (int)FML_STREAM_BYTES, "fml_stream_vector moves a vec");
typedef real vec __attribute__((vector_size(FML_VECTOR_BYTES)));
/* The same in memory, where it may start at any element. */
typedef real loose_vec __attribute__((vector_size(FML_VECTOR_BYTES), aligned(sizeof(real))));

FML_INLINE vec load(const real *p)
{
    return *(const loose_vec *)p;
}

FML_INLINE void store(real *p, vec v)
{
    *(loose_vec *)p = v;
}

/* Terms of a sum in a real: two numbers of 16 bits, or four of 8, of which those of a are unsigned
 * and those of x are not. */
#define FML_TERMS_p16 2
#define FML_TERMS_q8 4
#define FML_TERMS_(type) FML_TERMS_##type
#define FML_TERMS(type) FML_TERMS_(type)

/* sum + a x, where the product of two reals of several terms is the sum of their products. */
FML_INLINE vec add_times(vec sum, real a, vec x)
{
#if !FML_TERMS(FML_TYPE)
    return sum + a * x;
#elif FML_TERMS(FML_TYPE) == 2 && FML_VECTOR_BYTES == 64
    return sum + (vec)_mm512_madd_epi16((__m512i)((vec){0} + a), (__m512i)x);
#elif FML_TERMS(FML_TYPE) == 2 && FML_VECTOR_BYTES == 32
    return sum + (vec)_mm256_madd_epi16((__m256i)((vec){0} + a), (__m256i)x);
#elif FML_TERMS(FML_TYPE) == 2 && defined(__SSE2__)
    return sum + (vec)_mm_madd_epi16((__m128i)((vec){0} + a), (__m128i)x);
#elif FML_TERMS(FML_TYPE) == 4 && defined(__AVX512VNNI__)
    return (vec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)((vec){0} + a), (__m512i)x);
#elif FML_TERMS(FML_TYPE) == 4 && defined(__AVXVNNI__)
    return (vec)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)((vec){0} + a), (__m256i)x);
#else
    typedef int32_t signed_vec __attribute__((vector_size(FML_VECTOR_BYTES)));
    enum { BITS = 32 / FML_TERMS(FML_TYPE) };
    for (int high = 0; high < 32; high += BITS) {
        real term = a >> high & (((real)1 << BITS) - 1);
        if (BITS == 16)
            term = (real)(int16_t)term;
        sum += term * (vec)((signed_vec)(x << (32 - BITS - high)) >> (32 - BITS));
    }
    return sum;
#endif
}

#if FML_MASKS

FML_INLINE uint32_t first_lanes(ptrdiff_t count)
{
    return (uint32_t)(((uint64_t)1 << count) - 1);
}

/* The first `count` (1 to LANES) lanes, and zeros. */
FML_INLINE vec load_first(const real *p, ptrdiff_t count)
{
    if (sizeof(real) == 8)
        return (vec)_mm512_maskz_loadu_epi64((__mmask8)first_lanes(count), p);
    if (sizeof(real) == 4)
        return (vec)_mm512_maskz_loadu_epi32((__mmask16)first_lanes(count), p);
    return (vec)_mm512_maskz_loadu_epi16((__mmask32)first_lanes(count), p);
}

FML_INLINE void store_first(real *p, vec v, ptrdiff_t count)
{
    if (sizeof(real) == 8)
        _mm512_mask_storeu_epi64(p, (__mmask8)first_lanes(count), (__m512i)v);
    else if (sizeof(real) == 4)
        _mm512_mask_storeu_epi32(p, (__mmask16)first_lanes(count), (__m512i)v);
    else
        _mm512_mask_storeu_epi16(p, (__mmask32)first_lanes(count), (__m512i)v);
}

#else

/* The first `count` (1 to LANES) lanes, and zeros. */
FML_INLINE vec load_first(const real *p, ptrdiff_t count)
{
    vec v = {0};
    memcpy(&v, p, (size_t)count * sizeof(real));
    return v;
}

FML_INLINE void store_first(real *p, vec v, ptrdiff_t count)
{
    if (count == LANES)
        store(p, v);
    else
        memcpy(p, &v, (size_t)count * sizeof(real));
}

#endif
/* gcc can shuffle vectors by lane numbers that it computes; clang wants them written out. */
#if defined(__clang__)
#define FML_SHUFFLES 0
#else
#define FML_SHUFFLES 1

#define FML_LANE_f64 int64_t
#define FML_LANE_f32 int32_t
#define FML_LANE_u64 int64_t
#define FML_LANE_u32 int32_t
#define FML_LANE_u16 int16_t
#define FML_LANE_p16 int32_t
#define FML_LANE_q8 int32_t
#define FML_LANE_b64 int64_t
#define FML_LANE_(type) FML_LANE_##type
#define FML_LANE(type) FML_LANE_(type)
typedef FML_LANE(FML_TYPE) lane_number;
/* Constants need to start as {0}: gcc 12 makes others anew in each call, lane by lane, which took
 * longer than to transpose a panel. */
typedef lane_number lane_numbers __attribute__((vector_size(FML_VECTOR_BYTES)));

/* `count` rows, all lanes or half of them, become columns, in order one after the other: blocks of
 * half the rows change places with as many lanes, then blocks of a quarter, ... Of half the lanes
 * a vector then holds the even ones of two columns before the odd ones. */
FML_INLINE void transpose_vectors(vec *rows, int count)
{
    const int scale = LANES / count;
#pragma GCC unroll 8
    for (int half = count / 2; half > 0; half /= 2) {
        const int step = half * scale;
        lane_numbers low = {0}, high = {0};
#pragma GCC unroll 64
        for (int l = 0; l < LANES; l++) {
            int from = half > 1 || scale == 1 ? l : l % count * scale + l / count;
            low[l] = (lane_number)((from & step) ? from - step + LANES : from);
            high[l] = (lane_number)((from & step) ? from + LANES : from + step);
        }
#pragma GCC unroll 64
        for (int i = 0; i < count; i++) {
            if (i & half)
                continue;
            vec upper = rows[i], lower = rows[i + half];
            rows[i] = __builtin_shuffle(upper, lower, low);
            rows[i + half] = __builtin_shuffle(upper, lower, high);
        }
    }
}

#endif
#endif
