/* Rows of links out of each node from the bits of a BVGraph.
 *
 * P. Boldi and S. Vigna, The WebGraph framework I: compression techniques, WWW 2004. A row is its
 * degree; which earlier row it refers to and what it copies of that one, in blocks kept and left
 * out by turns; intervals of consecutive nodes; and the residual nodes, as gaps. Rows are decoded
 * in order into their final place, where later rows find what they copy. What is copied goes to the
 * front of the row; intervals and residuals are merged into it from the end, in place, which
 * touches no copied link below the smallest of them.
 *
 * Where rows start is known only when those before are decoded, or from a file of offsets. With it,
 * blocks of rows are decoded at the same time; a row that copies, in one step or several, from a
 * row of another block waits until all blocks are done.
 * Cost: the stream read once, 4 bytes a link written; most of the time goes to branches that no
 * predictor foresees, some 40 ns a row of cnr-2000.
 */
#include "../runtime.h"
#include "bits.h"

/* Rows that one thread decodes; one row in 1500 of cnr-2000 then waits. */
#ifndef FML_BLOCK_ROWS
#define FML_BLOCK_ROWS (1 << 12)
#endif

enum {
    COPIED_AT_ONCE = 4,  /* links; 8 and 16 gain nothing on cnr-2000, 2 lose 3 % */
    POLL_WORK = 1 << 16, /* rows and links between two looks at the clock: below a millisecond */
};

typedef struct decoder {
    const fml_bvgraph_format *format;
    int64_t nodes;
    const int64_t *indptr;
    uint32_t *indices;
    uint32_t *scratch; /* a row */
    uint32_t *limit;   /* links may be written before it, whatever their row */
} decoder;

/* A row under way: `filled` of its links stand in front, ascending. */
typedef struct row {
    int64_t node, degree, filled;
    uint32_t *links;
} row;

/* ---- one row ------------------------------------------------------------------------------ */

/* Appends links of an earlier row of the same array. */
static inline void append(const decoder *d, row *r, const uint32_t *from, int64_t count)
{
    uint32_t *to = r->links + r->filled;
    r->filled += count;
    if (d->limit - to >= count + COPIED_AT_ONCE) {
        for (int64_t i = 0; i < count; i += COPIED_AT_ONCE) {
            uint32_t group[COPIED_AT_ONCE];
            memcpy(group, from + i, sizeof group);
            memcpy(to + i, group, sizeof group);
        }
        return;
    }
    for (int64_t i = 0; i < count; i++)
        to[i] = from[i];
}

/* Copies what the blocks keep of a row of `length` links. */
static inline fml_row_fault copy_blocks(const decoder *d, fml_bits *bits, row *r,
                                        const uint32_t *from, int64_t length)
{
    const fml_bvgraph_format *f = d->format;
    uint64_t count = fml_read_code(bits, f->block_counts, f->zeta_k);
    if (count > (uint64_t)length + 1)
        return FML_ROW_BLOCKS;
    for (uint64_t block = 0; block <= count; block++) {
        uint64_t left = (uint64_t)length, run = left; /* the last block is what is left */
        if (block < count)
            run = fml_read_code(bits, f->blocks, f->zeta_k) + (block > 0);
        bool kept = block % 2 == 0;
        if (run > left || (kept && run > (uint64_t)(r->degree - r->filled)))
            return FML_ROW_BLOCKS;
        if (kept)
            append(d, r, from, (int64_t)run);
        from += run;
        length -= (int64_t)run;
    }
    return FML_ROW_SOUND;
}

/* Where further links of the row are put: right behind nothing, or aside to be merged. */
static inline uint32_t *place_for_more(const decoder *d, const row *r)
{
    return r->filled ? d->scratch : r->links;
}

/* Merges `count` ascending links at `more` into the row, from the end. */
static inline fml_row_fault merge(row *r, const uint32_t *more, int64_t count)
{
    int64_t i = r->filled - 1, j = count - 1;
    uint32_t *links = r->links;
    bool twice = false;
    r->filled += count;
    if (more == links)
        return FML_ROW_SOUND;
    for (; j >= 0; j--) {
        uint32_t node = more[j];
        for (; i >= 0 && links[i] > node; i--)
            links[i + j + 1] = links[i];
        twice = twice || (i >= 0 && links[i] == node);
        links[i + j + 1] = node;
    }
    return twice ? FML_ROW_TWICE : FML_ROW_SOUND;
}

