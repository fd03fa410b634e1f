/* Products of rows with their residuals, to twice the digits of a double: what iterative refinement
 * of least squares needs (Å. Björck, Iterative refinement of linear least squares solutions I, BIT
 * 7, 1967). A number is a sum of two doubles; errors of products and sums of the first ones are
 * exact, and are added to the second ones (T. Ogita, S. M. Rump, S. Oishi, Accurate sum and dot
 * product, SIAM Journal on Scientific Computing 26, 2005).
 *
 * Rows are packed side by side, a lane for each. A panel of them gives residuals, which it is
 * multiplied by while the cache holds it; lanes are added up for each group of rows. This file is
 * compiled with -ffp-contract=off, which leaves every rounding where it is written.
 * Cost: 21 operations for a number of x and a column of y; 33 without multiply-adds. x is read
 * once.
 */
#include "dense.h"

/* Numbers of packed rows: 128 KB of a second-level cache; and panels of a block at most. */
enum { PACKED = 1 << 14, MOST_PANELS = 8 };
/* Work of a group of rows, at least, in numbers of x times columns of y: 40 microseconds; and
 * groups, at most. */
enum { GROUP_WORK = 1 << 17, MOST_GROUPS = 32 };

/* A sum in each lane. */
typedef struct pair {
    vec high, low;
} pair;

typedef struct task {
    ptrdiff_t m, n, p, x_row, x_col, y_row, y_col;
    const real *x, *y;
    const fml_fit *fit;
    ptrdiff_t panels, rows, groups; /* panels of a block, rows of a group */
    real *sums;                     /* of each group: two for each product, one for each square */
} task;

/* What a thread needs of its own. */
typedef struct block {
    real *x;         /* panels of n rows of COLUMNS */
    vec *rest;       /* of a target: for each panel, first and second numbers of VECTORS vectors */
    pair *products;  /* p (n + 1) */
    vec *squares;    /* p */
    ptrdiff_t first; /* row */
    ptrdiff_t rows;
} block;

/* a b - rounded, exactly. */
FML_INLINE vec lost(vec a, vec b, vec rounded)
{
#if FML_MASKS
    return (vec)_mm512_fmsub_pd((__m512d)a, (__m512d)b, (__m512d)rounded);
#elif defined(__FMA__)
    return (vec)_mm256_fmsub_pd((__m256d)a, (__m256d)b, (__m256d)rounded);
#elif defined(__aarch64__)
    vec out;
    for (int l = 0; l < LANES; l++)
        out[l] = __builtin_fma(a[l], b[l], -rounded[l]);
    return out;
#else /* by halves of the factors (T. J. Dekker) */
    const vec a_cut = a * 134217729, b_cut = b * 134217729;
    const vec a_high = a_cut - (a_cut - a), b_high = b_cut - (b_cut - b);
    const vec a_low = a - a_high, b_low = b - b_high;
    return ((a_high * b_high - rounded) + a_high * b_low + a_low * b_high) + a_low * b_low;
#endif
}

/* Adds high + low (D. E. Knuth's two-sum). */
FML_INLINE void add(pair *sum, vec high, vec low)
{
    const vec total = sum->high + high, part = total - sum->high;
    sum->low += ((sum->high - (total - part)) + (high - part)) + low;
    sum->high = total;
}

/* Adds a b + low. */
FML_INLINE void add_product(pair *sum, vec a, vec b, vec low)
{
    const vec rounded = a * b;
    add(sum, rounded, lost(a, b, rounded) + low);
}

FML_INLINE void add_scalars(real *sum, real high, real low)
{
    const real total = sum[0] + high, part = total - sum[0];
    sum[1] += ((sum[0] - (total - part)) + (high - part)) + low;
    sum[0] = total;
}

/* Rows of weight 0, whose numbers may have any size, become zeros. */
static void clear_unweighted(const real *scale, ptrdiff_t count, ptrdiff_t n, real *panel)
{
    for (ptrdiff_t l = 0; l < count; l++)
        for (ptrdiff_t j = 0; j < n && scale[l] == 0; j++)
            panel[j * COLUMNS + l] = 0;
}

