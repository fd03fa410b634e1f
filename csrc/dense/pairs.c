/* Blocks of centred rows and their inner products, for distances.
 *
 * Cost: 2 m n k flops; y is packed once, x once for each Y_ROWS rows of y. Centring takes the
 * length that all rows share out of the rounding errors.
 */
#include "pairs.h"
#include "wide.h"

/* Rows of a block of x: with 784 columns of float they are 600 KB, of a second-level cache of 1 MB.
 * Rows of a block of y, and numbers that both may have. */
enum { X_ROWS = 192, Y_ROWS = 2048, X_NUMBERS = 1 << 18, Y_NUMBERS = 1 << 21 };
/* Blocks of x for each thread, so that all finish together. */
enum { BLOCKS_PER_THREAD = 4 };
/* Terms that are summed up in one go: error bounds grow with them. With 256 products would take
 * some 2 % less. */
enum { TERMS = 128 };
/* Rows whose mean is the centre. */
enum { SAMPLE = 1024 };
/* Rows on their way into a panel, of x or of y. */
enum { LINES = ROWS > COLUMNS ? ROWS : COLUMNS };
/* Roundings beside those of a sum, in units of |x|^2 + |y|^2: of centred rows 4, of their squared
 * lengths 20, of what is added to them 7, of limits that it is compared with 8; the rest is to
 * spare. */
enum { ROUNDINGS = 48 };

/* With the ratio of the scales equal rows differ by exact zeros, fused multiply-adds or not. */
double FML(squared_difference)(const pairs *p, ptrdiff_t i, ptrdiff_t j)
{
    const real *x = p->x.data + i * p->x.row, *y = p->y.data + j * p->y.row;
    const ptrdiff_t x_col = p->x.col, y_col = p->y.col, step = (ptrdiff_t)WIDE;
    double scale = p->x.scale ? p->x.scale[i] : 1;
    double ratio = p->y.scale ? p->y.scale[j] / scale : 1;
    wide sums[WIDE_SUMS] = {{0}};
    ptrdiff_t q = 0;
    if (x_col == 1 && y_col == 1)
        for (; q + WIDE_SUMS * step <= p->k; q += WIDE_SUMS * step)
#pragma GCC unroll 4
            for (int s = 0; s < WIDE_SUMS; s++) {
                wide a = widen(x + q + s * step, 1, step), b = widen(y + q + s * step, 1, step);
                wide difference = a - ratio * b;
                sums[s] += difference * difference;
            }
    for (; q < p->k; q += step) {
        ptrdiff_t count = smaller(step, p->k - q);
        wide a = widen(x + q * x_col, x_col, count), b = widen(y + q * y_col, y_col, count);
        wide difference = a - ratio * b;
        sums[0] += difference * difference;
    }
    return scale * scale * sum_wide(sums);
}

real FML(product_error)(ptrdiff_t k)
{
    ptrdiff_t terms = smaller(k, TERMS) + 2 * ((k - 1) / TERMS) + ROUNDINGS;
    double error = (double)terms * ROUNDOFF;
    return (real)(error / (1 - error) * (1 + 4 * (double)ROUNDOFF));
}

/* Row i less the centre, and its squared length: NaN, which no comparison trusts, where inner
 * products could overflow. */
static real centre_row(const pairs *p, const side *from, ptrdiff_t i, real *out)
{
    const real *x = from->data + i * from->row;
    const ptrdiff_t col = from->col, step = (ptrdiff_t)WIDE;
    double scale = from->scale ? from->scale[i] : 1, squared = 0;
    for (ptrdiff_t start = 0; start < p->k; start += TERMS) {
        wide sums[WIDE_SUMS] = {{0}};
        for (ptrdiff_t q = start; q < smaller(start + TERMS, p->k); q += step) {
            ptrdiff_t count = smaller(step, p->k - q);
            wide value = widen(x + q * col, col, count) * scale - widen(p->centre + q, 1, count);
            narrow rounded = __builtin_convertvector(value, narrow);
            wide kept = __builtin_convertvector(rounded, wide);
            sums[q / step % WIDE_SUMS] += kept * kept;
            memcpy(out + q, &rounded, (size_t)count * sizeof *out);
        }
        squared += sum_wide(sums);
    }
    return squared <= REAL_MAX / 16 ? (real)squared : (real)NAN;
}

/* Any centre serves: this one is near the mean of y. */
static void find_centre(const pairs *p)
{
    const side *y = &p->y;
    ptrdiff_t step = fml_blocks_of(y->count, SAMPLE), rows = fml_blocks_of(y->count, step);
    memset(p->centre, 0, (size_t)p->k * sizeof *p->centre);
    for (ptrdiff_t i = 0; i < y->count; i += step) {
        double weight = (y->scale ? y->scale[i] : 1) / (double)rows;
        for (ptrdiff_t q = 0; q < p->k; q++)
            p->centre[q] += (real)(weight * y->data[i * y->row + q * y->col]);
    }
}

static side side_of(const fml_rows *rows)
{
    enum { SIZE = sizeof(real) };
    return (side){rows->count, rows->data, rows->row / SIZE, rows->col / SIZE, rows->scale};
}

/* Rows of a block: whole panels, of so many numbers if they can be. */
static ptrdiff_t block_rows(ptrdiff_t count, ptrdiff_t most, ptrdiff_t numbers, ptrdiff_t k,
                            ptrdiff_t width)
{
    ptrdiff_t rows = smaller(smaller(count, most), numbers / k + 1);
    return fml_blocks_of(rows, width) * width;
}

int FML(pairs_team)(ptrdiff_t x_rows, int threads)
{
    return fml_clamp_threads(threads, fml_blocks_of(x_rows, ROWS));
}

