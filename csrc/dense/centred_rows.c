/* Products of shifted rows that are read where they lie, which takes AVX-512's 32 registers: they
 * hold shifts beside the sums. What is multiplied is shifted each time, by units of the CPU that
 * have nothing else to do.
 *
 * Some rows at a time stay in the first-level cache; the next ones are fetched between tiles, piece
 * by piece. Columns come in vectors: products with the vectors before it are tiles, and its own
 * ones those with the vector turned by 0, 1, ... half its lanes (9 for 16). Sums of all products
 * lie one after the other, "folded", until all rows are added up. Cost: k n (n + 1) flops, and
 * lanes of the last vector.
 */
#include "shifted.h"

#if FML_MASKS

/* Bytes of rows at a time, which, of some 50 columns, stay in a first-level cache of 48 KB with the
 * sums and with the next rows, and how many rows these are: between them sums are added to those in
 * memory. Of 8 KB for 24, 625,000 x 32 float took 0.77 times as long; 24 rows for 32 of 200
 * columns 1.03 times. */
enum { CACHED_BYTES = 1 << 13, LEAST_ROWS = 32, MOST_ROWS = 256 };
/* Rows whose products are added up in type real, before they are in double. */
enum { REAL_ROWS = 1024 };
/* Columns that fill so much of a vector that it is worth its lanes: 0.9 of the time of panels. */
enum { LEAST_COLUMNS = LANES / 2 };
/* Turns of a vector: with the last one each product comes twice. */
enum { TURNS = LANES / 2 + 1 };
/* Rows beside which a tile may have four vectors: sums and shifts fill 28 registers. */
enum { FEW_ROWS = 4, MOST_WIDE = 4 };

/* Rows, and what becomes of them. */
typedef struct block {
    const real *x;
    ptrdiff_t step, rows;
    const real *shift, *spread; /* shifts, and a vector of each */
    real *products;             /* folded */
} block;

/* Numbers of the folded sums of so many vectors: for each, products with those before it, of its
 * own turns, and its sum. */
static ptrdiff_t folded(ptrdiff_t vectors)
{
    return (vectors * (vectors - 1) / 2 * LANES + vectors * (TURNS + 1)) * LANES;
}

FML_INLINE void add_to(real *sums, vec products)
{
    store(sums, load(sums) + products);
}

/* Columns i .. i + high - 1 times the vectors from column j on. */
FML_INLINE void tile(int high, int wide, const block *z, ptrdiff_t i, ptrdiff_t j)
{
    vec sums[ROWS][MOST_WIDE], row[MOST_WIDE], left[ROWS], right[MOST_WIDE];
#pragma GCC unroll 8
    for (int r = 0; r < high; r++) {
        left[r] = load(z->spread + (i + r) * LANES);
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++)
            sums[r][v] = (vec){0};
    }
#pragma GCC unroll 4
    for (int v = 0; v < wide; v++)
        right[v] = load(z->shift + j + v * LANES);
    const real *a = z->x + i, *b = z->x + j;
    for (ptrdiff_t p = 0; p < z->rows; p++, a += z->step, b += z->step) {
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++)
            row[v] = load(b + v * LANES) - right[v];
#pragma GCC unroll 8
        for (int r = 0; r < high; r++) {
            const vec factor = a[r] - left[r];
#pragma GCC unroll 4
            for (int v = 0; v < wide; v++)
                sums[r][v] += factor * row[v];
        }
    }
    const ptrdiff_t before = i / LANES * LANES;
    real *out = z->products + folded(i / LANES) + i % LANES * before + j;
#pragma GCC unroll 8
    for (int r = 0; r < high; r++)
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++)
            add_to(out + r * before + v * LANES, sums[r][v]);
}

typedef void tile_of_block(const block *z, ptrdiff_t i, ptrdiff_t j);
#define TILE(high, wide)                                                       \
    static void tile_##high##_##wide(const block *z, ptrdiff_t i, ptrdiff_t j) \
    {                                                                          \
        tile(high, wide, z, i, j);                                             \
    }
