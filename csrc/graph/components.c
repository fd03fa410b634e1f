/* Strong components in levels: the order in which PageRank is solved.
 *
 * Tarjan's algorithm (SIAM J. Computing 1, 1972) follows links backwards, so that a component comes
 * out after all those that link to it, and its level, one more than the highest of those, is known
 * by then: components of a level do not depend on each other. As in Nuutila & Soisalon-Soininen
 * (Information Processing Letters 49, 1994) a node waits on the stack only from its end on, which
 * puts the nodes of a component in postorder: most links then lead from earlier nodes to later
 * ones, and Gauss-Seidel needs a third fewer sweeps than in the given order (docs/performance.md).
 * Cost: O(nodes + links + components log components), one random read of 4 bytes a link.
 */
#include "../runtime.h"

#include <stdlib.h>
#include <string.h>

enum {
    POLL_NODES = 1 << 12,
    THIN = 64 /* nodes of a level that are not worth a turn of their own */
};
/* The visit number of a node whose component is out has this bit, and its level. */
static const uint32_t PLACED = (uint32_t)1 << 31;
/* The visit number of a sink: placed, and of the level before the first. */
static const uint32_t SINK = UINT32_MAX;

/* A node on the path from the root of the search. */
typedef struct frame {
    int64_t link; /* the next one to follow */
    uint32_t node;
    uint32_t low;   /* earliest visit that the node's subtree is known to reach */
    uint32_t level; /* that the node's subtree is known to need */
} frame;

/* A component of several nodes: where it stands among the placed nodes, and how many they are. */
typedef struct component {
    uint32_t level, start, size;
} component;

typedef struct search {
    const int64_t *indptr;
    const uint32_t *indices;
    uint32_t *visit; /* when a node was found, from 1 on; 0: not yet */
    uint32_t visits;
    frame *path;
    uint32_t *waiting; /* ended nodes of components that are not out yet */
    ptrdiff_t depth, waiting_count;
    uint32_t *placed; /* nodes, component after component */
    ptrdiff_t placed_count;
    component *components; /* of several nodes */
    ptrdiff_t component_count;
    uint32_t levels; /* how many there are */
} search;

static void enter(search *s, uint32_t node)
{
    s->visit[node] = ++s->visits;
    s->path[s->depth++] = (frame){s->indptr[node], node, s->visits, 0};
}

static void place(search *s, uint32_t node, uint32_t level)
{
    s->visit[node] = PLACED | level;
    s->placed[s->placed_count++] = node;
}

/* The component of `root`: the waiting nodes that were found after it, and itself last. */
static void place_component(search *s, uint32_t root, uint32_t level)
{
    ptrdiff_t first = s->waiting_count;
    while (first > 0 && s->visit[s->waiting[first - 1]] > s->visit[root])
        first--;
    uint32_t others = (uint32_t)(s->waiting_count - first);
    if (others > 0)
        s->components[s->component_count++] =
            (component){level, (uint32_t)s->placed_count, others + 1};
    for (ptrdiff_t i = first; i < s->waiting_count; i++)
        place(s, s->waiting[i], level);
    place(s, root, level);
    s->waiting_count = first;
    s->levels = level < s->levels ? s->levels : level + 1;
}

/* The level of a node that depends on one of that visit number, as far as this tells. */
static inline uint32_t level_after(uint32_t visit)
{
    return visit & PLACED ? (visit + 1) & ~PLACED : 0;
}

/* Follows the links of the last frame up to a new node; false when there is none left. */
static bool descend(search *s)
{
    frame *top = &s->path[s->depth - 1];
    const int64_t end = s->indptr[top->node + 1];
    int64_t link = top->link;
    uint32_t low = top->low, deepest = top->level, visit = 1;
    for (; link < end && visit != 0; link++) {
        visit = s->visit[s->indices[link]];
        if (visit == 0)
            continue;
        uint32_t level = level_after(visit);
        low = visit < low ? visit : low;
        deepest = level > deepest ? level : deepest;
    }
    top->link = link;
    top->low = low;
    top->level = deepest;
    if (visit == 0)
        enter(s, s->indices[link - 1]);
    return visit == 0;
}

