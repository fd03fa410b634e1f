/* PageRank as a linear system, y = damping P'y + base, solved component by component.
 *
 * Segments depend on earlier ones only (Langville & Meyer, SIAM J. Matrix Analysis 27, 2006, and
 * PRPACK's reordering do likewise), so each is solved once and for all: a run of single nodes by
 * substitution, a strong component by sweeps of Gauss-Seidel whose iterates Anderson's mixing
 * combines every few sweeps (Pratapa, Suryanarayana, Pask, J. Computational Physics 306, 2016).
 * Large components are cut into blocks, which are swept in waves: values of the block itself and of
 * earlier waves are new, those of other blocks of the wave are from before the sweep, so that
 * threads do not change the result. Four waves and more converge like one block.
 * Cost of a sweep: 4 bytes a link read (12 with weights) and one random read of a number; 40 bytes
 * a node.
 */
#include "../kernel.h"

#include <math.h>

enum {
    WINDOW = 12, /* sweeps that are combined: 5 to 24 tried, docs/performance.md */
    PERIOD = 4,  /* sweeps between two combinations; divides WINDOW */
    JUMPS = WINDOW / PERIOD,
    COLUMNS = 512, /* nodes whose part of the steps stays in the first-level cache */
    LANES = 32     /* four registers of eight numbers */
};
/* Relative weight of the diagonal that keeps the least-squares problem solvable. */
static const double REGULARISATION = 1e-10;
/* Links and rows that can be swept in the time of a combination: sweeps of small segments are
 * cheaper than that, and most have converged before they have taken as long. */
static const int64_t COMBINATION_WORK = 4096;
/* Larger ones come of steps that are all rounding errors. */
static const double LARGEST_COEFFICIENT = 1e8;
/* A change this many times that of the sweep before shows that a combination has failed. */
static const double FAILURE = 4;

/* Blocks and nodes of a segment. */
typedef struct segment {
    ptrdiff_t first, last, waves, start, end;
} segment;

typedef struct system {
    const fml_rank_plan *plan;
    const double *inverse_strength, *base;
    ptrdiff_t base_stride;
    double damping;
    double *y, *c;
    int threads;
} system;

/* The last sweeps of a segment. Image k is where sweep k ended; steps and jumps lead from image to
 * image, and single precision is enough for them, since only the last image is kept in full. */
typedef struct history {
    ptrdiff_t n;        /* columns of the rows below */
    float *steps;       /* (WINDOW, n): the change that each sweep made */
    float *jumps;       /* (JUMPS, n): how far each combination moved from the image before it */
    double *base;       /* n: the base of the segment, what earlier segments contribute added */
    double *parts;      /* partial sums of blocks and of columns */
    int64_t sweeps;     /* how many were made */
    int64_t combined;   /* how many had been made at the last combination */
    int64_t first_jump; /* how many at the first, or INT64_MAX */
    double gram[WINDOW][WINDOW]; /* inner products of steps */
} history;

static float *step_row(const history *h, int64_t sweep)
{
    return h->steps + sweep % WINDOW * h->n;
}

/* The jump between the images of two sweeps, the later of which is a multiple of PERIOD. */
static float *jump_row(const history *h, int64_t sweep)
{
    return h->jumps + sweep / PERIOD % JUMPS * h->n;
}

static ptrdiff_t kept_sweeps(const history *h)
{
    return h->sweeps < WINDOW ? (ptrdiff_t)h->sweeps : WINDOW;
}

static inline double link_value(const fml_rank_plan *plan, const double *weights, const double *c,
                                int64_t k)
{
    double value = c[plan->indices[k]];
    return weights ? weights[k] * value : value;
}

/* Four sums run side by side, since one would wait for each addition; the last links are taken
 * without a branch, as in rank_pull.c. */
static inline double sum_links(const fml_rank_plan *plan, const double *weights, const double *c,
                               int64_t k, int64_t end)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (; k + 4 < end; k += 4) {
        s0 += link_value(plan, weights, c, k);
        s1 += link_value(plan, weights, c, k + 1);
        s2 += link_value(plan, weights, c, k + 2);
        s3 += link_value(plan, weights, c, k + 3);
    }
    vec4 last = {link_value(plan, weights, c, k), link_value(plan, weights, c, k + 1),
                 link_value(plan, weights, c, k + 2), link_value(plan, weights, c, k + 3)};
    last = fml_keep_first(last, end - k);
    return ((s0 + s1) + (s2 + s3)) + ((last[0] + last[1]) + (last[2] + last[3]));
}

/* The part of a node's rank that comes back to it along its links to itself. */
static double returning(const system *s, ptrdiff_t i, int64_t loops, int64_t end)
{
    s->c[i] = s->inverse_strength[i];
    return s->damping * sum_links(s->plan, s->plan->weights, s->c, loops, end);
}

