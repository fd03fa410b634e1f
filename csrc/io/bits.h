/* Numbers from a stream of bits, the most significant first, in the codes of the WebGraph
 * framework.
 *
 * A read looks at the 57 bits or more behind the position at once, so that a code is a count of
 * leading zeros and two shifts, without a branch on its length. Longer codes take the functions of
 * bits.c. Behind the end all bits are 0, which no code is made of: a read there gives FML_NO_CODE,
 * and no byte is touched.
 */
#ifndef FASTMML_BITS_H
#define FASTMML_BITS_H

#include "fastmml.h"

#include <string.h>

/* Of the stream's end, and of codes beyond 62 bits; larger than any count or node. */
#define FML_NO_CODE (UINT64_C(1) << 62)

enum { FML_PEEK_BITS = 57 /* that every look shows */ };

typedef struct fml_bits {
    const uint8_t *bytes;
    int64_t size; /* of the stream, in bytes */
    int64_t at;   /* the next bit; past the end after a read beyond it */
} fml_bits;

/* A number, and where its code ends. */
typedef struct fml_code {
    uint64_t value;
    int64_t end;
} fml_code;

/* The last bytes of the stream, and zeros behind them. */
uint64_t fml_peek_tail(fml_bits bits);
/* Codes of any length. */
fml_code fml_long_unary(fml_bits bits);
fml_code fml_long_gamma(fml_bits bits);
fml_code fml_long_delta(fml_bits bits);
fml_code fml_long_zeta(fml_bits bits, int k);
fml_code fml_long_nibble(fml_bits bits);

static inline bool fml_bits_overrun(const fml_bits *bits)
{
    return bits->at > 8 * bits->size;
}

static inline uint64_t fml_peek(const fml_bits *bits)
{
    int64_t byte = bits->at >> 3;
    if (byte + 8 > bits->size)
        return fml_peek_tail(*bits);
    uint64_t word;
    memcpy(&word, bits->bytes + byte, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word << (bits->at & 7);
}

static inline uint64_t fml_take(fml_bits *bits, fml_code code)
{
    bits->at = code.end;
    return code.value;
}

/* The zeros in front of a window's first 1; 63 when there is none. */
static inline int fml_leading_zeros(uint64_t window)
{
    return __builtin_clzll(window | 1);
}

/* As many zeros as the number says, and a 1. */
static inline uint64_t fml_read_unary(fml_bits *bits)
{
    int zeros = fml_leading_zeros(fml_peek(bits));
    if (zeros >= FML_PEEK_BITS)
        return fml_take(bits, fml_long_unary(*bits));
    bits->at += zeros + 1;
    return (uint64_t)zeros;
}

/* Elias' gamma: a number plus 1 behind as many zeros as bits follow its first. */
static inline uint64_t fml_read_gamma(fml_bits *bits)
{
    uint64_t window = fml_peek(bits);
    int zeros = fml_leading_zeros(window);
    if (2 * zeros + 1 > FML_PEEK_BITS)
        return fml_take(bits, fml_long_gamma(*bits));
    bits->at += 2 * zeros + 1;
    return (window >> (63 - 2 * zeros)) - 1;
}

/* Zeta of Boldi and Vigna: h in unary says that the number plus 1 lies from 2^hk to 2^(hk + k), and
 * its distance from there follows in hk + k bits, or one less for the first 2^hk. */
static inline uint64_t fml_read_zeta(fml_bits *bits, int k)
{
    uint64_t window = fml_peek(bits);
    int h = fml_leading_zeros(window), width = h * k + k;
    if (h + 1 + width > FML_PEEK_BITS)
        return fml_take(bits, fml_long_zeta(*bits, k));
    uint64_t longer = window << (h + 1) >> (64 - width), left = UINT64_C(1) << (h * k);
    uint64_t shorter = longer >> 1;
    bool is_short = shorter < left;
    bits->at += h + 1 + width - is_short;
    return is_short ? shorter + left - 1 : longer - 1;
}

static inline uint64_t fml_read_code(fml_bits *bits, fml_coding coding, int zeta_k)
{
    switch (coding) {
    case FML_GAMMA:
        return fml_read_gamma(bits);
    case FML_ZETA:
        return fml_read_zeta(bits, zeta_k);
    case FML_UNARY:
        return fml_read_unary(bits);
    case FML_DELTA:
        return fml_take(bits, fml_long_delta(*bits));
    default:
        return fml_take(bits, fml_long_nibble(*bits));
    }
}

#endif
