/* PageRank as a linear system, y = damping P'y + base, solved component by component.
 *
 * Segments depend on earlier levels only (Langville & Meyer, SIAM J. Matrix Analysis 27, 2006, and
 * PRPACK's reordering do likewise), so each is solved once and for all: a run of single nodes by
 * substitution, a strong component by sweeps of Gauss-Seidel whose iterates Anderson's mixing
 * combines every few sweeps (Pratapa, Suryanarayana, Pask, J. Computational Physics 306, 2016).
 * Large components are cut into blocks, which are swept in waves: values of the block itself and of
 * earlier waves are new, those of other blocks of the wave are from before the sweep, so that
 * threads do not change the result. Four waves and more converge like one block.
 * Where the plan says what of each node's links stays in its segment (`kept`), every sweep is
 * scaled so that the ranks' sum is in balance: on random graphs that sum is what converges last. It
 * is aggregation with one aggregate (Koury, McAllister, Stewart, SIAM J. Algebraic Discrete Methods
 * 5, 1984). Several columns are several systems, solved in one walk over the links; each has its
 * own combinations, and a segment is swept until all of them are done. Cost of a sweep: 4 bytes a
 * link read (12 with weights) and one random read of a number; 40 bytes a node. Where there are
 * several columns: 4 bytes a link, and 36 bytes a link and a node for each.
 */
#include "../links.h"
#include "../mixing.h"

/* Links and rows that can be swept in the time of a combination: sweeps of small segments are
 * cheaper than that, and most have converged before they have taken as long. */
static const int64_t COMBINATION_WORK = 4096;
/* Relative rounding error of a sum over parts, taken large. */
static const double SUM_ROUNDING = 0x1p-46;
/* A change this many times that of the sweep before shows that a combination has failed. */
static const double FAILURE = 4;
/* Changes are not expected to fall faster from sweep to sweep, whatever the last two did. */
static const double LEAST_RATE = 0.1;
/* Links and rows between two looks at the clock, some 20 microseconds. */
static const int64_t POLL_WORK = 1 << 13;
/* Links and rows of a level that are worth sharing. */
static const int64_t SHARED_WORK = 1 << 13;

/* Blocks and nodes of a segment. */
typedef struct segment {
    ptrdiff_t first, last, waves, start, end;
} segment;

typedef struct equations {
    const fml_rank_plan *plan;
    const double *inverse_strength;
    const number *base;
    ptrdiff_t base_stride;
    double damping;
    number *y, *c;    /* c: what a node gives along each link, y times inverse_strength */
    double tolerance; /* on the change of a sweep, per node */
    int64_t max_sweeps;
    fml_watch *watch;
} equations;

/* Who solves segments: all threads together, or one of them. */
typedef struct worker {
    const equations *s;
    history h;
    fml_team *team;   /* NULL for one thread by itself */
    int64_t unpolled; /* links and rows since the last look at the clock */
    int64_t visits;   /* links read */
} worker;

/* What a loop works on that threads share. */
typedef struct loop {
    worker *w;
    segment in;
    ptrdiff_t wave;  /* of a sweep */
    const way *back; /* of a combination */
    number scale;    /* of all shares */
} loop;

/* Whether to stop, asked after so much work: small segments take less time than the clock. */
static bool stopped_after(worker *w, int64_t work)
{
    w->unpolled += work;
    if (w->unpolled < POLL_WORK)
        return fml_watch_status(w->s->watch) != FML_OK;
    w->unpolled = 0;
    return fml_stopped(w->s->watch);
}

static int64_t segment_work(const equations *s, segment in)
{
    return s->plan->indptr[in.end] - s->plan->indptr[in.start] + in.end - in.start;
}

FML_INLINE links links_of(const equations *s)
{
    return (links){s->plan->indices, s->plan->weights, s->c};
}

