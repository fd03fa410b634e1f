/* Panels: up to `width` rows of A, or columns of B, with their elements side by side.
 *
 * Cost: every element is read and written once.
 */
#include "dense.h"

/* Elements of a lane that are moved in turn: 16 of double fill two cache lines. */
enum { STRIP = 16 };

/* Rows of k numbers that are next to each other, of a length known to the compiler. */
FML_INLINE void copy_rows(ptrdiff_t width, ptrdiff_t k, const real *in, ptrdiff_t step, real *out)
{
    for (ptrdiff_t p = 0; p < k; p++)
        memcpy(out + p * width, in + p * step, (size_t)width * sizeof *out);
}

/* The first `lanes` columns of a panel of B, in vectors. */
static void copy_columns(ptrdiff_t lanes, ptrdiff_t k, const real *in, ptrdiff_t step, real *out)
{
    for (ptrdiff_t p = 0; p < k; p++, in += step, out += COLUMNS)
        for (ptrdiff_t l = 0; l < lanes; l += LANES)
            store(out + l, load_first(in + l, smaller(LANES, lanes - l)));
}

/* Blocks of STRIP elements of each lane, lane by lane. */
FML_INLINE void transpose(ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t k, const real *in,
                          ptrdiff_t lane, ptrdiff_t step, real *out)
{
    for (ptrdiff_t start = 0; start < k; start += STRIP) {
        ptrdiff_t end = smaller(start + STRIP, k);
        for (ptrdiff_t l = 0; l < lanes; l++)
            for (ptrdiff_t p = start; p < end; p++)
                out[p * width + l] = in[l * lane + p * step];
    }
}

#if FML_SHUFFLES

/* Every second one of 2 LANES - 1 numbers. */
FML_INLINE vec every_second(const real *p)
{
    lane_numbers even = {0};
    for (int l = 0; l < LANES; l++)
        even[l] = (lane_number)(2 * l < LANES ? 2 * l : 2 * l + 1);
    return __builtin_shuffle(load(p), load(p + LANES - 1), even);
}

#if FML_MASKS

/* Half a vector from each of two places. */
FML_INLINE vec load_halves(const real *low, const real *high)
{
    __m512i v = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)low));
    return (vec)_mm512_inserti64x4(v, _mm256_loadu_si256((const __m256i *)high), 1);
}

#endif

/* LANES elements of each of up to LANES lanes, which are contiguous. `stored` lanes are written. */
FML_INLINE void transpose_block(ptrdiff_t width, ptrdiff_t stored, ptrdiff_t lanes, const real *in,
                                ptrdiff_t lane, real *out)
{
    const int count = width == LANES / 2 ? LANES / 2 : LANES; /* columns fill whole vectors */
    vec rows[LANES];
    for (ptrdiff_t l = 0; l < count; l++) {
        rows[l] = l < lanes ? load(in + l * lane) : (vec){0};
        __builtin_prefetch(in + (width + l) * lane);
    }
    transpose_vectors(rows, count);
    for (ptrdiff_t i = 0; i < count; i++)
        store_first(out + i * LANES / count * width, rows[i], count == LANES ? stored : LANES);
}

#if FML_MASKS

/* Lanes of half a vector into a panel of COLUMNS, all of which turn at once: 32 rows of 8 floats.
 */
static void transpose_halves(const real *in, ptrdiff_t lane, real *out)
{
    vec rows[LANES];
#pragma GCC unroll 64
    for (ptrdiff_t i = 0; i < LANES; i++)
        rows[i] = load_halves(in + i * lane, in + (LANES + i) * lane);
    transpose_vectors(rows, LANES);
#pragma GCC unroll 64
    for (ptrdiff_t i = 0; i < LANES; i++)
        store(out + i % (LANES / 2) * COLUMNS + i / (LANES / 2) * LANES, rows[i]);
}

#endif

/* Contiguous lanes into a panel: 1.2 to 4 times as fast as number by number. Inlined with a width
 * that the compiler knows. */
FML_INLINE void transpose_blocks(ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t k, const real *in,
                                 ptrdiff_t lane, real *out)
{
    ptrdiff_t whole = k / LANES * LANES;
    for (ptrdiff_t p = 0; p < whole; p += LANES)
#pragma GCC unroll 8
        for (ptrdiff_t l = 0; l < width; l += LANES)
            if (l < lanes)
                transpose_block(width, smaller(LANES, width - l), smaller(LANES, lanes - l),
                                in + l * lane + p, lane, out + p * width + l);
#if FML_MASKS
    if (width == COLUMNS && lanes == COLUMNS && k - whole == LANES / 2) {
        transpose_halves(in + whole, lane, out + whole * width);
        return;
    }
#endif
    transpose(width, lanes, k - whole, in + whole, lane, 1, out + whole * width);
}

