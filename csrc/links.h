/* The sum over the links of a row, which all rank kernels spend their time in. */
#ifndef FASTMML_LINKS_H
#define FASTMML_LINKS_H

#include "columns.h"

/* What a row is read from; weights may be NULL. */
typedef struct links {
    const uint32_t *indices;
    const double *weights;
    const number *values; /* of the sources */
} links;

FML_INLINE number fml_link_value(links l, int64_t k)
{
    number value = l.values[l.indices[k]];
    return l.weights ? (real)l.weights[k] * value : value;
}

FML_INLINE number fml_sum_one_by_one(links l, int64_t k, int64_t end)
{
    number sum = {0};
    for (; k < end; k++)
        sum += fml_link_value(l, k);
    return sum;
}

/* Sums links k to end - 1; reads up to four links at and after `end`, whatever they are. */
FML_INLINE number fml_sum_links(links l, int64_t k, int64_t end)
{
#if FML_COLUMNS > 1
    /* Two sums run side by side, since one would wait for each addition. */
    number even = {0}, odd = {0};
    for (; k + 1 < end; k += 2) {
        fml_fetch_ahead(l.indices + k);
        even += fml_link_value(l, k);
        odd += fml_link_value(l, k + 1);
    }
    if (k < end)
        even += fml_link_value(l, k);
    return even + odd;
#else
    /* Four sums run side by side, since one would wait for each addition. The last 0 to 4 links are
     * taken without a branch, which would be mispredicted in most rows (a fifth of the time of a
     * pass): four links are read in any case, and masked. */
    number s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (; k + 4 < end; k += 4) {
        fml_fetch_ahead(l.indices + k);
        if (l.weights)
            fml_fetch_ahead(l.weights + k);
        s0 += fml_link_value(l, k);
        s1 += fml_link_value(l, k + 1);
        s2 += fml_link_value(l, k + 2);
        s3 += fml_link_value(l, k + 3);
    }
    vec4 last = {fml_link_value(l, k), fml_link_value(l, k + 1), fml_link_value(l, k + 2),
                 fml_link_value(l, k + 3)};
    last = fml_keep_first(last, (ptrdiff_t)(end - k));
    return ((s0 + s1) + (s2 + s3)) + ((last[0] + last[1]) + (last[2] + last[3]));
#endif
}

#endif