/* The first node of a list is coded as its distance from the row's node: 0, -1, 1, -2, ... */
static inline uint64_t first_node(const row *r, uint64_t code)
{
    return (uint64_t)r->node + (code >> 1 ^ (0 - (code & 1)));
}

static inline fml_row_fault add_intervals(const decoder *d, fml_bits *bits, row *r)
{
    const uint64_t nodes = (uint64_t)d->nodes, least = (uint64_t)d->format->min_interval;
    uint64_t room = (uint64_t)(r->degree - r->filled), count = fml_read_gamma(bits), node = 0;
    if (count == 0)
        return FML_ROW_SOUND;
    if (count > room / least)
        return FML_ROW_INTERVALS;
    uint32_t *more = place_for_more(d, r);
    int64_t taken = 0;
    for (uint64_t interval = 0; interval < count; interval++) {
        uint64_t code = fml_read_gamma(bits);
        node = interval ? node + code + 1 : first_node(r, code);
        uint64_t length = fml_read_gamma(bits) + least;
        if (length > room || node >= nodes || length > nodes - node)
            return FML_ROW_INTERVALS;
        for (uint64_t i = 0; i < length; i++)
            more[taken++] = (uint32_t)(node + i);
        node += length;
        room -= length;
    }
    return merge(r, more, taken);
}

static inline fml_row_fault add_residuals(const decoder *d, fml_bits *bits, row *r)
{
    const fml_bvgraph_format *f = d->format;
    const uint64_t nodes = (uint64_t)d->nodes;
    int64_t count = r->degree - r->filled;
    uint32_t *more = place_for_more(d, r);
    uint64_t node = first_node(r, fml_read_code(bits, f->residuals, f->zeta_k));
    for (int64_t i = 0;; i++) {
        if (node >= nodes)
            return FML_ROW_RESIDUALS;
        more[i] = (uint32_t)node;
        if (i + 1 == count)
            return merge(r, more, count);
        node += fml_read_code(bits, f->residuals, f->zeta_k) + 1;
    }
}

static inline uint64_t read_degree(fml_bits *bits, const fml_bvgraph_format *f)
{
    return fml_read_code(bits, f->degrees, f->zeta_k);
}

/* Which row before it a row copies from: how many before, or 0. */
static inline uint64_t read_reference(fml_bits *bits, const fml_bvgraph_format *f)
{
    return f->window ? fml_read_code(bits, f->references, f->zeta_k) : 0;
}

/* Decodes what follows the reference of a row that is not empty. */
static inline fml_row_fault read_row(const decoder *d, fml_bits *bits, int64_t node,
                                     uint64_t reference)
{
    const int64_t *start = d->indptr + node;
    row r = {node, start[1] - start[0], 0, d->indices + start[0]};
    fml_row_fault fault = FML_ROW_SOUND;
    if (reference > (uint64_t)d->format->window || reference > (uint64_t)node)
        return FML_ROW_REFERENCE;
    if (reference) {
        const int64_t *from = start - reference;
        fault = copy_blocks(d, bits, &r, d->indices + from[0], from[1] - from[0]);
    }
    if (!fault && r.filled < r.degree && d->format->min_interval)
        fault = add_intervals(d, bits, &r);
    if (!fault && r.filled < r.degree)
        fault = add_residuals(d, bits, &r);
    return fault;
}

/* ---- all rows, one after the other -------------------------------------------------------- */

/* What all rows of a call share. */
typedef struct job {
    const fml_bvgraph_format *format;
    fml_bits bits;
    int64_t nodes, links;
    int64_t rows;           /* to decode */
    const int64_t *offsets; /* of the rows, or NULL */
    int64_t *indptr;
    uint32_t *indices;
    uint8_t *waits; /* rows that copy from another block; NULL without offsets */
    fml_bvgraph_report *report;
    fml_watch watch;
} job;

/* Keeps the fault of the first row that has one. */
static void report_fault(job *j, int64_t node, fml_row_fault fault)
{
#pragma omp critical(fml_bvgraph_report)
    if (!j->report->fault || node < j->report->node) {
        j->report->fault = fault;
        j->report->node = node;
    }
}

/* What is wrong with a row whose bits ran out is not what the zeros behind them say. */
static fml_row_fault true_fault(const fml_bits *bits, fml_row_fault fault)
{
    return fml_bits_overrun(bits) ? FML_ROW_END : fault;
}