/* The part of a node's rank that comes back to it along its links to itself. */
FML_INLINE number returning(const equations *s, ptrdiff_t i, int64_t loops, int64_t end)
{
    s->c[i] = (number){0} + s->inverse_strength[i];
    return s->damping * fml_sum_links(links_of(s), loops, end);
}

static void substitute(const equations *s, ptrdiff_t start, ptrdiff_t end)
{
    const fml_rank_plan *plan = s->plan;
    for (ptrdiff_t i = start; i < end; i++) {
        int64_t first = plan->indptr[i], loops = first + plan->earlier[i];
        number sum = fml_sum_links(links_of(s), first, loops);
        s->y[i] = s->damping * sum + s->base[i * s->base_stride];
        if (loops < plan->indptr[i + 1])
            s->y[i] /= 1 - returning(s, i, loops, plan->indptr[i + 1]);
        s->c[i] = s->y[i] * s->inverse_strength[i];
    }
}

/* What earlier segments and the base give to the rows of a block, and the first guess's shares. */
static void start_block(const equations *s, ptrdiff_t start, ptrdiff_t end, number *base,
                        double *strength)
{
    const fml_rank_plan *plan = s->plan;
    for (ptrdiff_t i = start; i < end; i++) {
        s->c[i] = s->y[i] * s->inverse_strength[i];
        int64_t first = plan->indptr[i];
        number sum = fml_sum_links(links_of(s), first, first + plan->earlier[i]);
        base[i - start] = s->damping * sum + s->base[i * s->base_stride];
        strength[i - start] = 1 / s->inverse_strength[i];
    }
}

/* Sweeps in shares: a rank is needed only where it is compared, and follows from its share. Inlined
 * with a constant for `weights` (NULL or not). */
FML_INLINE number sweep_rows(const equations *s, const double *weights, ptrdiff_t start,
                             ptrdiff_t end, const number *restrict base,
                             const double *restrict strength, narrow *restrict step)
{
    const fml_rank_plan *plan = s->plan;
    const int64_t *indptr = plan->indptr;
    const double damping = s->damping;
    const links l = {plan->indices, weights, s->c};
    number *c = s->c, change = {0};
    for (ptrdiff_t i = start; i < end; i++) {
        number sum = fml_sum_links(l, indptr[i] + plan->earlier[i], indptr[i + 1]);
        number share = (damping * sum + base[i - start]) * s->inverse_strength[i];
        number moved = (share - c[i]) * strength[i - start];
        change += fml_abs(moved);
        step[i - start] = FML_CONVERT(moved, narrow);
        c[i] = share;
    }
    return change;
}

/* Sweeps block b of a segment; `at` is its first node, counted from the segment's. */
static void sweep_block(const equations *s, ptrdiff_t b, const history *h, ptrdiff_t at,
                        number *change)
{
    ptrdiff_t start = s->plan->blocks[b], end = s->plan->blocks[b + 1];
    const number *base = h->base + at;
    const double *strength = h->strength + at;
    narrow *step = step_row(h, h->sweeps) + at;
    if (s->plan->weights)
        *change = sweep_rows(s, s->plan->weights, start, end, base, strength, step);
    else
        *change = sweep_rows(s, NULL, start, end, base, strength, step);
}

/* Values of a block from before the sweep, for the others of its wave. */
static void keep_block(const equations *s, ptrdiff_t b)
{
    ptrdiff_t start = s->plan->blocks[b], nodes = s->plan->blocks[b + 1] - start;
    memcpy(s->c + s->plan->n + start, s->c + start, (size_t)nodes * sizeof *s->c);
}

static void keep_first_wave(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const loop *j = job;
    for (ptrdiff_t i = first; i < last; i++)
        keep_block(j->w->s, j->in.first + i * j->in.waves);
}