static void substitute(const system *s, ptrdiff_t start, ptrdiff_t end)
{
    const fml_rank_plan *plan = s->plan;
    for (ptrdiff_t i = start; i < end; i++) {
        int64_t first = plan->indptr[i], loops = first + plan->earlier[i];
        double sum = sum_links(plan, plan->weights, s->c, first, loops);
        s->y[i] = s->damping * sum + s->base[i * s->base_stride];
        if (loops < plan->indptr[i + 1])
            s->y[i] /= 1 - returning(s, i, loops, plan->indptr[i + 1]);
        s->c[i] = s->y[i] * s->inverse_strength[i];
    }
}

/* What earlier segments and the base give to the rows of a block, and the first guess's shares. */
static void start_block(const system *s, ptrdiff_t start, ptrdiff_t end, double *base)
{
    const fml_rank_plan *plan = s->plan;
    for (ptrdiff_t i = start; i < end; i++) {
        s->c[i] = s->y[i] * s->inverse_strength[i];
        int64_t first = plan->indptr[i];
        double sum = sum_links(plan, plan->weights, s->c, first, first + plan->earlier[i]);
        base[i - start] = s->damping * sum + s->base[i * s->base_stride];
    }
}

static inline double sweep_rows(const system *s, const double *weights, ptrdiff_t start,
                                ptrdiff_t end, const double *restrict base, float *restrict step)
{
    const fml_rank_plan *plan = s->plan;
    const int64_t *indptr = plan->indptr;
    const double damping = s->damping;
    double *y = s->y, *c = s->c;
    double change = 0;
    for (ptrdiff_t i = start; i < end; i++) {
        double sum = sum_links(plan, weights, c, indptr[i] + plan->earlier[i], indptr[i + 1]);
        double value = damping * sum + base[i - start];
        double moved = value - y[i];
        change += moved < 0 ? -moved : moved;
        step[i - start] = (float)moved;
        y[i] = value;
        c[i] = value * s->inverse_strength[i];
    }
    return change;
}

static double sweep_block(const system *s, ptrdiff_t start, ptrdiff_t end, const double *base,
                          float *step)
{
    if (s->plan->weights)
        return sweep_rows(s, s->plan->weights, start, end, base, step);
    return sweep_rows(s, NULL, start, end, base, step);
}

/* One sweep over a segment, wave after wave; returns the 1-norm of the change (of no meaning when
 * it was stopped). */
static double sweep(const system *s, segment in, history *h, fml_watch *watch)
{
    const int64_t *blocks = s->plan->blocks;
    const ptrdiff_t n = s->plan->n;
    float *step = step_row(h, h->sweeps);
    if (in.last - in.first == 1)
        return sweep_block(s, in.start, in.end, h->base, step);
#pragma omp parallel num_threads(fml_clamp_threads(s->threads, (in.last - in.first) / in.waves))
    {
#pragma omp for schedule(static)
        for (ptrdiff_t b = in.first; b < in.last; b++)
            memcpy(s->c + n + blocks[b], s->c + blocks[b],
                   (size_t)(blocks[b + 1] - blocks[b]) * sizeof *s->c);
        for (ptrdiff_t wave = 0; wave < in.waves; wave++) {
#pragma omp for schedule(static) /* a block stays with its thread's cache */
            for (ptrdiff_t b = in.first + wave; b < in.last; b += in.waves) {
                if (fml_stopped(watch))
                    continue;
                ptrdiff_t at = blocks[b] - in.start;
                h->parts[b - in.first] =
                    sweep_block(s, blocks[b], blocks[b + 1], h->base + at, step + at);
            }
        }
    }
    return fml_sum_pairwise(h->parts, in.last - in.first);
}

/* Many sums side by side, so that none waits for an addition; a fixed number, for equal bits. */
static double inner_product(const float *a, const float *b, ptrdiff_t n)
{
    double sums[LANES] = {0};
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += (double)a[i + lane] * (double)b[i + lane];
    for (; i < n; i++)
        sums[i % LANES] += (double)a[i] * (double)b[i];
    return fml_sum_pairwise(sums, LANES);
}

/* Whether the step in this row is of a sweep since the last combination. */
static bool is_new(const history *h, ptrdiff_t row)
{
    return (h->sweeps - 1 - row) % WINDOW < h->sweeps - h->combined;
}

/* Inner products of the new steps with all, over some of the columns. */
static void gram_part(const history *h, ptrdiff_t start, ptrdiff_t columns,
                      double part[WINDOW][WINDOW])
{
    for (ptrdiff_t i = 0; i < kept_sweeps(h); i++)
        for (ptrdiff_t j = 0; j <= i; j++)
            if (is_new(h, i) || is_new(h, j))
                part[i][j] = inner_product(h->steps + i * h->n + start, h->steps + j * h->n + start,
                                           columns);
}