static void leave(search *s)
{
    frame top = s->path[--s->depth];
    bool is_root = top.low == s->visit[top.node];
    if (is_root)
        place_component(s, top.node, top.level);
    else
        s->waiting[s->waiting_count++] = top.node;
    if (s->depth == 0)
        return;
    frame *parent = &s->path[s->depth - 1];
    uint32_t level = is_root ? top.level + 1 : top.level;
    parent->level = level > parent->level ? level : parent->level;
    if (!is_root && top.low < parent->low)
        parent->low = top.low;
}

static void visit_all(search *s, ptrdiff_t n, fml_watch *watch)
{
    ptrdiff_t until_poll = POLL_NODES;
    for (ptrdiff_t root = 0; root < n; root++) {
        if (s->visit[root] != 0)
            continue;
        enter(s, (uint32_t)root);
        while (s->depth > 0) {
            if (!descend(s))
                leave(s);
            if (--until_poll == 0) {
                if (fml_stopped(watch))
                    return;
                until_poll = POLL_NODES;
            }
        }
    }
}

/* Nobody depends on sinks: the search, for which they count as placed, leaves them out. */
static void leave_out_sinks(search *s, ptrdiff_t n, const uint8_t *is_sink)
{
    for (ptrdiff_t i = 0; i < n; i++)
        s->visit[i] = is_sink[i] ? SINK : 0;
}

/* What the search found, level by level: single nodes first, then components, the largest first so
 * that threads that share them end together. */
typedef struct output {
    const search *found;
    int64_t *ends;    /* of each level: how many nodes it and those before it have */
    int64_t *singles; /* of each level: its nodes that are no part of a larger component */
    uint32_t *order;
    int64_t *segments, *levels;
    uint8_t *kinds;
    ptrdiff_t segment_count, level_count;
} output;

static int compare_components(const void *left, const void *right)
{
    const component *a = left, *b = right;
    if (a->level != b->level)
        return a->level < b->level ? -1 : 1;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return a->start < b->start ? -1 : 1;
}

static uint32_t level_of(const search *s, ptrdiff_t place)
{
    return s->visit[s->placed[place]] & ~PLACED;
}

static void count_nodes(output *o)
{
    const search *s = o->found;
    memset(o->ends, 0, s->levels * sizeof *o->ends);
    for (ptrdiff_t i = 0; i < s->placed_count; i++)
        o->ends[level_of(s, i)]++;
    memcpy(o->singles, o->ends, s->levels * sizeof *o->ends);
    for (ptrdiff_t i = 0; i < s->component_count; i++)
        o->singles[s->components[i].level] -= s->components[i].size;
    for (uint32_t level = 1; level < s->levels; level++)
        o->ends[level] += o->ends[level - 1];
}

static int64_t level_start(const output *o, uint32_t level)
{
    return level == 0 ? 0 : o->ends[level - 1];
}

/* Single nodes keep the order in which they were placed. Walks backwards, so that `singles` counts
 * down to 0 and up again. */
static void put_singles(output *o)
{
    const search *s = o->found;
    ptrdiff_t next = s->component_count - 1;
    for (ptrdiff_t i = s->placed_count - 1; i >= 0; i--) {
        const component *c = next >= 0 ? &s->components[next] : NULL;
        if (c && i == (ptrdiff_t)c->start + c->size - 1) {
            i = c->start;
            next--;
            continue;
        }
        uint32_t level = level_of(s, i);
        o->order[level_start(o, level) + --o->singles[level]] = s->placed[i];
    }
}

static void open_segment(output *o, int64_t start, uint8_t kind)
{
    o->segments[o->segment_count] = start;
    o->kinds[o->segment_count++] = kind;
}

