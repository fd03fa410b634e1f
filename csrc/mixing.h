/* Anderson's mixing: the combination of the last sweeps' images whose steps combined are smallest
 * (Pratapa, Suryanarayana, Pask, J. Computational Physics 306, 2016).
 *
 * A least-squares problem in the inner products of the steps, one for each column. Between two
 * images all may have been multiplied by a scale. Cost of a combination: the new steps with all
 * kept ones, 4 bytes a node and step each; the kept steps and jumps once more to move.
 */
#ifndef FASTMML_MIXING_H
#define FASTMML_MIXING_H

#include "columns.h"
#include "team.h"

#include <math.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

enum {
    /* Sweeps that are combined: 5 to 24 tried, docs/performance.md. Those of several columns come
     * from memory, where fewer take less time though they are swept once more. */
    WINDOW = FML_COLUMNS == 1 ? 9 : 6,
    PERIOD = 3, /* sweeps between two combinations; divides WINDOW */
    JUMPS = WINDOW / PERIOD,
    GROUP = 8, /* values that are multiplied at once: of one column, or of all in a node */
    GROUP_NODES = GROUP / FML_COLUMNS,
    PART_NODES = 512 / FML_COLUMNS, /* whose part of the steps stays in the first-level cache */
    PARTS_AT_ONCE = 8,              /* that a thread takes, at least: some 10 microseconds */
    PARTS_TAKEN = 512,              /* pieces that a long loop over parts is taken in, about */
    TILE = PERIOD /* steps whose products are in registers at once; all that are new */
};
/* Relative weight of the diagonal that keeps the least-squares problem solvable. */
static const double REGULARISATION = 1e-10;
/* Larger ones come of steps that are all rounding errors. */
static const double LARGEST_COEFFICIENT = 1e8;

typedef double group __attribute__((vector_size(GROUP * sizeof(double)), aligned(sizeof(double))));
typedef float narrow_group
    __attribute__((vector_size(GROUP * sizeof(float)), aligned(sizeof(float))));

/* The last sweeps of a segment. Image k is where sweep k ended; steps and jumps lead from image to
 * image, and single precision is enough for them, since only the last image is kept in full. */
typedef struct history {
    ptrdiff_t n;   /* columns of the rows below */
    narrow *steps; /* (WINDOW, n): the change that each sweep made */
    narrow *jumps; /* (JUMPS, n): how far each combination moved from the image before it */
    number *base;  /* n: the base of the segment, what earlier segments contribute added */
    number base_sum;
    double *strength;            /* n: what leads from shares back to ranks */
    number *parts;               /* partial sums of blocks and of parts */
    int64_t sweeps;              /* how many were made */
    int64_t combined;            /* how many had been made at the last combination */
    int64_t first_jump;          /* how many had been made at the first combination, or INT64_MAX */
    number gram[WINDOW][WINDOW]; /* inner products of steps */
    number scales[WINDOW];       /* what all was multiplied by before each sweep */
} history;

static narrow *step_row(const history *h, int64_t sweep)
{
    return h->steps + sweep % WINDOW * h->n;
}

/* Where the jump from the image of this sweep is kept, if a combination is made there. */
static narrow *jump_row(const history *h, int64_t sweep)
{
    return h->jumps + sweep / PERIOD % JUMPS * h->n;
}

static ptrdiff_t kept_sweeps(const history *h)
{
    return h->sweeps < WINDOW ? (ptrdiff_t)h->sweeps : WINDOW;
}

/* The sums of a group for each column. */
FML_INLINE number sum_group(group v)
{
#if FML_COLUMNS == 1
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
#else
    return v;
#endif
}

/* GCC 12 makes six instructions of a conversion to 512 bits, which is one. */
FML_INLINE group read_group(const narrow *at)
{
#ifdef __AVX512F__
    return (group)_mm512_cvtps_pd(_mm256_loadu_ps((const float *)at));
#else
    return __builtin_convertvector(*(const narrow_group *)at, group);
#endif
}

/* Inner products of TILE steps from i on with TILE from j on, over some of the nodes. */
static void gram_tile(const history *h, ptrdiff_t i, ptrdiff_t j, ptrdiff_t start, ptrdiff_t nodes,
                      number part[TILE][WINDOW])
{
    const narrow *a = h->steps + i * h->n + start, *b = h->steps + j * h->n + start;
    group sums[TILE][TILE] = {0};
    ptrdiff_t k = 0;
    for (; k + GROUP_NODES <= nodes; k += GROUP_NODES)
        for (int p = 0; p < TILE; p++)
            for (int q = 0; q < TILE; q++)
                sums[p][q] += read_group(a + p * h->n + k) * read_group(b + q * h->n + k);
    for (int p = 0; p < TILE; p++)
        for (int q = 0; q < TILE; q++) {
            number sum = sum_group(sums[p][q]);
            for (ptrdiff_t l = k; l < nodes; l++)
                sum += FML_CONVERT(a[p * h->n + l], number) * FML_CONVERT(b[q * h->n + l], number);
            part[p][j + q] = sum;
        }
}

static ptrdiff_t count_parts(ptrdiff_t n)
{
    return fml_blocks_of(n, PART_NODES);
}