bool FML(pairs_start)(pairs *p, const fml_rows *x, const fml_rows *y, ptrdiff_t k, int team)
{
    p->x = side_of(x);
    p->y = side_of(y ? y : x);
    p->is_own = !y;
    p->k = k;
    ptrdiff_t share = fml_blocks_of(p->x.count, (ptrdiff_t)BLOCKS_PER_THREAD * team);
    p->x_rows = block_rows(share, X_ROWS, X_NUMBERS, k, ROWS);
    p->y_rows = block_rows(p->y.count, Y_ROWS, Y_NUMBERS, k, COLUMNS);
    /* k numbers for the centre, each row of the blocks and of `lines`; and COLUMNS + 1 more for a
     * row of x, 1 for a row of y. */
    ptrdiff_t rows = 1 + p->y_rows + team * (LINES + p->x_rows);
    p->scratch = fml_alloc(k + COLUMNS + 1, (size_t)rows * sizeof(real));
    if (!p->scratch)
        return false;
    p->centre = p->scratch;
    p->panels = p->centre + k;
    p->norms = p->panels + p->y_rows * k;
    p->own = p->norms + p->y_rows;
    p->own_size = (LINES + p->x_rows) * k + p->x_rows * (COLUMNS + 1);
    find_centre(p);
    return true;
}

/* A block of x, packed by the thread that works on it, and inner products with a panel of y. */
typedef struct own_block {
    real *lines; /* LINES rows */
    real *panels, *norms;
    real *sums; /* rows of COLUMNS */
} own_block;

static own_block own_block_of(const pairs *p)
{
    own_block own = {.lines = p->own + fml_thread_number() * p->own_size};
    own.panels = own.lines + LINES * p->k;
    own.norms = own.panels + p->x_rows * p->k;
    own.sums = own.norms + p->x_rows;
    return own;
}

/* Up to `width` rows as a panel. */
static void pack_rows(const pairs *p, const side *from, ptrdiff_t width, ptrdiff_t first,
                      real *lines, real *panel, real *norms)
{
    ptrdiff_t count = smaller(width, from->count - first);
    for (ptrdiff_t l = 0; l < count; l++)
        norms[l] = centre_row(p, from, first + l, lines + l * p->k);
    for (ptrdiff_t l = count; l < width; l++)
        norms[l] = 0;
    FML(pack_panel)(width, count, p->k, lines, p->k, 1, panel);
}

/* Rows of y from `first` on that a panel holds, to their place in the block that starts at `start`.
 */
static void pack_y(const pairs *p, ptrdiff_t start, ptrdiff_t first, real *lines)
{
    pack_rows(p, &p->y, COLUMNS, first, lines, p->panels + (first - start) * p->k,
              p->norms + (first - start));
}

static void pack_x(const pairs *p, ptrdiff_t first, ptrdiff_t rows, own_block *own)
{
    for (ptrdiff_t i = 0; i < rows; i += ROWS)
        pack_rows(p, &p->x, ROWS, first + i, own->lines, own->panels + i * p->k, own->norms + i);
}

/* Inner products of the packed rows of x with the panel of y that starts `column` rows into its
 * block. */
static void multiply_pairs(const pairs *p, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t columns,
                           const own_block *own)
{
    const real *y = p->panels + column * p->k;
    if (columns < COLUMNS)
        memset(own->sums, 0, (size_t)(rows * COLUMNS) * sizeof(real));
    for (ptrdiff_t start = 0; start < p->k; start += TERMS)
        for (ptrdiff_t i = 0; i < rows; i += ROWS) {
            ptrdiff_t height = smaller(ROWS, rows - i);
            FML(tile)(height, columns)(smaller(TERMS, p->k - start),
                                       own->panels + i * p->k + start * ROWS, 1, ROWS,
                                       y + start * COLUMNS, COLUMNS, last_lanes(columns),
                                       own->sums + i * COLUMNS, COLUMNS, start > 0);
        }
}

/* Rows from `row` on against the block of y that starts at `start`. */
static void walk_block(const pairs *p, ptrdiff_t row, ptrdiff_t start, strip_function *use,
                       const void *task, fml_watch *watch)
{
    own_block own = own_block_of(p);
    ptrdiff_t rows = smaller(p->x_rows, p->x.count - row);
    ptrdiff_t end = smaller(start + p->y_rows, p->is_triangle ? row + rows : p->y.count);
    pack_x(p, row, rows, &own);
    for (ptrdiff_t column = start; column < end; column += COLUMNS) {
        ptrdiff_t columns = smaller(COLUMNS, end - column);
        if (fml_stopped(watch))
            return;
        multiply_pairs(p, rows, column - start, columns, &own);
        use(task,
            &(strip){row, rows, column, columns, own.norms, p->norms + column - start, own.sums});
    }
}

void FML(walk_pairs)(const pairs *p, strip_function *use, const void *task, fml_watch *watch)
{
    for (ptrdiff_t start = 0; start < p->y.count; start += p->y_rows) {
        ptrdiff_t end = smaller(start + p->y_rows, p->y.count);
        ptrdiff_t first = p->is_triangle ? start / p->x_rows : 0;
#pragma omp for schedule(static)
        for (ptrdiff_t j = start; j < end; j += COLUMNS)
            if (!fml_stopped(watch))
                pack_y(p, start, j, own_block_of(p).lines);
#pragma omp for schedule(dynamic)
        for (ptrdiff_t block = first; block < fml_blocks_of(p->x.count, p->x_rows); block++)
            if (!fml_stopped(watch))
                walk_block(p, block * p->x_rows, start, use, task, watch);
    }
}
