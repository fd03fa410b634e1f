/* The innermost loops of a matrix product: a tile of C in registers.
 *
 * Each step reads one row of a panel of B (VECTORS vectors) and one number of each row of A, and
 * adds rows x VECTORS products: 16 multiply-adds for 10 loads. A row or column may lie anywhere,
 * so that the same code serves packed and unpacked operands. Every tile size is a function
 * of its own, since registers have no index.
 */
#include "dense.h"

FML_INLINE vec load_lanes(const real *p, bool is_last, ptrdiff_t last)
{
#if FML_MASKS
    return is_last ? load_first(p, last) : load(p);
#else
    (void)is_last;
    (void)last;
    return load(p);
#endif
}

FML_INLINE void store_sum(real *c, vec sum, bool is_last, ptrdiff_t last, writing how)
{
    if (how == STREAMED)
        fml_stream_vector(c, &sum);
    else if (!is_last)
        store(c, how == ADDED ? load(c) + sum : sum);
    else
        store_first(c, how == ADDED ? load_first(c, last) + sum : sum, last);
}

FML_INLINE void tile(int rows, int vectors, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                     ptrdiff_t a_col, const real *b, ptrdiff_t b_row, ptrdiff_t last, real *c,
                     ptrdiff_t c_row, writing how, const real *starts, ptrdiff_t starts_row)
{
    vec sums[TALLEST][MOST_VECTORS], row[MOST_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++)
            sums[i][j] = starts ? load(starts + i * starts_row + j * LANES) : (vec){0};
    for (ptrdiff_t p = 0; p < k; p++, a += a_col, b += b_row) {
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++)
            row[j] = load_lanes(b + j * LANES, j == vectors - 1, last);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
            for (int j = 0; j < vectors; j++)
                sums[i][j] = add_times(sums[i][j], a[i * a_row], row[j]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++)
            store_sum(c + i * c_row + j * LANES, sums[i][j], j == vectors - 1, last, how);
}

#if FML_TERMS(FML_TYPE)
#define STARTS starts, starts_row
#else
#define STARTS NULL, 0
#endif
#define TILE(rows, vectors)                                                                \
    static void tile_##rows##_##vectors(                                                   \
        ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,       \
        ptrdiff_t b_row, ptrdiff_t last, real *c, ptrdiff_t c_row, writing how FML_STARTS) \
    {                                                                                      \
        tile(rows, vectors, k, a, a_row, a_col, b, b_row, last, c, c_row, how, STARTS);    \
    }
#if MOST_VECTORS > 2
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3)
#define ENTRY(rows) {tile_##rows##_1, tile_##rows##_2, tile_##rows##_3},
#else
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
#define ENTRY(rows) {tile_##rows##_1, tile_##rows##_2},
#endif

TILES(1)
TILES(2)
TILES(3)
TILES(4)
#if ROWS > 4
TILES(5)
TILES(6)
#endif
#if ROWS > 6
TILES(7)
TILES(8)
#endif
#if TALLEST > ROWS
TILE(9, 1)
TILE(10, 1)
TILE(11, 1)
TILE(12, 1)
TILE(13, 1)
TILE(14, 1)
TILE(15, 1)
TILE(16, 1)
#define TALL(rows) {tile_##rows##_1},
#endif

static tile_function *const TABLE[TALLEST][MOST_VECTORS] = {
    ENTRY(1) ENTRY(2) ENTRY(3) ENTRY(4)
#if ROWS > 4
        ENTRY(5) ENTRY(6)
#endif
#if ROWS > 6
            ENTRY(7) ENTRY(8)
#endif
#if TALLEST > ROWS
                TALL(9) TALL(10) TALL(11) TALL(12) TALL(13) TALL(14) TALL(15) TALL(16)
#endif
};

tile_function *FML(tile)(ptrdiff_t rows, ptrdiff_t columns)
{
    return TABLE[rows - 1][(columns - 1) / LANES];
}