static ptrdiff_t parts_at_once(ptrdiff_t parts)
{
    return PARTS_AT_ONCE + parts / PARTS_TAKEN;
}

static ptrdiff_t part_nodes(ptrdiff_t n, ptrdiff_t part)
{
    return n - part * PART_NODES < PART_NODES ? n - part * PART_NODES : PART_NODES;
}

/* The steps, from this row on, whose inner products with all are wanted. */
typedef struct products {
    const history *h;
    ptrdiff_t row;
} products;

static void gram_parts(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const products *of = job;
    const history *h = of->h;
    number(*part)[TILE][WINDOW] = (number(*)[TILE][WINDOW])h->parts;
    for (ptrdiff_t p = first; p < last; p++)
        for (ptrdiff_t j = 0; j < kept_sweeps(h); j += TILE)
            gram_tile(h, of->row, j, p * PART_NODES, part_nodes(h->n, p), part[p]);
}

/* Inner products of TILE steps from row i on with all. */
static void update_gram(history *h, ptrdiff_t i, fml_team *team)
{
    ptrdiff_t parts = count_parts(h->n), count = kept_sweeps(h);
    number(*part)[TILE][WINDOW] = (number(*)[TILE][WINDOW])h->parts;
    products of = {h, i};
    fml_share(team, parts, parts_at_once(parts), gram_parts, &of);
    for (ptrdiff_t row = i; row < i + TILE; row++)
        for (ptrdiff_t j = 0; j < count; j++) {
            number sum = {0};
            for (ptrdiff_t p = 0; p < parts; p++)
                sum += part[p][row - i][j];
            h->gram[row][j] = h->gram[j][row] = sum;
        }
}

/* Cholesky factor of a in its lower triangle; false when a is not positive definite. */
static bool factorise(ptrdiff_t count, double a[WINDOW][WINDOW])
{
    for (ptrdiff_t j = 0; j < count; j++) {
        for (ptrdiff_t k = 0; k < j; k++)
            a[j][j] -= a[j][k] * a[j][k];
        if (!(a[j][j] > 0))
            return false;
        a[j][j] = sqrt(a[j][j]);
        for (ptrdiff_t i = j + 1; i < count; i++) {
            for (ptrdiff_t k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
    }
    return true;
}

static void solve_factorised(ptrdiff_t count, double a[WINDOW][WINDOW], double *x)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        for (ptrdiff_t k = 0; k < i; k++)
            x[i] -= a[i][k] * x[k];
        x[i] /= a[i][i];
    }
    for (ptrdiff_t i = count - 1; i >= 0; i--) {
        for (ptrdiff_t k = i + 1; k < count; k++)
            x[i] -= a[k][i] * x[k];
        x[i] /= a[i][i];
    }
}

/* Coefficients of the kept rows that sum to 1 and make the combined step of a column smallest;
 * false when there are none. */
static bool find_coefficients(const history *h, int column, double *coefficients)
{
    double a[WINDOW][WINDOW], scale[WINDOW], total = 0, largest = 0;
    ptrdiff_t count = kept_sweeps(h);
    for (ptrdiff_t i = 0; i < count; i++) {
        double square = fml_column(&h->gram[i][i], column);
        if (!(square > 0))
            return false;
        scale[i] = 1 / sqrt(square);
        largest = scale[i] > largest ? scale[i] : largest;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        for (ptrdiff_t j = 0; j < count; j++)
            a[i][j] = fml_column(&h->gram[i][j], column) * scale[i] * scale[j] +
                      (i == j ? REGULARISATION : 0);
        coefficients[i] = scale[i] / largest;
    }
    if (!factorise(count, a))
        return false;
    solve_factorised(count, a, coefficients);
    for (ptrdiff_t i = 0; i < count; i++)
        total += coefficients[i] *= scale[i] / largest;
    bool usable = true;
    for (ptrdiff_t i = 0; i < count; i++) {
        coefficients[i] /= total;
        usable = usable && fabs(coefficients[i]) < LARGEST_COEFFICIENT; /* false for NaN */
    }
    return usable;
}

/* The way back from the last image to a combination of the last ones: rows and their weights, and
 * that of the last image itself. */
typedef struct way {
    const narrow *rows[WINDOW + JUMPS];
    number weights[WINDOW + JUMPS];
    ptrdiff_t count;
    number last;
} way;

FML_INLINE void add_to_way(way *w, const narrow *row, number weight)
{
    w->rows[w->count] = row;
    w->weights[w->count++] = weight;
}

/* From image k - 1 a jump, if a combination was made there, a scale and a step lead to image k. */
static void find_way_back(const history *h, const number *coefficients, way *w)
{
    number weight = {0};
    w->count = 0;
    w->last = (number){0};
    for (int64_t k = h->sweeps - kept_sweeps(h) + 1; k < h->sweeps; k++) {
        weight += coefficients[(k - 1) % WINDOW];
        if (k % PERIOD == 0 && k >= h->first_jump)
            add_to_way(w, jump_row(h, k), -weight);
        number unscaled = weight / h->scales[k % WINDOW];
        w->last += unscaled - weight; /* exactly 0 where nothing was scaled */
        weight = unscaled;
        add_to_way(w, step_row(h, k), -weight);
    }
}

#endif