/* Three vectors beside more than four rows: there are no registers for that. */
#define HALVES(high)                                                      \
    static void tile_##high##_3(const block *z, ptrdiff_t i, ptrdiff_t j) \
    {                                                                     \
        tile(FEW_ROWS, 3, z, i, j);                                       \
        tile(high - FEW_ROWS, 3, z, i + FEW_ROWS, j);                     \
    }
#define FEW(high) TILE(high, 1) TILE(high, 2) TILE(high, 3) TILE(high, 4)
#define MANY(high) TILE(high, 1) TILE(high, 2) HALVES(high)
#define ENTRY(high) tile_##high##_1, tile_##high##_2, tile_##high##_3
FEW(1)
FEW(2)
FEW(3)
FEW(4)
MANY(5)
MANY(6)
MANY(7)
MANY(8)

static tile_of_block *const TABLE[ROWS][MOST_WIDE] = {
    {ENTRY(1), tile_1_4}, {ENTRY(2), tile_2_4}, {ENTRY(3), tile_3_4}, {ENTRY(4), tile_4_4},
    {ENTRY(5)},           {ENTRY(6)},           {ENTRY(7)},           {ENTRY(8)}};

/* Vectors of a tile where so many are left: beside many rows two, or three at the end, since a tile
 * of one takes a third longer than it should. */
static ptrdiff_t tile_vectors(ptrdiff_t high, ptrdiff_t left)
{
    if (high <= FEW_ROWS)
        return smaller(left, MOST_WIDE);
    return left == 3 ? 3 : smaller(left, 2);
}

typedef mask lane_list __attribute__((vector_size(FML_VECTOR_BYTES)));

FML_INLINE vec turned(vec v, lane_list lanes)
{
    if (sizeof(real) == 8)
        return (vec)_mm512_permutexvar_pd((__m512i)lanes, (__m512d)v);
    return (vec)_mm512_permutexvar_ps((__m512i)lanes, (__m512)v);
}

/* Products of the columns from i on, at most a vector, with each other, and the columns' sums. */
static void multiply_turned(const block *z, ptrdiff_t i, ptrdiff_t columns)
{
    const vec shift = load(z->shift + i);
    vec sums[TURNS], total = {0};
    lane_list lanes[TURNS];
#pragma GCC unroll 9
    for (int t = 0; t < TURNS; t++) {
        sums[t] = (vec){0};
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++)
            lanes[t][l] = (l + t) % LANES;
    }
    const real *x = z->x + i;
    for (ptrdiff_t p = 0; p < z->rows; p++, x += z->step) {
        const vec row = load_first(x, columns) - shift;
        total += row;
        sums[0] += row * row;
#pragma GCC unroll 9
        for (int t = 1; t < TURNS; t++)
            sums[t] += row * turned(row, lanes[t]);
    }
    real *out = z->products + folded(i / LANES) + i * LANES;
#pragma GCC unroll 9
    for (int t = 0; t < TURNS; t++)
        add_to(out + t * LANES, sums[t]);
    add_to(out + TURNS * LANES, total);
}

/* Later rows, at any distance from each other, fetched some at a time. */
typedef struct later {
    const real *x;
    ptrdiff_t step, n, rows, done, piece;
} later;

static void fetch_rows(later *soon)
{
    const ptrdiff_t end = smaller(soon->done + soon->piece, soon->rows);
    for (; soon->done < end; soon->done++) {
        const real *row = soon->x + soon->done * soon->step;
        fetch(row, 0, soon->n);
        __builtin_prefetch(row + soon->n - 1); /* rows start anywhere in a line */
    }
}

static void multiply_block(const block *z, ptrdiff_t n, ahead *soon, later *apart)
{
    for (ptrdiff_t start = 0; start < n; start += LANES) {
        const ptrdiff_t end = smaller(start + LANES, n);
        fetch_piece(soon);
        fetch_rows(apart);
        multiply_turned(z, start, end - start);
        for (ptrdiff_t i = start, high; i < end; i += high) {
            high = smaller(ROWS, end - i);
            for (ptrdiff_t j = 0, wide; j < start; j += wide * LANES) {
                wide = tile_vectors(high, (start - j) / LANES);
                fetch_piece(soon);
                fetch_rows(apart);
                TABLE[high - 1][wide - 1](z, i, j);
            }
        }
    }
}