static bool set_degree(job *j, int64_t node, uint64_t degree)
{
    uint64_t left = (uint64_t)(j->links - j->indptr[node]);
    if (degree > left || degree > (uint64_t)j->nodes)
        return false;
    j->indptr[node + 1] = j->indptr[node] + (int64_t)degree;
    return true;
}

static bool is_time_to_stop(job *j, int64_t *work, int64_t more)
{
    *work += more + 1;
    if (*work < POLL_WORK)
        return false;
    *work = 0;
    return fml_stopped(&j->watch);
}

static void read_rows_in_order(job *j, uint32_t *scratch)
{
    const decoder d = {j->format, j->nodes, j->indptr, j->indices, scratch, j->indices + j->links};
    fml_bits bits = j->bits;
    int64_t work = POLL_WORK;
    for (int64_t node = 0; node < j->rows; node++) {
        uint64_t degree = read_degree(&bits, j->format);
        fml_row_fault fault = set_degree(j, node, degree) ? FML_ROW_SOUND : FML_ROW_DEGREE;
        if (!fault && degree)
            fault = read_row(&d, &bits, node, read_reference(&bits, j->format));
        fault = true_fault(&bits, fault);
        if (fault) {
            report_fault(j, node, fault);
            return;
        }
        if (is_time_to_stop(j, &work, (int64_t)degree))
            return;
    }
    j->report->bits = bits.at;
}

static fml_status read_in_order(job *j)
{
    uint32_t *scratch = fml_alloc(j->nodes, sizeof *scratch);
    if (!scratch)
        return FML_NO_MEMORY;
    read_rows_in_order(j, scratch);
    fml_free(scratch);
    return fml_watch_status(&j->watch);
}

/* ---- blocks of rows at the same time, by their offsets ------------------------------------ */

static int64_t block_end(const job *j, int64_t block)
{
    int64_t end = (block + 1) * FML_BLOCK_ROWS;
    return end < j->rows ? end : j->rows;
}

static void read_degrees(job *j, int threads)
{
    int64_t blocks = (j->rows + FML_BLOCK_ROWS - 1) / FML_BLOCK_ROWS;
#pragma omp parallel for schedule(static) num_threads(fml_clamp_threads(threads, blocks))
    for (int64_t block = 0; block < blocks; block++) {
        if (fml_stopped(&j->watch))
            continue;
        fml_bits bits = j->bits;
        for (int64_t node = block * FML_BLOCK_ROWS; node < block_end(j, block); node++) {
            bits.at = j->offsets[node];
            j->indptr[node + 1] = (int64_t)read_degree(&bits, j->format);
        }
    }
}

/* A degree that is refused ends the rows to decode: one before it may be refused, too. */
static void add_degrees(job *j)
{
    int64_t node = 0;
    while (node < j->rows && set_degree(j, node, (uint64_t)j->indptr[node + 1]))
        node++;
    if (node == j->rows)
        return;
    fml_bits bits = j->bits;
    bits.at = j->offsets[node];
    read_degree(&bits, j->format);
    report_fault(j, node, true_fault(&bits, FML_ROW_DEGREE));
    j->rows = node;
}

/* Decodes a row, unless it copies from one before `first` or from one that waits. */
static inline fml_row_fault read_at_offset(job *j, const decoder *d, int64_t node, int64_t first)
{
    fml_bits bits = j->bits;
    fml_row_fault fault = FML_ROW_SOUND;
    bits.at = j->offsets[node];
    if (read_degree(&bits, j->format)) {
        uint64_t reference = read_reference(&bits, j->format);
        int64_t from = reference > (uint64_t)node ? node : node - (int64_t)reference;
        j->waits[node] = from < first || j->waits[from];
        if (j->waits[node])
            return FML_ROW_SOUND;
        fault = read_row(d, &bits, node, reference);
    }
    fault = true_fault(&bits, fault);
    return fault || bits.at == j->offsets[node + 1] ? fault : FML_ROW_OFFSET;
}

static void read_block(job *j, int64_t block, uint32_t *scratch)
{
    int64_t first = block * FML_BLOCK_ROWS, end = block_end(j, block), work = 0;
    const decoder d = {j->format,  j->nodes, j->indptr,
                       j->indices, scratch,  j->indices + j->indptr[end]};
    for (int64_t node = first; node < end; node++) {
        fml_row_fault fault = read_at_offset(j, &d, node, first);
        if (fault)
            report_fault(j, node, fault);
        if (fault || is_time_to_stop(j, &work, j->indptr[node + 1] - j->indptr[node]))
            return;
    }
}