static void open_level(output *o)
{
    o->levels[o->level_count++] = o->segment_count;
}

/* Thin levels in a row are one, in which nodes depend on earlier ones. */
static bool continues(const output *o)
{
    return o->segment_count > 0 && o->kinds[o->segment_count - 1] == FML_ACYCLIC;
}

/* Puts the components of a level, from `next` on; returns the first of a later level. */
static ptrdiff_t put_level(output *o, uint32_t level, ptrdiff_t next)
{
    const search *s = o->found;
    int64_t at = level_start(o, level), end = o->ends[level], singles = end - at;
    ptrdiff_t last = next;
    for (; last < s->component_count && s->components[last].level == level; last++)
        singles -= s->components[last].size;
    bool thin = last == next && singles < THIN;
    if (thin && continues(o))
        return last;
    open_level(o);
    if (singles > 0)
        open_segment(o, at, thin ? FML_ACYCLIC : FML_INDEPENDENT);
    at += singles;
    for (; next < last; next++) {
        const component *c = &s->components[next];
        open_segment(o, at, FML_CYCLIC);
        memcpy(o->order + at, s->placed + c->start, c->size * sizeof *o->order);
        at += c->size;
    }
    return last;
}

static void put_sinks(output *o, ptrdiff_t n, const uint8_t *is_sink)
{
    ptrdiff_t at = o->found->placed_count;
    if (at < n) {
        open_level(o);
        open_segment(o, at, FML_INDEPENDENT);
    }
    for (ptrdiff_t i = 0; i < n; i++)
        if (is_sink[i])
            o->order[at++] = (uint32_t)i;
}

static fml_status put_all(output *o, ptrdiff_t n, const uint8_t *is_sink)
{
    const search *s = o->found;
    o->ends = fml_alloc(s->levels, sizeof *o->ends);
    o->singles = fml_alloc(s->levels, sizeof *o->singles);
    fml_status status = FML_NO_MEMORY;
    if (o->ends && o->singles) {
        count_nodes(o);
        put_singles(o);
        qsort(s->components, (size_t)s->component_count, sizeof *s->components, compare_components);
        ptrdiff_t next = 0;
        for (uint32_t level = 0; level < s->levels; level++)
            next = put_level(o, level, next);
        put_sinks(o, n, is_sink);
        status = FML_OK;
    }
    o->segments[o->segment_count] = n;
    o->levels[o->level_count] = o->segment_count;
    fml_free(o->ends);
    fml_free(o->singles);
    return status;
}

fml_status fml_component_order(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                               const uint8_t *is_sink, uint32_t *order, int64_t *segments,
                               uint8_t *kinds, int64_t *levels, ptrdiff_t *segment_count,
                               ptrdiff_t *level_count)
{
    search s = {.indptr = indptr, .indices = indices};
    s.visit = fml_alloc(n, sizeof *s.visit);
    s.path = fml_alloc(n, sizeof *s.path);
    s.waiting = fml_alloc(n, sizeof *s.waiting);
    s.placed = fml_alloc(n, sizeof *s.placed);
    s.components = fml_alloc(n / 2, sizeof *s.components);
    fml_status status = FML_NO_MEMORY;
    if (s.visit && s.path && s.waiting && s.placed && s.components) {
        fml_watch watch;
        fml_watch_start(&watch);
        leave_out_sinks(&s, n, is_sink);
        visit_all(&s, n, &watch);
        status = fml_watch_status(&watch);
    }
    fml_free(s.path);
    fml_free(s.waiting);
    output o = {
        .found = &s, .order = order, .segments = segments, .levels = levels, .kinds = kinds};
    if (status == FML_OK)
        status = put_all(&o, n, is_sink);
    *segment_count = o.segment_count;
    *level_count = o.level_count;
    fml_free(s.visit);
    fml_free(s.placed);
    fml_free(s.components);
    return status;
}
