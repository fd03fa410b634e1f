/* Panels: up to `width` rows of A, or columns of B, with their elements side by side.
 *
 * Cost: every element is read and written once.
 */
#include "dense.h"

/* Elements of a lane that are moved in turn: 16 of double fill two cache lines. */
enum { STRIP = 16 };

FML_INLINE void copy_lanes(ptrdiff_t width, ptrdiff_t k, const real *in, ptrdiff_t step, real *out)
{
    for (ptrdiff_t p = 0; p < k; p++)
        memcpy(out + p * width, in + p * step, (size_t)width * sizeof *out);
}

/* Lanes that are next to each other. */
static void pack_adjacent(ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t k, const real *in,
                          ptrdiff_t step, real *out)
{
    if (lanes == ROWS && width == ROWS) {
        copy_lanes(ROWS, k, in, step, out);
    } else if (lanes == COLUMNS && width == COLUMNS) {
        copy_lanes(COLUMNS, k, in, step, out);
    } else {
        for (ptrdiff_t p = 0; p < k; p++)
            for (ptrdiff_t l = 0; l < width; l++)
                out[p * width + l] = l < lanes ? in[p * step + l] : 0;
    }
}

FML_INLINE void transpose(ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t k, const real *in,
                          ptrdiff_t lane, ptrdiff_t step, real *out)
{
    for (ptrdiff_t start = 0; start < k; start += STRIP) {
        ptrdiff_t end = smaller(start + STRIP, k);
        for (ptrdiff_t l = 0; l < width; l++)
            for (ptrdiff_t p = start; p < end; p++)
                out[p * width + l] = l < lanes ? in[l * lane + p * step] : 0;
    }
}

void FML(pack_panel)(ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t k, const real *in, ptrdiff_t lane,
                     ptrdiff_t step, real *out)
{
    if (lane == 1)
        pack_adjacent(width, lanes, k, in, step, out);
    else if (step == 1)
        transpose(width, lanes, k, in, lane, 1, out);
    else
        transpose(width, lanes, k, in, lane, step, out);
}