static void sweep_wave(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const loop *j = job;
    const equations *s = j->w->s;
    const history *h = &j->w->h;
    for (ptrdiff_t i = first; i < last && !fml_stopped(s->watch); i++) {
        ptrdiff_t b = j->in.first + j->wave + i * j->in.waves;
        sweep_block(s, b, h, s->plan->blocks[b] - j->in.start, &h->parts[b - j->in.first]);
        if (j->wave + 1 < j->in.waves && b + 1 < j->in.last)
            keep_block(s, b + 1); /* next in turn, which comes into the cache */
    }
}

/* One sweep over a segment, wave after wave; `change` receives the 1-norm of what it changed (of no
 * meaning when it was stopped). */
static void sweep(worker *w, segment in, number *change)
{
    if (in.last - in.first == 1) {
        sweep_block(w->s, in.first, &w->h, 0, change);
        return;
    }
    loop j = {.w = w, .in = in};
    fml_share(w->team, (in.last - in.first - 1) / in.waves + 1, 1, keep_first_wave, &j);
    for (; j.wave < in.waves; j.wave++)
        fml_share(w->team, (in.last - in.first - 1 - j.wave) / in.waves + 1, 1, sweep_wave, &j);
    fml_sum_columns(w->h.parts, in.last - in.first, change);
}

/* Moves node i of a segment. */
static void jump_node(const equations *s, const history *h, const way *w, ptrdiff_t origin,
                      ptrdiff_t i)
{
    number sum = w->last * s->c[origin + i] * h->strength[i];
    for (ptrdiff_t k = 0; k < w->count; k++)
        sum += w->weights[k] * FML_CONVERT(w->rows[k][i], number);
    jump_row(h, h->sweeps)[i] = FML_CONVERT(sum, narrow);
    s->c[origin + i] += sum * s->inverse_strength[origin + i];
}

#if FML_COLUMNS == 1

/* The same for GROUP nodes from i on. */
static void jump_group(const equations *s, const history *h, const way *w, ptrdiff_t origin,
                       ptrdiff_t i)
{
    group *c = (group *)(s->c + origin + i);
    group sum = w->last * *c * *(const group *)(h->strength + i);
    for (ptrdiff_t k = 0; k < w->count; k++)
        sum += w->weights[k] * read_group(w->rows[k] + i);
    *(narrow_group *)(jump_row(h, h->sweeps) + i) = __builtin_convertvector(sum, narrow_group);
    *c += sum * *(const group *)(s->inverse_strength + origin + i);
}

#endif

static void jump_part(const equations *s, const history *h, const way *w, ptrdiff_t origin,
                      ptrdiff_t start, ptrdiff_t nodes)
{
    ptrdiff_t i = start, end = start + nodes;
#if FML_COLUMNS == 1
    for (; i + GROUP <= end; i += GROUP)
        jump_group(s, h, w, origin, i);
#endif
    for (; i < end; i++)
        jump_node(s, h, w, origin, i);
}

static void jump_parts(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const loop *j = job;
    const history *h = &j->w->h;
    for (ptrdiff_t p = first; p < last; p++)
        jump_part(j->w->s, h, j->back, j->in.start, p * PART_NODES, part_nodes(h->n, p));
}

/* Moves to the best combination of the last images; a column that has none stays. */
static void combine(worker *w, segment in)
{
    history *h = &w->h;
    number coefficients[WINDOW] = {0};
    const ptrdiff_t parts = count_parts(h->n);
    way back;
    for (; h->combined < h->sweeps; h->combined += TILE)
        update_gram(h, h->combined % WINDOW, w->team);
    for (int column = 0; column < FML_COLUMNS; column++) {
        double found[WINDOW];
        if (find_coefficients(h, column, found))
            for (ptrdiff_t k = 0; k < kept_sweeps(h); k++)
                fml_set_column(&coefficients[k], column, found[k]);
    }
    find_way_back(h, coefficients, &back);
    loop j = {.w = w, .in = in, .back = &back};
    fml_share(w->team, parts, parts_at_once(parts), jump_parts, &j);
    h->first_jump = h->sweeps < h->first_jump ? h->sweeps : h->first_jump;
}

