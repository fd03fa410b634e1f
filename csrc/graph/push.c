/* Personalised PageRank around a few seeds by local push: y = damping P'y + base, for a base that
 * is 0 but on the seeds, from the links of those nodes alone that matter.
 *
 * Every node has a rank and a rest, at first 0 and its base. A push adds a node's rest to its rank
 * and hands damping times the rest on to the nodes that it links to (G. Jeh, J. Widom, WWW 2003;
 * R. Andersen, F. Chung, K. Lang, FOCS 2006); what is missing to y stays the solution for the
 * rests. Nodes are numbered as they are found and swept in that order. A sweep pushes those whose
 * rest per link exceeds 3/4 of the mean over all links in sight: at least 1/4 of all rests, so that
 * the work is O(links in sight * log(1 / tolerance)) (as H. Wu et al., SIGMOD 2021, show for a
 * queue), and nodes of many links wait until they pay. A node's first push copies its links in the
 * new numbers; later ones walk through memory as small as what was found. At the end one pass over
 * the links of all that was pushed computes the image of the ranks afresh: its rounding errors are
 * those of one sum a node, however many pushes there were. Cost: a hash look-up for each link
 * copied, 4 bytes (12 with weights) for each link pushed; memory about 100 bytes a node found and 4
 * to 8 a link copied. Nothing is proportional to the graph. */
#include "../runtime.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_NODES = 1 << 8,
    FIRST_LINKS = 1 << 10,
    BLOCK_LINKS = 1 << 14, /* copied between two polls */
    POLL_WORK = 1 << 16,   /* nodes and links swept between two polls */
};
/* Of the mean rest per link, what a push must exceed. Thousands of links read on cnr-2000, on
 * average over 30 seeds to 1e-4: 0.25: 1124, 0.5: 938, 0.75: 853; 1: 801, but nothing may exceed
 * the mean. */
static const double WORTH = 0.75;
static const uint64_t EMPTY = UINT64_MAX;

/* Where the links of a node are. */
typedef struct row {
    int64_t first;  /* in the graph */
    int64_t degree; /* 0 for a dangling node */
    int64_t copied; /* where its copy starts; -1: not yet copied */
    double factor;  /* damping / strength */
} row;

typedef struct search {
    const fml_out_links *graph;
    double damping;
    uint64_t *table; /* node << 32 | number; at most half full */
    int64_t table_size;
    row *rows; /* room for table_size / 2 */
    uint32_t *copies;
    int64_t copy_count, copy_capacity;
    uint32_t *nodes; /* the outputs */
    double *ranks, *rests;
    int64_t count;
    int64_t max_links, links, volume; /* links read, and those of all that was pushed */
    int64_t until_poll;
    fml_watch watch;
    bool no_memory;
} search;

/* ---- nodes in sight ------------------------------------------------------------------------- */

/* The place of a node in the table, or the empty one where it belongs. */
static int64_t find(const uint64_t *table, int64_t size, uint32_t node)
{
    uint64_t mask = (uint64_t)size - 1, i = (node * 0x9e3779b97f4a7c15u >> 32) & mask;
    while (table[i] != EMPTY && table[i] >> 32 != node)
        i = (i + 1) & mask;
    return (int64_t)i;
}

static uint64_t *new_table(int64_t size)
{
    uint64_t *table = fml_alloc((ptrdiff_t)size, sizeof *table);
    if (table)
        memset(table, 0xff, (size_t)size * sizeof *table); /* EMPTY */
    return table;
}

/* Makes room for so many more nodes. */
static bool reserve_nodes(search *s, int64_t more)
{
    int64_t size = s->table_size;
    while (s->count + more > size / 2)
        size *= 2;
    if (size == s->table_size)
        return true;
    row *rows = realloc(s->rows, (size_t)(size / 2) * sizeof *rows);
    if (!rows)
        return false;
    s->rows = rows;
    uint64_t *table = new_table(size);
    if (!table)
        return false;
    for (int64_t i = 0; i < s->count; i++)
        table[find(table, size, s->nodes[i])] = (uint64_t)s->nodes[i] << 32 | (uint64_t)i;
    fml_free(s->table);
    s->table = table;
    s->table_size = size;
    return true;
}

static bool reserve_copies(search *s, int64_t more)
{
    int64_t capacity = s->copy_capacity;
    while (s->copy_count + more > capacity)
        capacity *= 2;
    if (capacity == s->copy_capacity)
        return true;
    uint32_t *copies = realloc(s->copies, (size_t)capacity * sizeof *copies);
    if (!copies)
        return false;
    s->copies = copies;
    s->copy_capacity = capacity;
    return true;
}

static row find_row(const search *s, uint32_t node)
{
    const fml_out_links *g = s->graph;
    int64_t degree = g->indptr[node + (size_t)1] - g->indptr[node];
    double strength = g->strength ? g->strength[node] : (double)degree;
    bool dangling = strength == 0;
    return (row){.first = g->indptr[node],
                 .degree = dangling ? 0 : degree,
                 .copied = -1,
                 .factor = dangling ? 0 : s->damping / strength};
}

/* The number of a node, which may be new; there is room for it. */
static uint32_t number_of(search *s, uint32_t node)
{
    int64_t place = find(s->table, s->table_size, node);
    if (s->table[place] == EMPTY) {
        s->table[place] = (uint64_t)node << 32 | (uint64_t)s->count;
        s->nodes[s->count] = node;
        s->ranks[s->count] = s->rests[s->count] = 0;
        s->rows[s->count++] = find_row(s, node);
    }
    return (uint32_t)s->table[place];
}

