/* The Gram matrix of (X, B) for X = A U_1^-1 U_2^-1 ... (substitution.c), which is nowhere stored:
 * rows are solved for block by block, and multiplied while they are in cache.
 *
 * Threads take parts of the rows, which do not depend on them; the sums of the parts are added
 * pairwise. Cost: m n (n + 1) flops for each U, and m (n + p)² for the products with B of p
 * columns; A and B are read once.
 */
#include "substitution.h"

/* Numbers of X that are multiplied while they are in the second-level cache: 256 KB of double. */
enum { BLOCK_NUMBERS = 1 << 15 };
/* Columns so few that their products are summed in the lanes of panels that stay in the first-level
 * cache, 16 KB of double; in tiles that fit the registers. */
enum { FEW = 32, FEW_NUMBERS = 1 << 11, HIGH = 4, WIDE = FML_MASKS ? 4 : 2 };
/* Blocks after which a thread polls: some ten microseconds to some milliseconds. */
enum { POLLED = 8 };
/* Rows whose products one thread adds up, at least, and the most parts that they make. */
enum { PART_ROWS = 4096, MOST_PARTS = 64 };

/* Rows of X at a time, at least one panel: they stay in the second-level cache, or the first. */
static ptrdiff_t block_rows(ptrdiff_t n)
{
    ptrdiff_t panels = (n <= FEW ? FEW_NUMBERS : BLOCK_NUMBERS) / n / COLUMNS;
    return (panels > 0 ? panels : 1) * COLUMNS;
}

/* Adds to sums[(r * n + c) * LANES ..] the products, lane by lane, of columns r < high of x and
 * c < wide of y, in so many panels. Inlined with constants. */
FML_INLINE void add_tile(ptrdiff_t high, ptrdiff_t wide, ptrdiff_t panels, ptrdiff_t n,
                         const real *x, const real *y, real *sums)
{
    vec tile[HIGH][WIDE];
#pragma GCC unroll 4
    for (ptrdiff_t r = 0; r < high; r++)
#pragma GCC unroll 4
        for (ptrdiff_t c = 0; c < wide; c++)
            tile[r][c] = load(sums + (r * n + c) * LANES);
    for (; panels > 0; panels--, x += n * COLUMNS, y += n * COLUMNS)
#pragma GCC unroll 2
        for (ptrdiff_t v = 0; v < COLUMNS; v += LANES) {
            vec right[WIDE];
#pragma GCC unroll 4
            for (ptrdiff_t c = 0; c < wide; c++)
                right[c] = load(y + c * COLUMNS + v);
#pragma GCC unroll 4
            for (ptrdiff_t r = 0; r < high; r++) {
                vec left = load(x + r * COLUMNS + v);
#pragma GCC unroll 4
                for (ptrdiff_t c = 0; c < wide; c++)
                    tile[r][c] += left * right[c];
            }
        }
#pragma GCC unroll 4
    for (ptrdiff_t r = 0; r < high; r++)
#pragma GCC unroll 4
        for (ptrdiff_t c = 0; c < wide; c++)
            store(sums + (r * n + c) * LANES, tile[r][c]);
}

/* Adds the products of columns row .. of the panels and those up to the diagonal. */
static void add_tiles(ptrdiff_t panels, ptrdiff_t n, const real *x, real *sums)
{
    for (ptrdiff_t r = 0; r < n; r += HIGH)
        for (ptrdiff_t c = 0; c < n && c < r + HIGH; c += WIDE) {
            const real *left = x + r * COLUMNS, *right = x + c * COLUMNS;
            real *tile = sums + (r * n + c) * LANES;
            if (r + HIGH <= n && c + WIDE <= n)
                add_tile(HIGH, WIDE, panels, n, left, right, tile);
            else
                for (ptrdiff_t i = 0; i < smaller(HIGH, n - r); i++)
                    for (ptrdiff_t j = 0; j < smaller(WIDE, n - c); j++)
                        add_tile(1, 1, panels, n, left + i * COLUMNS, right + j * COLUMNS,
                                 tile + (i * n + j) * LANES);
        }
}

/* Adds, lane by lane, the products of few columns of rows first .. end - 1, which never leave the
 * panels: 16 rows of 8 take 55 ns where they were laid out again for a product, 86. */