static void sum_base(history *h)
{
    ptrdiff_t parts = count_parts(h->n);
    for (ptrdiff_t p = 0; p < parts; p++) {
        h->parts[p] = (number){0};
        for (ptrdiff_t i = p * PART_NODES; i < p * PART_NODES + part_nodes(h->n, p); i++)
            h->parts[p] += h->base[i];
    }
    fml_sum_columns(h->parts, parts, &h->base_sum);
}

/* Sums of the ranks of parts of a segment, and of what of them stays in the segment. */
static void sum_ranks(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const loop *j = job;
    const equations *s = j->w->s;
    const history *h = &j->w->h;
    const ptrdiff_t origin = j->in.start, parts = count_parts(h->n);
    for (ptrdiff_t p = first; p < last; p++) {
        number all = {0}, stays = {0};
        for (ptrdiff_t i = p * PART_NODES; i < p * PART_NODES + part_nodes(h->n, p); i++) {
            all += s->c[origin + i] * h->strength[i];
            stays += s->c[origin + i] * s->plan->kept[origin + i];
        }
        h->parts[p] = all;
        h->parts[parts + p] = s->damping * stays;
    }
}

static void scale_parts(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const loop *j = job;
    const ptrdiff_t n = j->w->h.n;
    number *c = j->w->s->c + j->in.start;
    for (ptrdiff_t p = first; p < last; p++)
        for (ptrdiff_t i = p * PART_NODES; i < p * PART_NODES + part_nodes(n, p); i++)
            c[i] *= j->scale;
}

/* The factor that makes what leaves the segment what its base brings in; 1 where there is none. */
FML_INLINE number balancing_scale(const number *brought, const number *ranks, const number *kept)
{
    number scale = (number){0} + 1;
    for (int column = 0; column < FML_COLUMNS; column++) {
        double in = fml_column(brought, column), all = fml_column(ranks, column);
        double stays = fml_column(kept, column), out = all - stays;
        if (in > 0 && out > 0 && fabs(in - out) > SUM_ROUNDING * (all + stays))
            fml_set_column(&scale, column, in / out);
    }
    return scale;
}

/* Scales the shares of a segment so that the sum of its ranks is in balance, and with them
 * `change`, which the next sweep's is compared with. */
static void balance(worker *w, segment in, number *change)
{
    history *h = &w->h;
    const ptrdiff_t parts = count_parts(h->n);
    number ranks, kept;
    loop j = {.w = w, .in = in};
    fml_share(w->team, parts, parts_at_once(parts), sum_ranks, &j);
    fml_sum_columns(h->parts, parts, &ranks);
    fml_sum_columns(h->parts + parts, parts, &kept);
    j.scale = balancing_scale(&h->base_sum, &ranks, &kept);
    h->scales[h->sweeps % WINDOW] = j.scale;
    fml_share(w->team, parts, parts_at_once(parts), scale_parts, &j);
    *change *= j.scale;
}

static void start_blocks(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const loop *j = job;
    const equations *s = j->w->s;
    const history *h = &j->w->h;
    const int64_t *blocks = s->plan->blocks + j->in.first;
    const bool is_one = j->in.last - j->in.first == 1;
    for (ptrdiff_t b = first; b < last && (is_one || !fml_stopped(s->watch)); b++) {
        ptrdiff_t at = blocks[b] - j->in.start;
        start_block(s, blocks[b], blocks[b + 1], h->base + at, h->strength + at);
    }
}

static void start_segment(worker *w, segment in)
{
    history *h = &w->h;
    loop j = {.w = w, .in = in};
    h->n = in.end - in.start;
    h->sweeps = h->combined = 0;
    h->first_jump = INT64_MAX;
    fml_share(w->team, in.last - in.first, 1, start_blocks, &j);
    for (int k = 0; k < WINDOW; k++)
        h->scales[k] = (number){0} + 1;
    if (w->s->plan->kept)
        sum_base(h);
}