/* ---- pushes --------------------------------------------------------------------------------- */

static bool must_stop(search *s)
{
    if (--s->until_poll > 0)
        return false;
    s->until_poll = POLL_WORK;
    return fml_stopped(&s->watch);
}

/* Copies the links of a node in the new numbers; false: out of memory, or stopped. */
static bool copy_links(search *s, int64_t number)
{
    const uint32_t *links = s->graph->indices + s->rows[number].first;
    int64_t degree = s->rows[number].degree, copied = s->copy_count;
    s->no_memory = !reserve_copies(s, degree);
    for (int64_t k = 0; k < degree && !s->no_memory && !must_stop(s); k += BLOCK_LINKS) {
        int64_t end = k + BLOCK_LINKS < degree ? k + BLOCK_LINKS : degree;
        s->no_memory = !reserve_nodes(s, end - k);
        for (int64_t i = k; i < end && !s->no_memory; i++)
            s->copies[s->copy_count++] = number_of(s, links[i]);
        s->until_poll -= end - k;
    }
    if (s->copy_count != copied + degree)
        return false;
    s->rows[number].copied = copied;
    s->volume += degree;
    return true;
}

/* Adds to every node that this one links to its part of an amount. */
static void hand_on(search *s, int64_t number, double amount)
{
    row r = s->rows[number];
    const uint32_t *targets = s->copies + r.copied;
    const double *weights = s->graph->weights ? s->graph->weights + r.first : NULL;
    double share = amount * r.factor;
    for (int64_t k = 0; k < r.degree; k++)
        s->rests[targets[k]] += weights ? weights[k] * share : share;
    s->links += r.degree;
    s->until_poll -= r.degree;
}

/* Whether a push, and the last pass over the links of all that was pushed, may still be made. */
static bool is_affordable(const search *s, int64_t number)
{
    row r = s->rows[number];
    int64_t volume = s->volume + (r.copied < 0 ? r.degree : 0);
    return s->links + r.degree + volume <= s->max_links;
}

/* Pushes every node whose rest per link exceeds the threshold; false: no further sweep. */
static bool sweep(search *s, double threshold)
{
    for (int64_t i = 0; i < s->count; i++) {
        if (must_stop(s))
            return false;
        double rest = s->rests[i];
        if (!(rest > threshold * (double)s->rows[i].degree))
            continue;
        if (!is_affordable(s, i) || (s->rows[i].copied < 0 && !copy_links(s, i)))
            return false;
        s->rests[i] = 0;
        s->ranks[i] += rest;
        hand_on(s, i, rest);
    }
    return true;
}

/* Sweeps until the rests cannot change the ranks, scaled to sum 1, by more than the tolerance. */
static void sweep_all(search *s, double tolerance)
{
    for (;;) {
        double ranks = 0, rests = 0, volume = 1;
        for (int64_t i = 0; i < s->count; i++) {
            ranks += s->ranks[i];
            rests += s->rests[i];
            volume += s->rests[i] > 0 ? (double)s->rows[i].degree : 0;
        }
        if (!(s->damping * rests > tolerance * ((1 - s->damping) * ranks + rests)))
            return;
        if (!sweep(s, WORTH * rests / volume))
            return;
    }
}

/* The rests become the image of the ranks under the map. */
static void compute_image(search *s, ptrdiff_t seed_count, const double *base)
{
    memset(s->rests, 0, (size_t)s->count * sizeof *s->rests);
    memcpy(s->rests, base, (size_t)seed_count * sizeof *base); /* seeds were numbered first */
    for (int64_t i = 0; i < s->count && !must_stop(s); i++)
        if (s->rows[i].copied >= 0)
            hand_on(s, i, s->ranks[i]);
}

static void push_from_seeds(search *s, ptrdiff_t seed_count, const uint32_t *seeds,
                            const double *base, double tolerance)
{
    s->no_memory = !reserve_nodes(s, seed_count);
    for (ptrdiff_t i = 0; i < seed_count && !s->no_memory; i++)
        s->rests[number_of(s, seeds[i])] = base[i];
    if (s->no_memory)
        return;
    sweep_all(s, tolerance);
    if (!s->no_memory)
        compute_image(s, seed_count, base);
}

fml_status fml_rank_push(const fml_out_links *graph, ptrdiff_t seed_count, const uint32_t *seeds,
                         const double *base, double damping, double tolerance, int64_t max_links,
                         uint32_t *nodes, double *ranks, double *images, ptrdiff_t *count,
                         int64_t *links)
{
    search s = {.graph = graph,
                .damping = damping,
                .table = new_table(2 * FIRST_NODES),
                .table_size = 2 * FIRST_NODES,
                .rows = malloc(FIRST_NODES * sizeof(row)),
                .copies = malloc(FIRST_LINKS * sizeof(uint32_t)),
                .copy_capacity = FIRST_LINKS,
                .nodes = nodes,
                .ranks = ranks,
                .rests = images,
                .max_links = max_links,
                .until_poll = POLL_WORK};
    s.no_memory = !s.table || !s.rows || !s.copies;
    fml_watch_start(&s.watch);
    if (!s.no_memory)
        push_from_seeds(&s, seed_count, seeds, base, tolerance);
    *count = (ptrdiff_t)s.count;
    *links = s.links;
    fml_free(s.table);
    free(s.rows);
    free(s.copies);
    return s.no_memory ? FML_NO_MEMORY : fml_watch_status(&s.watch);
}
