/* Writing of results that are larger than the caches.
 *
 * An ordinary store first reads the line that it changes. Whole lines of a result that will not
 * stay in the caches anyway go past them to memory: c = a + b of 51 MB each takes 2.5 ms for 3.4
 * where each block is computed in the first-level cache and then moved by fml_stream.
 */
#ifndef FASTMML_STREAM_H
#define FASTMML_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define FML_STREAMS 1
#include <immintrin.h>
#else
#define FML_STREAMS 0
#endif
/* Sanitizers see memcpy, and no store of this kind. */
#if defined(__SANITIZE_ADDRESS__)
#define FML_IS_SANITIZED 1
#elif defined(__has_feature)
#define FML_IS_SANITIZED __has_feature(address_sanitizer)
#else
#define FML_IS_SANITIZED 0
#endif

enum {
    FML_LINE = 64,
    FML_STREAMED = 1 << 24, /* bytes of a result from which on it is streamed */
#if defined(__AVX512F__)
    FML_STREAM_BYTES = 64, /* at a time */
#elif defined(__AVX__)
    FML_STREAM_BYTES = 32,
#else
    FML_STREAM_BYTES = 16,
#endif
};

static inline bool fml_is_streamed(ptrdiff_t count, size_t element_size)
{
    return FML_STREAMS && count >= FML_STREAMED / (ptrdiff_t)element_size;
}

/* FML_STREAM_BYTES, to where so many begin; parts of a line follow each other at once. */
static inline void fml_stream_vector(void *to, const void *from)
{
#if !FML_STREAMS || FML_IS_SANITIZED
    memcpy(to, from, FML_STREAM_BYTES);
#elif defined(__AVX512F__)
    _mm512_stream_si512(to, _mm512_loadu_si512(from));
#elif defined(__AVX__)
    _mm256_stream_si256(to, _mm256_loadu_si256(from));
#else
    _mm_stream_si128(to, _mm_loadu_si128(from));
#endif
}

/* memcpy past the caches; fml_end_stream comes after the last one of a block. */
static inline void fml_stream(void *to, const void *from, size_t bytes)
{
    char *out = to;
    const char *in = from;
    size_t at = -(uintptr_t)out % FML_LINE;
    at = at < bytes ? at : bytes;
    memcpy(out, in, at);
    for (; at + FML_LINE <= bytes; at += FML_LINE)
        for (size_t part = at; part < at + FML_LINE; part += FML_STREAM_BYTES)
            fml_stream_vector(out + part, in + part);
    memcpy(out + at, in + at, bytes - at);
}

/* Makes what a thread has streamed visible to the others before whatever it writes next. */
static inline void fml_end_stream(void)
{
#if FML_STREAMS
    _mm_sfence();
#endif
}

#endif