#else

static void transpose_blocks(ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t k, const real *in,
                             ptrdiff_t lane, real *out)
{
    transpose(width, lanes, k, in, lane, 1, out);
}

#endif

/* A panel of B from every second column, as the parts of complex numbers lie: products of such
 * 256 x 256 matrices of float take three quarters of the time. */
static void copy_every_second(ptrdiff_t lanes, ptrdiff_t k, const real *in, ptrdiff_t step,
                              real *out)
{
    ptrdiff_t whole = 0;
#if FML_SHUFFLES
    whole = lanes / LANES * LANES;
    for (ptrdiff_t p = 0; p < k; p++)
        for (ptrdiff_t l = 0; l < whole; l += LANES)
            store(out + p * COLUMNS + l, every_second(in + p * step + 2 * l));
#endif
    transpose(COLUMNS, lanes - whole, k, in + 2 * whole, 2, step, out + whole);
}

/* Lanes that B's vectors read and nobody uses. */
static void clear_lanes(ptrdiff_t width, ptrdiff_t first, ptrdiff_t end, ptrdiff_t k, real *out)
{
    for (ptrdiff_t p = 0; p < k; p++)
        for (ptrdiff_t l = first; l < end; l++)
            out[p * width + l] = 0;
}

/* A row of a complex matrix to two rows of the real one that it stands for. */
FML_INLINE void expand_row(ptrdiff_t numbers, const real *b, ptrdiff_t b_col, real *out)
{
    for (ptrdiff_t j = 0; j < numbers; j++, b += b_col, out += 2) {
        real re = b[0], im = b[1];
        out[0] = out[COLUMNS + 1] = re;
        out[1] = im;
        out[COLUMNS] = (real)-im;
    }
}

#if FML_SHUFFLES

/* The same for numbers that are next to each other and fill a panel: a twentieth of the time. */
static void expand_vectors(const real *b, real *out)
{
    lane_numbers turned = {0}; /* -im and re from a vector and its negative */
    for (int l = 0; l < LANES; l++)
        turned[l] = (lane_number)(l % 2 == 0 ? LANES + l + 1 : l - 1);
    for (int j = 0; j < COLUMNS; j += LANES) {
        vec numbers = load(b + j);
        store(out + j, numbers);
        store(out + COLUMNS + j, __builtin_shuffle(numbers, -numbers, turned));
    }
}

#else

static void expand_vectors(const real *b, real *out)
{
    expand_row(COLUMNS / 2, b, 2, out);
}

#endif

static void expand(ptrdiff_t columns, ptrdiff_t rows, const real *in, ptrdiff_t col, ptrdiff_t row,
                   real *out)
{
    for (ptrdiff_t p = 0; p < rows; p += 2, in += row, out += 2 * COLUMNS)
        if (col == 2 && columns == COLUMNS)
            expand_vectors(in, out);
        else
            expand_row(columns / 2, in, col, out);
}

void FML(pack_panel)(ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t k, const real *in, ptrdiff_t lane,
                     ptrdiff_t step, real *out)
{
    if (lane == 1 && width == COLUMNS && lanes < COLUMNS)
        copy_columns(lanes, k, in, step, out);
    else if (lane == 1 && width == COLUMNS)
        copy_rows(COLUMNS, k, in, step, out);
    else if (lane == 1 && lanes == ROWS)
        copy_rows(ROWS, k, in, step, out);
    else if (lane == 2 && width == COLUMNS)
        copy_every_second(lanes, k, in, step, out);
    else if (step == 1 && width == COLUMNS)
        transpose_blocks(COLUMNS, lanes, k, in, lane, out);
    else if (step == 1)
        transpose_blocks(ROWS, lanes, k, in, lane, out);
    else
        transpose(width, lanes, k, in, lane, step, out);
    if (lane != 1 && width == COLUMNS && lanes % LANES != 0)
        clear_lanes(width, lanes, fml_blocks_of(lanes, LANES) * LANES, k, out);
}

void FML(pack_columns)(const product *x, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column,
                       ptrdiff_t columns, real *out)
{
    const real *in = at_b(x, row, column);
    if (!x->expanded) {
        FML(pack_panel)(COLUMNS, columns, rows, in, x->b_col, x->b_row, out);
        return;
    }
    expand(columns, rows, in, x->b_col, x->b_row, out);
    if (columns % LANES != 0)
        clear_lanes(COLUMNS, columns, fml_blocks_of(columns, LANES) * LANES, rows, out);
}