/* Ranks from shares. */
static void end_parts(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const loop *j = job;
    const history *h = &j->w->h;
    const number *c = j->w->s->c + j->in.start;
    number *y = j->w->s->y + j->in.start;
    for (ptrdiff_t p = first; p < last; p++)
        for (ptrdiff_t i = p * PART_NODES; i < p * PART_NODES + part_nodes(h->n, p); i++)
            y[i] = c[i] * h->strength[i];
}

static void end_segment(worker *w, segment in)
{
    const ptrdiff_t parts = count_parts(w->h.n);
    loop j = {.w = w, .in = in};
    fml_share(w->team, parts, parts_at_once(parts), end_parts, &j);
}

/* How much less a sweep changes than the one before, if no combination came between. */
static void find_rate(const number *change, const number *before, number *rate)
{
    for (int column = 0; column < FML_COLUMNS; column++) {
        double now = fml_column(change, column), was = fml_column(before, column);
        double ratio = now < was ? now / was : 1;
        fml_set_column(rate, column, ratio > LEAST_RATE ? ratio : LEAST_RATE);
    }
}

/* What the changes of a sweep tell: whether the next ones would all be small enough, and whether
 * none has grown in a way that shows that a combination has failed. */
static bool is_converged(const number *change, const number *rate, double tolerance)
{
    bool converged = true;
    for (int column = 0; column < FML_COLUMNS; column++)
        converged = converged && fml_column(change, column) * fml_column(rate, column) <= tolerance;
    return converged;
}

static bool has_failed(const number *change, const number *before, double tolerance)
{
    bool failed = false;
    for (int column = 0; column < FML_COLUMNS; column++) {
        double now = fml_column(change, column);
        failed = failed || (now > tolerance && now > FAILURE * fml_column(before, column));
    }
    return failed;
}

/* Sweeps a cyclic segment until the next sweep would change it by at most its share of the
 * tolerance; the last combination may come between others. */
static void sweep_until(worker *w, segment in)
{
    history *h = &w->h;
    int64_t work = segment_work(w->s, in);
    double tolerance = w->s->tolerance * (double)(in.end - in.start);
    number change, before = (number){0} + INFINITY, rate = (number){0} + 1;
    bool trusted = true, combined = false;
    start_segment(w, in);
    while (h->sweeps < w->s->max_sweeps && !stopped_after(w, work)) {
        sweep(w, in, &change);
        h->sweeps++;
        if (fml_watch_status(w->s->watch) != FML_OK)
            break;
        if (!combined && h->sweeps > 1)
            find_rate(&change, &before, &rate);
        bool done = is_converged(&change, &rate, tolerance);
        trusted = trusted && !has_failed(&change, &before, tolerance);
        before = change;
        combined =
            trusted && (done || h->sweeps % PERIOD == 0) && h->sweeps * work >= COMBINATION_WORK;
        if (combined)
            combine(w, in);
        if (trusted && w->s->plan->kept)
            balance(w, in, &before);
        if (done)
            break;
    }
    end_segment(w, in);
}

static segment segment_at(const fml_rank_plan *plan, ptrdiff_t i)
{
    ptrdiff_t first = plan->segments[i], last = plan->segments[i + 1];
    return (segment){first, last, plan->waves[i], plan->blocks[first], plan->blocks[last]};
}

static int64_t count_cyclic(const fml_rank_plan *plan)
{
    int64_t nodes = 0;
    for (ptrdiff_t i = 0; i < plan->num_segments; i++) {
        segment in = segment_at(plan, i);
        nodes += plan->kinds[i] == FML_CYCLIC ? in.end - in.start : 0;
    }
    return nodes;
}

static bool is_shared(segment in)
{
    return in.last - in.first > 1;
}

