/* Fuzz target: numbers from text, beside the C library's strtoll and strtod.
 *
 * The C library accepts more (leading spaces, hexadecimal, inf, nan), so the characters are
 * looked at first; within them, both must accept the same texts and give the same values. */
#include "fuzz.h"
#include "io/number.h"

#include <errno.h>
#include <math.h>

enum { LONGEST_NUMBER = 255 };

static void check_integer(const char *text, const char *terminated, ptrdiff_t length)
{
    int64_t value = 0;
    fml_line_fault fault = fml_parse_integer(text, length, &value);
    char *stop;
    errno = 0;
    int64_t expected = strtoll(terminated, &stop, 10);
    size_t visible = strspn(terminated, "0123456789+-");
    bool integer = length > 0 && visible == (size_t)length && stop == terminated + length;
    if (!integer)
        DEMAND(fault == FML_FAULT_INTEGER);
    else if (errno == ERANGE)
        DEMAND(fault == FML_FAULT_RANGE);
    else
        DEMAND(fault == FML_FAULT_NONE && value == expected);
}

static void check_weight(const char *text, const char *terminated, ptrdiff_t length)
{
    double value = 0;
    bool accepted = fml_parse_weight(text, length, &value);
    char *stop;
    double expected = strtod(terminated, &stop);
    size_t visible = strspn(terminated, "0123456789+-.eE");
    bool decimal = length > 0 && visible == (size_t)length && stop == terminated + length;
    bool acceptable = decimal && length <= LONGEST_NUMBER && isfinite(expected) && expected >= 0;
    DEMAND(accepted == acceptable);
    DEMAND(!accepted || value == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size);
    char *terminated = fuzz_alloc(size + 1, 1);
    memcpy(terminated, data, size);
    check_integer(text, terminated, (ptrdiff_t)size);
    check_weight(text, terminated, (ptrdiff_t)size);
    free(terminated);
    free(text);
    return 0;
}
