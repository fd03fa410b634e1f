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
#include <immintrin.h>
#endif

enum {
    FML_LINE = 64,
    FML_STREAMED = 1 << 24, /* bytes of a result from which on it is streamed */
};

static inline bool fml_is_streamed(ptrdiff_t count, size_t element_size)
{
    return count >= FML_STREAMED / (ptrdiff_t)element_size;
}

/* One line, to where lines begin. */
static inline void fml_stream_line(char *to, const char *from)
{
#if defined(__AVX512F__)
    _mm512_stream_si512((void *)to, _mm512_loadu_si512(from));
#elif defined(__AVX__)
    for (int at = 0; at < FML_LINE; at += 32)
        _mm256_stream_si256((__m256i *)(to + at), _mm256_loadu_si256((const __m256i *)(from + at)));
#elif defined(__x86_64__)
    for (int at = 0; at < FML_LINE; at += 16)
        _mm_stream_si128((__m128i *)(to + at), _mm_loadu_si128((const __m128i *)(from + at)));
#else
    memcpy(to, from, FML_LINE);
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
        fml_stream_line(out + at, in + at);
    memcpy(out + at, in + at, bytes - at);
}

/* Makes what a thread has streamed visible to the others before whatever it writes next. */
static inline void fml_end_stream(void)
{
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

#endif