static void history_free(history *h)
{
    fml_free(h->base);
    fml_free(h->parts);
}

/* Room for the largest of the cyclic segments that all threads share, or of the others. */
static bool history_make(history *h, const fml_rank_plan *plan, bool shared)
{
    ptrdiff_t nodes = 0, blocks = 0;
    for (ptrdiff_t i = 0; i < plan->num_segments; i++) {
        segment in = segment_at(plan, i);
        if (plan->kinds[i] != FML_CYCLIC || is_shared(in) != shared)
            continue;
        nodes = in.end - in.start > nodes ? in.end - in.start : nodes;
        blocks = in.last - in.first > blocks ? in.last - in.first : blocks;
    }
    ptrdiff_t parts = count_parts(nodes) * TILE * WINDOW;
    /* All rows from one piece, which large pages are found for. */
    h->base = fml_alloc(nodes, sizeof *h->base + sizeof *h->strength + WINDOW * sizeof *h->steps +
                                   JUMPS * sizeof *h->jumps);
    h->parts = fml_alloc(parts > blocks ? parts : blocks, sizeof *h->parts);
    if (!h->base || !h->parts)
        return false;
    h->strength = (double *)(h->base + nodes);
    h->steps = (narrow *)(h->strength + nodes);
    h->jumps = h->steps + WINDOW * nodes;
    return true;
}

static void substitute_blocks(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const loop *j = job;
    const equations *s = j->w->s;
    const int64_t *blocks = s->plan->blocks + j->in.first;
    const bool is_one = j->in.last - j->in.first == 1;
    for (ptrdiff_t b = first; b < last && (is_one || !fml_stopped(s->watch)); b++)
        substitute(s, blocks[b], blocks[b + 1]);
}

/* Blocks of an independent segment at the same time, those of an acyclic one in a row. */
static void substitute_segment(worker *w, segment in, bool independent)
{
    loop j = {.w = w, .in = in};
    fml_share(independent ? w->team : NULL, in.last - in.first, 1, substitute_blocks, &j);
}

static void solve_segment(worker *w, ptrdiff_t i)
{
    const fml_rank_plan *plan = w->s->plan;
    segment in = segment_at(plan, i);
    int64_t sweeps = 1;
    if (stopped_after(w, segment_work(w->s, in)))
        return;
    if (plan->kinds[i] != FML_CYCLIC)
        substitute_segment(w, in, plan->kinds[i] == FML_INDEPENDENT);
    else {
        sweep_until(w, in);
        sweeps = w->h.sweeps;
    }
    w->visits += sweeps * (plan->indptr[in.end] - plan->indptr[in.start]);
}

/* Who solves the segments of a plan: workers[threads] stands for all threads together. */
typedef struct solver {
    worker *workers;
    int threads;
    ptrdiff_t first; /* segment of the level */
    number *sums, *total, *dangling;
} solver;

static void solve_segments(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const solver *v = job;
    for (ptrdiff_t i = v->first + first; i < v->first + last; i++)
        if (!is_shared(segment_at(v->workers->s->plan, i)))
            solve_segment(&v->workers[fml_thread_number()], i);
}

/* Segments of a level that are one block, each by one of the threads. */
static void solve_apart(solver *v, fml_team *team, ptrdiff_t first, ptrdiff_t last)
{
    const fml_rank_plan *plan = v->workers->s->plan;
    int64_t start = plan->blocks[plan->segments[first]], end = plan->blocks[plan->segments[last]];
    const bool pays = plan->indptr[end] - plan->indptr[start] + end - start >= SHARED_WORK;
    v->first = first;
    fml_share(pays ? team : NULL, last - first, 1, solve_segments, v);
}