/* Decodes the rows that waited, in order; all that they copy from stands by then. */
static void read_waiting(job *j, uint32_t *scratch)
{
    int64_t work = 0, end = j->report->fault ? j->report->node : j->rows;
    for (int64_t node = 0; node < end; node++) {
        if (!j->waits[node])
            continue;
        const decoder d = {j->format,  j->nodes, j->indptr,
                           j->indices, scratch,  j->indices + j->indptr[node + 1]};
        j->waits[node] = 0;
        fml_row_fault fault = read_at_offset(j, &d, node, 0);
        if (fault)
            report_fault(j, node, fault);
        if (fault || is_time_to_stop(j, &work, j->indptr[node + 1] - j->indptr[node]))
            return;
    }
}

static fml_status read_blocks(job *j, int threads)
{
    int64_t blocks = (j->rows + FML_BLOCK_ROWS - 1) / FML_BLOCK_ROWS;
    atomic_bool failed = false;
    memset(j->waits, 0, (size_t)j->rows);
#pragma omp parallel num_threads(fml_clamp_threads(threads, blocks))
    {
        uint32_t *scratch = fml_alloc(j->nodes, sizeof *scratch);
        if (!scratch)
            atomic_store(&failed, true);
#pragma omp barrier
#pragma omp for schedule(dynamic)
        for (int64_t block = 0; block < blocks; block++)
            if (!atomic_load(&failed) && !fml_stopped(&j->watch))
                read_block(j, block, scratch);
#pragma omp master
        if (!atomic_load(&failed) && !fml_stopped(&j->watch))
            read_waiting(j, scratch);
        fml_free(scratch);
    }
    j->report->bits = j->offsets[j->nodes];
    return atomic_load(&failed) ? FML_NO_MEMORY : fml_watch_status(&j->watch);
}

static fml_status read_by_offsets(job *j, int threads)
{
    read_degrees(j, threads);
    if (fml_watch_status(&j->watch) != FML_OK)
        return FML_INTERRUPTED;
    add_degrees(j);
    j->waits = fml_alloc(j->rows, sizeof *j->waits);
    fml_status status = j->waits ? read_blocks(j, threads) : FML_NO_MEMORY;
    fml_free(j->waits);
    return status;
}

/* ---- the interface ------------------------------------------------------------------------ */

fml_status fml_bvgraph_offsets(const uint8_t *stream, ptrdiff_t size, fml_coding coding,
                               ptrdiff_t nodes, int64_t limit, int64_t *offsets,
                               fml_bvgraph_report *report)
{
    fml_bits bits = {stream, size, 0};
    uint64_t offset = 0;
    *report = (fml_bvgraph_report){.fault = FML_ROW_SOUND};
    fml_watch watch;
    fml_watch_start(&watch);
    for (ptrdiff_t node = 0; node <= nodes; node++) {
        if (node % POLL_WORK == 0 && fml_stopped(&watch))
            return FML_INTERRUPTED;
        uint64_t bits_more = fml_read_code(&bits, coding, 1);
        offset += bits_more;
        if (fml_bits_overrun(&bits) || bits_more > (uint64_t)limit || offset > (uint64_t)limit) {
            *report = (fml_bvgraph_report){true_fault(&bits, FML_ROW_OFFSET), node, bits.at};
            return FML_BAD_STREAM;
        }
        offsets[node] = (int64_t)offset;
    }
    report->bits = bits.at;
    return FML_OK;
}

fml_status fml_bvgraph_rows(const uint8_t *stream, ptrdiff_t size, const fml_bvgraph_format *format,
                            ptrdiff_t nodes, int64_t links, const int64_t *offsets, int64_t *indptr,
                            uint32_t *indices, fml_bvgraph_report *report, int threads)
{
    job j = {format, {stream, size, 0}, nodes, links,  nodes, offsets,
             indptr, indices,           NULL,  report, {0}};
    *report = (fml_bvgraph_report){.fault = FML_ROW_SOUND};
    indptr[0] = 0;
    fml_watch_start(&j.watch);
    fml_status status = offsets ? read_by_offsets(&j, threads) : read_in_order(&j);
    if (status == FML_OK && report->fault)
        status = FML_BAD_STREAM;
    return status;
}