static void pack(const task *t, const block *own)
{
    real *panel = own->x;
    for (ptrdiff_t row = 0; row < own->rows; row += COLUMNS, panel += t->n * COLUMNS) {
        const ptrdiff_t count = smaller(COLUMNS, own->rows - row);
        if (count < COLUMNS)
            memset(panel, 0, (size_t)(t->n * COLUMNS) * sizeof *panel);
        FML(pack_panel)(COLUMNS, count, t->n, t->x + (own->first + row) * t->x_row, t->x_row,
                        t->x_col, panel);
        if (t->fit->scale)
            clear_unweighted(t->fit->scale + own->first + row, count, t->n, panel);
    }
}

/* The numbers of a target and the weights of so many rows; zeros follow. */
static void take_target(const task *t, ptrdiff_t first, ptrdiff_t count, ptrdiff_t column, vec *y,
                        vec *weights)
{
    real values[COLUMNS] = {0}, factors[COLUMNS] = {0};
    for (ptrdiff_t l = 0; l < count; l++) {
        const real root = t->fit->scale ? t->fit->scale[first + l] : 1;
        values[l] = t->y[(first + l) * t->y_row + column * t->y_col] * t->fit->unit[column];
        factors[l] = root * root;
    }
    memcpy(y, values, sizeof values);
    memcpy(weights, factors, sizeof factors);
}

/* Residuals, of which all that fits goes into the first number, times their weights, and their
 * squares; 0 where the weight is 0. */
FML_INLINE void weigh(pair rest, vec weight, vec *high, vec *low, vec *squares)
{
    const vec zero = {0}, total = rest.high + rest.low, below = rest.low - (total - rest.high);
    const vec rounded = total * weight, lacking = lost(total, weight, rounded) + below * weight;
    const __typeof__(zero < weight) keep = zero < weight;
    *high = (vec)(keep & (__typeof__(keep))rounded);
    *low = (vec)(keep & (__typeof__(keep))lacking);
    *squares += (vec)(keep & (__typeof__(keep))(total * rounded));
}

static void take_residuals(const task *t, const block *own, ptrdiff_t column)
{
    const real *coef = t->fit->coef + column * t->n, *panel = own->x;
    const vec zero = {0}, constant = zero + t->fit->constant[column];
    const vec below = zero - t->fit->constant[t->p + column];
    vec *out = own->rest;
    for (ptrdiff_t row = 0; row < own->rows; row += COLUMNS, out += 2 * VECTORS) {
        vec y[VECTORS], weights[VECTORS];
        pair rest[VECTORS];
        take_target(t, own->first + row, smaller(COLUMNS, own->rows - row), column, y, weights);
        for (int v = 0; v < VECTORS; v++) {
            rest[v] = (pair){y[v], below};
            add(&rest[v], -constant, zero);
        }
        for (ptrdiff_t j = 0; j < t->n; j++, panel += COLUMNS)
            for (int v = 0; v < VECTORS; v++)
                add_product(&rest[v], load(panel + v * LANES), zero - coef[j], zero);
        for (int v = 0; v < VECTORS; v++)
            weigh(rest[v], weights[v], &out[v], &out[VECTORS + v], &own->squares[column]);
    }
}

/* Adds products of the rows, and ones, with the residuals that were taken. */
static void add_residuals(const task *t, const block *own, ptrdiff_t column)
{
    pair *sums = own->products + column * (t->n + 1);
    const ptrdiff_t panels = fml_blocks_of(own->rows, COLUMNS);
    for (ptrdiff_t j = 0; j < t->n; j++) {
        const real *panel = own->x + j * COLUMNS;
        const vec *rest = own->rest;
        pair sum = sums[j];
        for (ptrdiff_t i = 0; i < panels; i++, panel += t->n * COLUMNS, rest += 2 * VECTORS)
            for (int v = 0; v < VECTORS; v++) {
                const vec x = load(panel + v * LANES);
                add_product(&sum, x, rest[v], x * rest[VECTORS + v]);
            }
        sums[j] = sum;
    }
    for (ptrdiff_t i = 0; i < panels; i++)
        for (int v = 0; v < VECTORS; v++) {
            const vec *rest = own->rest + 2 * VECTORS * i + v;
            add(&sums[t->n], rest[0], rest[VECTORS]);
        }
}

static ptrdiff_t sums_of(const task *t)
{
    return t->p * (2 * (t->n + 1) + 1);
}