static ptrdiff_t count_parts(ptrdiff_t n)
{
    return n / COLUMNS + (n % COLUMNS != 0);
}

static ptrdiff_t part_columns(ptrdiff_t n, ptrdiff_t part)
{
    return n - part * COLUMNS < COLUMNS ? n - part * COLUMNS : COLUMNS;
}

static void update_gram(history *h, int threads)
{
    ptrdiff_t parts = count_parts(h->n);
    double (*part)[WINDOW][WINDOW] = (double (*)[WINDOW][WINDOW])h->parts;
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, parts / 8))
    for (ptrdiff_t p = 0; p < parts; p++)
        gram_part(h, p * COLUMNS, part_columns(h->n, p), part[p]);
    for (ptrdiff_t i = 0; i < kept_sweeps(h); i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            if (!is_new(h, i) && !is_new(h, j))
                continue;
            double sum = 0;
            for (ptrdiff_t p = 0; p < parts; p++)
                sum += part[p][i][j];
            h->gram[i][j] = h->gram[j][i] = sum;
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

/* Coefficients of the kept rows that sum to 1 and make the combined step smallest; false when there
 * are none. */
static bool find_coefficients(const history *h, double *coefficients)
{
    double a[WINDOW][WINDOW], scale[WINDOW], total = 0, largest = 0;
    ptrdiff_t count = kept_sweeps(h);
    for (ptrdiff_t i = 0; i < count; i++) {
        if (!(h->gram[i][i] > 0))
            return false;
        scale[i] = 1 / sqrt(h->gram[i][i]);
        largest = scale[i] > largest ? scale[i] : largest;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        for (ptrdiff_t j = 0; j < count; j++)
            a[i][j] = h->gram[i][j] * scale[i] * scale[j] + (i == j ? REGULARISATION : 0);
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

/* The way back from the last image to a combination of the last ones: rows and their weights. */
typedef struct way {
    const float *rows[WINDOW + JUMPS];
    double weights[WINDOW + JUMPS];
    ptrdiff_t count;
} way;

static void add_to_way(way *w, const float *row, double weight)
{
    w->rows[w->count] = row;
    w->weights[w->count++] = weight;
}

/* Image k - 1 lies one step, and a jump if a combination was made there, before image k. */
static way way_back(const history *h, const double *coefficients)
{
    way w = {.count = 0};
    double weight = 0;
    for (int64_t k = h->sweeps - kept_sweeps(h) + 1; k < h->sweeps; k++) {
        weight += coefficients[(k - 1) % WINDOW];
        add_to_way(&w, step_row(h, k), -weight);
        if (k % PERIOD == 0 && k >= h->first_jump)
            add_to_way(&w, jump_row(h, k), -weight);
    }
    return w;
}

static void jump_part(const system *s, const way *w, ptrdiff_t origin, ptrdiff_t start,
                      ptrdiff_t columns, float *jump)
{
    double sums[COLUMNS] = {0};
    for (ptrdiff_t k = 0; k < w->count; k++)
        for (ptrdiff_t i = 0; i < columns; i++)
            sums[i] += w->weights[k] * (double)w->rows[k][start + i];
    for (ptrdiff_t i = 0; i < columns; i++) {
        ptrdiff_t node = origin + start + i;
        jump[start + i] = (float)sums[i];
        s->y[node] += sums[i];
        s->c[node] = s->y[node] * s->inverse_strength[node];
    }
}

/* Moves y to the best combination of the last images; stays where there is none. */
static void combine(const system *s, history *h, ptrdiff_t start)
{
    double coefficients[WINDOW];
    ptrdiff_t parts = count_parts(h->n);
    update_gram(h, s->threads);
    way w = {.count = 0};
    if (find_coefficients(h, coefficients))
        w = way_back(h, coefficients);
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(s->threads, parts / 8))
    for (ptrdiff_t p = 0; p < parts; p++)
        jump_part(s, &w, start, p * COLUMNS, part_columns(h->n, p), jump_row(h, h->sweeps));
    h->first_jump = h->sweeps < h->first_jump ? h->sweeps : h->first_jump;
    h->combined = h->sweeps;
}

static void start_segment(const system *s, segment in, history *h, fml_watch *watch)
{
    const int64_t *blocks = s->plan->blocks;
    h->n = in.end - in.start;
    h->sweeps = h->combined = 0;
    h->first_jump = INT64_MAX;
#pragma omp parallel for schedule(dynamic) \
    num_threads(fml_clamp_threads(s->threads, in.last - in.first))
    for (ptrdiff_t b = in.first; b < in.last; b++)
        if (!fml_stopped(watch))
            start_block(s, blocks[b], blocks[b + 1], h->base + (blocks[b] - in.start));
}

/* Sweeps a cyclic segment until a sweep changes it by at most tolerance. */
static void sweep_until(const system *s, segment in, double tolerance, int64_t max_sweeps,
                        history *h, fml_watch *watch)
{
    const int64_t *indptr = s->plan->indptr;
    int64_t work = indptr[in.end] - indptr[in.start] + in.end - in.start;
    double before = INFINITY;
    bool trusted = true;
    start_segment(s, in, h, watch);
    while (h->sweeps < max_sweeps && !fml_stopped(watch)) {
        double change = sweep(s, in, h, watch);
        h->sweeps++;
        if (change <= tolerance || fml_stopped(watch))
            break;
        trusted = trusted && change <= FAILURE * before;
        before = change;
        if (trusted && h->sweeps % PERIOD == 0 && h->sweeps * work >= COMBINATION_WORK)
            combine(s, h, in.start);
    }
}

static segment segment_at(const fml_rank_plan *plan, ptrdiff_t i)
{
    ptrdiff_t first = plan->segments[i], last = plan->segments[i + 1];
    return (segment){first, last, plan->waves[i], plan->blocks[first], plan->blocks[last]};
}

/* Nodes and blocks of the largest cyclic segment, and nodes of all of them. */
static void measure(const fml_rank_plan *plan, ptrdiff_t *largest, ptrdiff_t *blocks,
                    ptrdiff_t *cyclic)
{
    *largest = *blocks = *cyclic = 0;
    for (ptrdiff_t i = 0; i < plan->num_segments; i++) {
        if (plan->kinds[i] != FML_CYCLIC)
            continue;
        segment in = segment_at(plan, i);
        ptrdiff_t nodes = in.end - in.start, count = in.last - in.first;
        *largest = nodes > *largest ? nodes : *largest;
        *blocks = count > *blocks ? count : *blocks;
        *cyclic += nodes;
    }
}

static void history_free(history *h)
{
    fml_free(h->steps);
    fml_free(h->jumps);
    fml_free(h->base);
    fml_free(h->parts);
}

static bool history_make(history *h, ptrdiff_t nodes, ptrdiff_t blocks)
{
    ptrdiff_t parts = count_parts(nodes) * WINDOW * WINDOW;
    h->steps = fml_alloc(nodes, WINDOW * sizeof *h->steps);
    h->jumps = fml_alloc(nodes, JUMPS * sizeof *h->jumps);
    h->base = fml_alloc(nodes, sizeof *h->base);
    h->parts = fml_alloc(parts > blocks ? parts : blocks, sizeof *h->parts);
    return h->steps && h->jumps && h->base && h->parts;
}

/* Blocks of an independent segment at the same time, those of an acyclic one in a row. */
static void substitute_blocks(const system *s, segment in, bool independent, fml_watch *watch)
{
    const int64_t *blocks = s->plan->blocks;
    int threads = independent ? fml_clamp_threads(s->threads, in.last - in.first) : 1;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (ptrdiff_t b = in.first; b < in.last; b++)
        if (!fml_stopped(watch))
            substitute(s, blocks[b], blocks[b + 1]);
}

fml_status FML(rank_solve)(const fml_rank_plan *plan, const double *inverse_strength,
                           const double *base, ptrdiff_t base_stride, double damping,
                           double tolerance, int64_t max_sweeps, double *y, double *c,
                           int64_t *visits, int threads)
{
    system s = {plan, inverse_strength, base, base_stride, damping, y, c, threads};
    history h;
    ptrdiff_t largest, most_blocks, cyclic;
    measure(plan, &largest, &most_blocks, &cyclic);
    if (!history_make(&h, largest, most_blocks)) {
        history_free(&h);
        return FML_NO_MEMORY;
    }
    memset(c, 0, (size_t)plan->n * 2 * sizeof *c); /* links without weight may read ahead */
    fml_watch watch;
    fml_watch_start(&watch);
    *visits = 0;
    for (ptrdiff_t i = 0; i < plan->num_segments && !fml_stopped(&watch); i++) {
        segment in = segment_at(plan, i);
        ptrdiff_t nodes = in.end - in.start;
        int64_t sweeps = 1;
        if (plan->kinds[i] != FML_CYCLIC)
            substitute_blocks(&s, in, plan->kinds[i] == FML_INDEPENDENT, &watch);
        else {
            double share = (double)nodes / (double)cyclic;
            sweep_until(&s, in, tolerance * share, max_sweeps, &h, &watch);
            sweeps = h.sweeps;
        }
        *visits += sweeps * (plan->indptr[in.end] - plan->indptr[in.start]);
    }
    history_free(&h);
    return fml_watch_status(&watch);
}
