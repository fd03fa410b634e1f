/* Numbers from text.
 *
 * A decimal with at most 15 digits and a power of ten up to 22 is one exact multiplication or
 * division (Clinger, How to read floating point numbers accurately, PLDI 1990); all others go to
 * the C library, which rounds correctly, in the "C" locale.
 */
#define _GNU_SOURCE /* strtod_l, newlocale */
#include "number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef _WIN32
#include <locale.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif
#endif

enum { LONGEST_NUMBER = 255, EXACT_POWER = 22 };

static const uint64_t EXACT_INTEGER = UINT64_C(1) << 53;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

fml_line_fault fml_parse_integer(const char *start, ptrdiff_t length, int64_t *value)
{
    const char *at = start, *end = start + length;
    bool negative = length > 0 && *at == '-';
    if (length > 0 && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return FML_FAULT_INTEGER;
    uint64_t limit = (uint64_t)INT64_MAX + negative, magnitude = 0;
    bool overflow = false;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return FML_FAULT_INTEGER;
        uint64_t digit = (uint64_t)(*at - '0');
        overflow = overflow || magnitude > (limit - digit) / 10;
        magnitude = magnitude * 10 + digit;
    }
    if (overflow)
        return FML_FAULT_RANGE;
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return FML_FAULT_NONE;
}

/* A decimal number as it is written: digits times a power of ten. */
typedef struct decimal {
    uint64_t digits;
    ptrdiff_t significant; /* how many digits follow the first nonzero one, that one counted */
    int64_t exponent;
    bool negative;
} decimal;

static void take_digit(decimal *d, char c)
{
    if (d->significant == 0 && c == '0')
        return;
    d->significant++;
    d->digits = d->digits * 10 + (uint64_t)(c - '0'); /* wraps past 19: not used then */
}

static const char *take_exponent(const char *at, const char *end, int64_t *exponent)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return NULL;
    int64_t value = 0;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return NULL;
        value = value < 100000 ? value * 10 + (*at - '0') : value;
    }
    *exponent += negative ? -value : value;
    return at;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or after the point. */
static bool scan_decimal(const char *at, const char *end, decimal *d)
{
    *d = (decimal){0};
    d->negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    const char *first = at;
    for (; at < end && is_digit(*at); at++)
        take_digit(d, *at);
    ptrdiff_t written = at - first;
    if (at < end && *at == '.') {
        const char *point = at++;
        for (; at < end && is_digit(*at); at++)
            take_digit(d, *at);
        written += at - point - 1;
        d->exponent = -(int64_t)(at - point - 1);
    }
    if (written == 0)
        return false;
    if (at < end && (*at == 'e' || *at == 'E'))
        at = take_exponent(at + 1, end, &d->exponent);
    return at == end;
}

static double convert_in_c_locale(const char *text)
{
#ifdef _WIN32
    _locale_t c = _create_locale(LC_NUMERIC, "C");
    double value = c ? _strtod_l(text, NULL, c) : NAN;
    _free_locale(c);
#else
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    double value = c ? strtod_l(text, NULL, c) : (double)NAN;
    if (c)
        freelocale(c);
#endif
    return value;
}

static double convert_slowly(const char *start, ptrdiff_t length)
{
    char copy[LONGEST_NUMBER + 1];
    memcpy(copy, start, (size_t)length);
    copy[length] = '\0';
    return convert_in_c_locale(copy);
}

bool fml_parse_weight(const char *start, ptrdiff_t length, double *value)
{
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    decimal d;
    if (length > LONGEST_NUMBER || !scan_decimal(start, start + length, &d))
        return false;
    if (d.significant <= 19 && d.digits <= EXACT_INTEGER && d.exponent >= -EXACT_POWER &&
        d.exponent <= EXACT_POWER)
        *value = d.exponent < 0 ? (double)d.digits / powers[-d.exponent]
                                : (double)d.digits * powers[d.exponent];
    else
        *value = fabs(convert_slowly(start, length));
    return isfinite(*value) && (!d.negative || *value == 0);
}