static void add_few(const systems *s, ptrdiff_t first, ptrdiff_t end, real *panels, real *lanes)
{
    const ptrdiff_t n = s->width, step = block_rows(n);
    for (; first < end; first += step) {
        ptrdiff_t rows = smaller(step, end - first), count = fml_blocks_of(rows, COLUMNS);
        for (ptrdiff_t p = 0; p < count; p++) {
            ptrdiff_t start = p * COLUMNS, used = smaller(COLUMNS, rows - start);
            real *panel = panels + start * n;
            FML(solve_side_by_side)(s, first + start, used, NULL, panel);
            for (ptrdiff_t c = 0; used < COLUMNS && c < n; c++)
                memset(panel + c * COLUMNS + used, 0, (size_t)(COLUMNS - used) * sizeof *panel);
        }
        add_tiles(count, n, panels, lanes);
    }
}

/* Adds the products of any number of columns of rows first .. end - 1, block by block. */
static void add_many(const systems *s, ptrdiff_t first, ptrdiff_t end, real *block, real *panel,
                     real *sums)
{
    const ptrdiff_t n = s->width, step = block_rows(n), unit = sizeof(real);
    for (; first < end; first += step) {
        ptrdiff_t rows = smaller(step, end - first);
        FML(solve_rows)(s, first, first + rows, true, panel, block);
        product y = FML(gram_product)(rows, n, block, n * unit, unit, 1, sums);
        y.add = true;
        FML(multiply_small)(&y);
    }
}

static void add_lanes(const real *lanes, ptrdiff_t size, real *sums)
{
    for (ptrdiff_t e = 0; e < size; e++) {
        sums[e] = 0;
        for (ptrdiff_t l = 0; l < LANES; l++)
            sums[e] += lanes[e * LANES + l];
    }
}

/* Numbers that a thread works in: a block, and sums in lanes or a panel. */
static ptrdiff_t space_of(ptrdiff_t n)
{
    return n * (block_rows(n) + (n <= FEW ? n * LANES : COLUMNS));
}

/* The sums of the products of rows first .. end - 1. */
static void sum_part(const systems *s, ptrdiff_t first, ptrdiff_t end, real *space, real *sums,
                     fml_watch *watch)
{
    const ptrdiff_t n = s->width, size = n * n, step = block_rows(n), some = POLLED * step;
    const bool is_few = n <= FEW;
    real *other = space + step * n;
    if (is_few)
        memset(other, 0, (size_t)(size * LANES) * sizeof *other);
    else
        memset(sums, 0, (size_t)size * sizeof *sums);
    for (; first < end && !fml_stopped(watch); first += some) {
        ptrdiff_t last = smaller(first + some, end);
        if (is_few)
            add_few(s, first, last, space, other);
        else
            add_many(s, first, last, space, other, sums);
    }
    if (is_few)
        add_lanes(other, size, sums);
}

/* Rows of a part: whole blocks. */
static ptrdiff_t part_rows(const systems *s)
{
    ptrdiff_t rows = fml_blocks_of(s->m, MOST_PARTS), step = block_rows(s->width);
    return fml_blocks_of(rows > PART_ROWS ? rows : PART_ROWS, step) * step;
}

fml_status FML(solved_gram)(ptrdiff_t m, const fml_side_by_side *sides, ptrdiff_t count,
                            const real *u, real *gram, int threads)
{
    const ptrdiff_t n = sides->n + sides->p, size = n * n;
    memset(gram, 0, (size_t)size * sizeof *gram);
    if (m == 0 || n == 0)
        return FML_OK;
    systems s;
    bool has_memory = FML(systems_start)(&s, m, sides, count, u);
    const ptrdiff_t rows = part_rows(&s), parts = fml_blocks_of(m, rows);
    const int team = fml_clamp_threads(threads, parts);
    fml_status status = FML_NO_MEMORY;
    real *sums = fml_alloc(parts, (size_t)size * sizeof *sums);
    real *space = fml_alloc(team, (size_t)space_of(n) * sizeof *space);
    if (!sums || !space || !has_memory)
        goto done;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(static) num_threads(team)
    for (ptrdiff_t part = 0; part < parts; part++)
        sum_part(&s, part * rows, smaller((part + 1) * rows, m),
                 space + fml_thread_number() * space_of(n), sums + part * size, &watch);
    status = fml_watch_status(&watch);
    if (status == FML_OK) {
        FML(add_parts)(sums, parts, size);
        memcpy(gram, sums, (size_t)size * sizeof *gram);
        FML(mirror)(gram, n, 1, threads);
    }
done:
    fml_free(s.inverse);
    fml_free(space);
    fml_free(sums);
    return status;
}