/* Lanes one after the other. */
static void add_lanes(const task *t, const block *own, real *sums)
{
    for (ptrdiff_t i = 0; i < t->p * (t->n + 1); i++, sums += 2) {
        sums[0] = sums[1] = 0;
        for (int l = 0; l < LANES; l++)
            add_scalars(sums, own->products[i].high[l], own->products[i].low[l]);
    }
    for (ptrdiff_t column = 0; column < t->p; column++) {
        sums[column] = 0;
        for (int l = 0; l < LANES; l++)
            sums[column] += own->squares[column][l];
    }
}

static void sum_group(const task *t, ptrdiff_t group, block *own, fml_watch *watch)
{
    const ptrdiff_t end = smaller((group + 1) * t->rows, t->m), step = t->panels * COLUMNS;
    memset(own->products, 0, (size_t)(t->p * (t->n + 1)) * sizeof *own->products);
    memset(own->squares, 0, (size_t)t->p * sizeof *own->squares);
    for (own->first = group * t->rows; own->first < end && !fml_stopped(watch);
         own->first += step) {
        own->rows = smaller(step, end - own->first);
        pack(t, own);
        for (ptrdiff_t column = 0; column < t->p; column++) {
            take_residuals(t, own, column);
            add_residuals(t, own, column);
        }
    }
    add_lanes(t, own, t->sums + group * sums_of(t));
}

static void add_groups(const task *t, double *products, double *squares)
{
    const ptrdiff_t size = t->p * (t->n + 1);
    for (ptrdiff_t i = 0; i < size; i++) {
        real sum[2] = {0};
        for (ptrdiff_t group = 0; group < t->groups; group++) {
            const real *own = t->sums + group * sums_of(t) + 2 * i;
            add_scalars(sum, own[0], own[1]);
        }
        products[i] = sum[0];
        products[size + i] = sum[1];
    }
    for (ptrdiff_t column = 0; column < t->p; column++) {
        squares[column] = 0;
        for (ptrdiff_t group = 0; group < t->groups; group++)
            squares[column] += t->sums[group * sums_of(t) + 2 * size + column];
    }
}

/* Cuts the rows into groups of whole panels. */
static void cut(task *t)
{
    const ptrdiff_t least = fml_blocks_of(GROUP_WORK, t->n * t->p),
                    even = fml_blocks_of(t->m, MOST_GROUPS);
    t->rows = fml_blocks_of(least > even ? least : even, COLUMNS) * COLUMNS;
    t->groups = fml_blocks_of(t->m, t->rows);
    t->panels = smaller(MOST_PANELS, fml_blocks_of(PACKED, t->n * COLUMNS));
}

fml_status FML(residual_products)(ptrdiff_t m, const fml_side_by_side *sides, const fml_fit *fit,
                                  double *products, double *squares, int threads)
{
    const ptrdiff_t unit = sizeof(real);
    task t = {.m = m,
              .n = sides->n,
              .p = sides->p,
              .x_row = sides->x_row / unit,
              .x_col = sides->x_col / unit,
              .y_row = sides->y_row / unit,
              .y_col = sides->y_col / unit,
              .x = sides->x,
              .y = sides->y,
              .fit = fit};
    cut(&t);
    const int team = fml_clamp_threads(threads, t.groups);
    const ptrdiff_t size = t.p * (t.n + 1), packed = t.panels * t.n * COLUMNS;
    fml_status status = FML_NO_MEMORY;
    t.sums = fml_alloc(t.groups, (size_t)sums_of(&t) * sizeof *t.sums);
    real *x = fml_alloc(team, (size_t)packed * sizeof *x);
    vec *rest = fml_alloc(team, (size_t)(t.panels * 2 * VECTORS) * sizeof *rest);
    pair *sums = fml_alloc(team, (size_t)size * sizeof *sums);
    vec *sums_of_squares = fml_alloc(team, (size_t)t.p * sizeof *sums_of_squares);
    if (!t.sums || !x || !rest || !sums || !sums_of_squares)
        goto done;
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(team)
    for (ptrdiff_t group = 0; group < t.groups; group++) {
        const ptrdiff_t which = fml_thread_number();
        block own = {.x = x + which * packed,
                     .rest = rest + which * t.panels * 2 * VECTORS,
                     .products = sums + which * size,
                     .squares = sums_of_squares + which * t.p};
        sum_group(&t, group, &own, &watch);
    }
    status = fml_watch_status(&watch);
    if (status == FML_OK)
        add_groups(&t, products, squares);
done:
    fml_free(sums_of_squares);
    fml_free(sums);
    fml_free(rest);
    fml_free(x);
    fml_free(t.sums);
    return status;
}
