/* Numbers from text, exact, whatever the locale of the process. */
#ifndef FASTMML_NUMBER_H
#define FASTMML_NUMBER_H

#include "../fastmml.h"

/* The whole of [start, start + length) must be the number; both return false or a fault if not. */
fml_line_fault fml_parse_integer(const char *start, ptrdiff_t length, int64_t *value);
/* A decimal floating-point number, correctly rounded, finite and at least 0. */
bool fml_parse_weight(const char *start, ptrdiff_t length, double *value);

#endif