/* How often multiply_block fetches a piece. */
static ptrdiff_t pieces(ptrdiff_t n)
{
    ptrdiff_t count = 1;
    for (ptrdiff_t v = 1; v < fml_blocks_of(n, LANES); v++)
        count += 1 + fml_blocks_of(smaller(LANES, n - v * LANES), ROWS) * (v == 1 ? 1 : v / 2);
    return count;
}

static ptrdiff_t rows_at_a_time(ptrdiff_t n)
{
    ptrdiff_t rows = CACHED_BYTES / (ptrdiff_t)sizeof(real) / n;
    return rows < LEAST_ROWS ? LEAST_ROWS : smaller(rows, MOST_ROWS);
}

bool FML(lies_by_rows)(const shifted *z)
{
    return z->x_col == 1 && z->p == 0 && !z->scale && z->n >= LEAST_COLUMNS;
}

ptrdiff_t FML(folded_size)(ptrdiff_t n)
{
    return folded(fml_blocks_of(n, LANES));
}

void FML(add_folded)(const shifted *z, ptrdiff_t first, ptrdiff_t end, real *scratch, double *sums,
                     fml_watch *watch)
{
    const ptrdiff_t n = z->n, size = FML(folded_size)(n), most = rows_at_a_time(n);
    const bool is_dense = z->x_row == n;
    const ptrdiff_t piece = fml_blocks_of(most * n / CACHE_LINE, pieces(n)) * CACHE_LINE;
    const ptrdiff_t apart = fml_blocks_of(most, pieces(n)); /* rows of a piece */
    real *spread = scratch + size;
    for (ptrdiff_t c = 0; c < n; c++)
        store(spread + c * LANES, (vec){0} + z->shift[c]);
    for (; first < end && !fml_stopped(watch); first += REAL_ROWS) {
        const ptrdiff_t stop = smaller(first + REAL_ROWS, end);
        memset(scratch, 0, (size_t)size * sizeof *scratch);
        for (ptrdiff_t row = first; row < stop; row += most) {
            const block b = {.x = z->x + row * z->x_row,
                             .step = z->x_row,
                             .rows = smaller(most, stop - row),
                             .shift = z->shift,
                             .spread = spread,
                             .products = scratch};
            const ptrdiff_t left = smaller(most, end - row - b.rows);
            ahead soon = {
                .a = b.x + b.rows * b.step, .a_size = is_dense ? left * n : 0, .piece = piece};
            later rows = {
                .x = soon.a, .step = b.step, .n = n, .rows = is_dense ? 0 : left, .piece = apart};
            multiply_block(&b, n, &soon, &rows);
        }
        for (ptrdiff_t e = 0; e < size; e++)
            sums[e] += (double)scratch[e];
    }
}

void FML(unfold)(const shifted *z, const double *sums, double *out)
{
    const ptrdiff_t n = z->n;
    for (ptrdiff_t start = 0; start < n; start += LANES) {
        const double *in = sums + folded(start / LANES);
        const ptrdiff_t columns = smaller(LANES, n - start);
        for (ptrdiff_t i = 0; i < columns; i++, in += start)
            memcpy(out + (start + i) * z->size, in, (size_t)start * sizeof *out);
        in = sums + folded(start / LANES) + start * LANES;
        for (ptrdiff_t i = 0; i < columns; i++)
            for (ptrdiff_t j = 0; j <= i; j++) {
                ptrdiff_t turn = i - j, lane = j;
                if (turn >= TURNS) {
                    turn = LANES - turn;
                    lane = i;
                }
                out[(start + i) * z->size + start + j] = in[turn * LANES + lane];
            }
        memcpy(out + n * z->size + start, in + TURNS * LANES, (size_t)columns * sizeof *out);
    }
    out[n * z->size + n] = (double)z->rows;
}

#endif
