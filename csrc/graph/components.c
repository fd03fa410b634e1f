/* Strong components in topological order: the order in which PageRank is solved.
 *
 * Tarjan's algorithm (SIAM J. Computing 1, 1972) follows links backwards, so that a component comes
 * out after all those that link to it. As in Nuutila & Soisalon-Soininen (Information Processing
 * Letters 49, 1994) a node waits on the stack only from its end on, which puts the nodes of a
 * component in postorder: most links then lead from earlier nodes to later ones, and Gauss-Seidel
 * needs a third fewer sweeps than in the given order (docs/performance.md).
 * Cost: O(nodes + links), one random read of 4 bytes a link.
 */
#include "../runtime.h"

enum { POLL_NODES = 1 << 12 };
static const uint32_t PLACED = UINT32_MAX; /* the visit number of a node whose component is out */

/* A node on the path from the root of the search. */
typedef struct frame {
    int64_t link; /* the next one to follow */
    uint32_t node;
    uint32_t low; /* earliest visit that the node's subtree is known to reach */
} frame;

typedef struct search {
    const int64_t *indptr;
    const uint32_t *indices;
    uint32_t *visit; /* when a node was found, from 1 on; 0: not yet */
    uint32_t visits;
    frame *path;
    uint32_t *waiting; /* ended nodes of components that are not out yet */
    ptrdiff_t depth, waiting_count;
    uint32_t *order; /* output */
    ptrdiff_t front;
    int64_t *segments;
    uint8_t *kinds;
    ptrdiff_t segment_count;
} search;

static void enter(search *s, uint32_t node)
{
    s->visit[node] = ++s->visits;
    s->path[s->depth++] = (frame){s->indptr[node], node, s->visits};
}

/* Starts a segment at the front of the order, unless the last one goes on. */
static void open_segment(search *s, uint8_t kind)
{
    ptrdiff_t last = s->segment_count - 1;
    if (kind == FML_ACYCLIC && last >= 0 && s->kinds[last] == FML_ACYCLIC)
        return;
    s->segments[s->segment_count] = s->front;
    s->kinds[s->segment_count++] = kind;
}

static void place(search *s, uint32_t node)
{
    s->visit[node] = PLACED;
    s->order[s->front++] = node;
}

/* The component of `root`: the waiting nodes that were found after it, and itself last. */
static void place_component(search *s, uint32_t root)
{
    ptrdiff_t first = s->waiting_count;
    while (first > 0 && s->visit[s->waiting[first - 1]] > s->visit[root])
        first--;
    open_segment(s, first == s->waiting_count ? FML_ACYCLIC : FML_CYCLIC);
    for (ptrdiff_t i = first; i < s->waiting_count; i++)
        place(s, s->waiting[i]);
    place(s, root);
    s->waiting_count = first;
}

/* Follows the links of the last frame up to a new node; false when there is none left. */
static bool descend(search *s)
{
    frame *top = &s->path[s->depth - 1];
    int64_t end = s->indptr[top->node + 1];
    while (top->link < end) {
        uint32_t next = s->indices[top->link++], visit = s->visit[next];
        if (visit == 0) {
            enter(s, next);
            return true;
        }
        if (visit < top->low)
            top->low = visit;
    }
    return false;
}

static void leave(search *s)
{
    frame top = s->path[--s->depth];
    if (top.low == s->visit[top.node]) {
        place_component(s, top.node);
        return;
    }
    s->waiting[s->waiting_count++] = top.node;
    frame *parent = &s->path[s->depth - 1];
    if (top.low < parent->low)
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
        s->visit[i] = is_sink[i] ? PLACED : 0;
}

static void place_sinks(search *s, ptrdiff_t n, const uint8_t *is_sink)
{
    if (s->front < n)
        open_segment(s, FML_INDEPENDENT);
    for (ptrdiff_t i = 0; i < n; i++)
        if (is_sink[i])
            place(s, (uint32_t)i);
}

fml_status fml_component_order(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                               const uint8_t *is_sink, uint32_t *order, int64_t *segments,
                               uint8_t *kinds, ptrdiff_t *count)
{
    search s = {
        .indptr = indptr, .indices = indices, .order = order, .segments = segments, .kinds = kinds};
    s.visit = fml_alloc(n, sizeof *s.visit);
    s.path = fml_alloc(n, sizeof *s.path);
    s.waiting = fml_alloc(n, sizeof *s.waiting);
    fml_status status = FML_NO_MEMORY;
    if (s.visit && s.path && s.waiting) {
        fml_watch watch;
        fml_watch_start(&watch);
        leave_out_sinks(&s, n, is_sink);
        visit_all(&s, n, &watch);
        status = fml_watch_status(&watch);
    }
    if (status == FML_OK)
        place_sinks(&s, n, is_sink);
    segments[s.segment_count] = n;
    *count = s.segment_count;
    fml_free(s.visit);
    fml_free(s.path);
    fml_free(s.waiting);
    return status;
}