/* Level after level: segments of a level do not depend on each other. */
static void solve_levels(solver *v, fml_team *team)
{
    worker *all = &v->workers[v->threads];
    const fml_rank_plan *plan = all->s->plan;
    for (ptrdiff_t level = 0; level < plan->num_levels; level++) {
        ptrdiff_t first = plan->levels[level], last = plan->levels[level + 1];
        if (stopped_after(all, last - first))
            return;
        for (ptrdiff_t i = first; i < last; i++)
            if (is_shared(segment_at(plan, i)))
                solve_segment(all, i);
        solve_apart(v, team, first, last);
    }
}

/* Shares twice, as links of a wave read them; sums of the ranks and of those of dangling nodes. */
static void add_up_parts(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const solver *v = job;
    const equations *s = v->workers->s;
    const ptrdiff_t n = s->plan->n, parts = count_parts(n);
    for (ptrdiff_t p = first; p < last; p++) {
        ptrdiff_t start = p * PART_NODES, nodes = part_nodes(n, p);
        number sum = {0}, dangling = {0};
        for (ptrdiff_t i = start; i < start + nodes; i++) {
            sum += s->y[i];
            dangling += fml_keep_all_if(s->inverse_strength[i] == 0, s->y[i]);
        }
        v->sums[p] = sum;
        v->sums[parts + p] = dangling;
        memcpy(s->c + n + start, s->c + start, (size_t)nodes * sizeof *s->c);
    }
}

static void solve_all(fml_team *team, void *job)
{
    solver *v = job;
    const ptrdiff_t parts = count_parts(v->workers->s->plan->n);
    v->workers[v->threads].team = team;
    solve_levels(v, team);
    fml_share(team, parts, parts_at_once(parts), add_up_parts, v);
    fml_sum_columns(v->sums, parts, v->total);
    fml_sum_columns(v->sums + parts, parts, v->dangling);
}

static void free_workers(worker *workers, int threads)
{
    for (int i = 0; workers && i <= threads; i++)
        history_free(&workers[i].h);
    fml_free(workers);
}

/* A worker for each thread and one for all together; NULL when there is no memory. */
static worker *make_workers(const equations *s, int threads)
{
    worker *workers = fml_alloc(threads + 1, sizeof *workers);
    bool made = workers != NULL;
    for (int i = 0; workers && i <= threads; i++) {
        workers[i] = (worker){.s = s};
        made = history_make(&workers[i].h, s->plan, i == threads) && made;
    }
    if (!made)
        free_workers(workers, threads);
    return made ? workers : NULL;
}

fml_status FML(rank_solve)(const fml_rank_plan *plan, const double *inverse_strength,
                           const double *base, ptrdiff_t base_stride, double damping,
                           double tolerance, int64_t max_sweeps, double *y, double *c,
                           double *total, double *dangling_mass, int64_t *visits, int threads)
{
    fml_watch watch;
    const equations s = {.plan = plan,
                         .inverse_strength = inverse_strength,
                         .base = (const number *)base,
                         .base_stride = base_stride,
                         .damping = damping,
                         .y = (number *)y,
                         .c = (number *)c,
                         .tolerance = tolerance / (double)count_cyclic(plan),
                         .max_sweeps = max_sweeps,
                         .watch = &watch};
    threads = fml_clamp_threads(threads, plan->num_blocks);
    worker *workers = make_workers(&s, threads);
    number *sums = fml_alloc(count_parts(plan->n), 2 * sizeof *sums);
    fml_status status = FML_NO_MEMORY;
    if (workers && sums) {
        /* Links of weight 0 may read ahead. */
        if (plan->weights)
            memset(s.c, 0, (size_t)plan->n * 2 * sizeof *s.c);
        fml_watch_start(&watch);
        solver all = {workers, threads, 0, sums, (number *)total, (number *)dangling_mass};
        fml_lead_team(threads, solve_all, &all);
        *visits = 0;
        for (int i = 0; i <= threads; i++)
            *visits += workers[i].visits;
        status = fml_watch_status(&watch);
    }
    free_workers(workers, threads);
    fml_free(sums);
    return status;
}
