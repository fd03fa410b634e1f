/* Codes of any length, read part by part; bits.h has the short ones. */
#include "bits.h"

enum { LONGEST_NUMBER = 62 /* bits; no node and no count needs more */ };

uint64_t fml_peek_tail(fml_bits bits)
{
    uint64_t word = 0;
    for (int64_t i = 0, byte = bits.at >> 3; i < 8; i++, byte++)
        word = word << 8 | (byte < bits.size ? bits.bytes[byte] : 0);
    return word << (bits.at & 7);
}

/* The reader that has gone past the end, where it stays. */
static fml_code no_code(fml_bits bits)
{
    return (fml_code){FML_NO_CODE, 8 * bits.size + 1};
}

/* A number of `count` bits, at most LONGEST_NUMBER. */
static uint64_t read_plain(fml_bits *bits, int count)
{
    uint64_t value = 0;
    if (count > 32) {
        value = fml_peek(bits) >> 32;
        bits->at += 32;
        count -= 32;
    }
    if (count > 0)
        value = value << count | fml_peek(bits) >> (64 - count);
    bits->at += count;
    return value;
}

fml_code fml_long_unary(fml_bits bits)
{
    uint64_t value = 0;
    for (uint64_t window; (window = fml_peek(&bits)) >> (64 - FML_PEEK_BITS) == 0;) {
        if (fml_bits_overrun(&bits))
            return no_code(bits);
        value += FML_PEEK_BITS;
        bits.at += FML_PEEK_BITS;
    }
    int zeros = fml_leading_zeros(fml_peek(&bits));
    return (fml_code){value + (uint64_t)zeros, bits.at + zeros + 1};
}

/* A number plus 1 whose bits behind the first, `count` of them, come next. */
static fml_code read_behind_first(fml_bits bits, uint64_t count)
{
    if (count > LONGEST_NUMBER - 1)
        return no_code(bits);
    uint64_t rest = read_plain(&bits, (int)count);
    return (fml_code){(UINT64_C(1) << count | rest) - 1, bits.at};
}

fml_code fml_long_gamma(fml_bits bits)
{
    uint64_t count = fml_take(&bits, fml_long_unary(bits));
    return read_behind_first(bits, count);
}

/* Elias' delta: gamma says how many bits follow the first. */
fml_code fml_long_delta(fml_bits bits)
{
    uint64_t count = fml_read_gamma(&bits);
    return read_behind_first(bits, count);
}

fml_code fml_long_zeta(fml_bits bits, int k)
{
    uint64_t h = fml_take(&bits, fml_long_unary(bits));
    if (h >= LONGEST_NUMBER || (int)h * k + k > LONGEST_NUMBER)
        return no_code(bits);
    int width = (int)h * k + k;
    uint64_t left = UINT64_C(1) << (int)h * k, shorter = read_plain(&bits, width - 1);
    if (shorter < left)
        return (fml_code){shorter + left - 1, bits.at};
    uint64_t last = read_plain(&bits, 1);
    return (fml_code){(shorter << 1 | last) - 1, bits.at};
}

/* Groups of three bits, the highest first, each behind a bit that is 1 for the last group. */
fml_code fml_long_nibble(fml_bits bits)
{
    uint64_t value = 0;
    for (int width = 3; width <= LONGEST_NUMBER && !fml_bits_overrun(&bits); width += 3) {
        uint64_t group = read_plain(&bits, 4);
        value = value << 3 | (group & 7);
        if (group & 8)
            return (fml_code){value, bits.at};
    }
    return no_code(bits);
}
