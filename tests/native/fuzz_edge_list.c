/* Fuzz target: edge-list text on one thread and on several, line by line, and interned.
 *
 * The first five bytes choose the format, the others are the text (see take_format; digits in
 * the seeds). The segments of the parser are cut to a few bytes by the build, so that lines
 * straddle them. Three readings of a text must agree:
 *   - on one thread and on three: status, report and outputs;
 *   - with every line parsed alone and without its newline, which takes the parser's general
 *     path where the whole text takes the short one.
 * The strings of the text, interned at once and in two parts, must come back as labels. */
#include "fastmml.h"
#include "fuzz.h"

#include <math.h>

enum { FORMAT_BYTES = 5, MANY_THREADS = 3, COMPARED_STRINGS = 64 };

typedef struct parsed {
    fml_status status;
    fml_edge_report report;
    int64_t *src, *dst;
    double *weights;
} parsed;

static fml_edge_format take_format(const uint8_t *bytes)
{
    static const char delimiters[5] = {' ', '\t', ',', ';', '|'};
    static const char *const comments[3] = {"#%", "", "/!*"};
    fml_edge_format format = {
        .kind = bytes[0] % 2 ? FML_SPANS : FML_INTEGERS,
        .delimiter = delimiters[(uint8_t)(bytes[1] - '0') % 5],
        .columns = 2 + (uint8_t)(bytes[2] - '0') % 3,
    };
    format.weighted = bytes[3] % 2 && format.columns > 2;
    strcpy(format.comments, comments[(uint8_t)(bytes[4] - '0') % 3]);
    return format;
}

static parsed parse(const char *text, ptrdiff_t size, fml_edge_format format, ptrdiff_t capacity,
                    int threads)
{
    size_t length = (size_t)capacity;
    parsed p = {.src = fuzz_alloc(length, sizeof *p.src), .dst = fuzz_alloc(length, sizeof *p.dst)};
    p.weights = format.weighted ? fuzz_alloc(length, sizeof *p.weights) : NULL;
    p.status =
        fml_parse_edges(text, size, format, capacity, p.src, p.dst, p.weights, &p.report, threads);
    return p;
}

static void parsed_free(parsed *p)
{
    free(p->src);
    free(p->dst);
    free(p->weights);
}

static int64_t count_lines(const char *text, ptrdiff_t size)
{
    int64_t newlines = 0;
    for (ptrdiff_t i = 0; i < size; i++)
        newlines += text[i] == '\n';
    return newlines + (size > 0 && text[size - 1] != '\n');
}

static void check_same(const parsed *one, const parsed *many)
{
    DEMAND(one->status == many->status);
    DEMAND(one->report.lines == many->report.lines);
    DEMAND(one->report.fault == many->report.fault);
    DEMAND(one->report.fault_line == many->report.fault_line);
    DEMAND(one->report.fault_offset == many->report.fault_offset);
    if (one->status != FML_OK)
        return;
    size_t edges = (size_t)one->report.edges;
    DEMAND(one->report.edges == many->report.edges);
    DEMAND(one->report.min_id == many->report.min_id);
    DEMAND(one->report.max_id == many->report.max_id);
    DEMAND(memcmp(one->src, many->src, edges * sizeof *one->src) == 0);
    DEMAND(memcmp(one->dst, many->dst, edges * sizeof *one->dst) == 0);
    DEMAND(!one->weights || memcmp(one->weights, many->weights, edges * sizeof(double)) == 0);
}

static void check_ids(const parsed *p)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t e = 0; e < p->report.edges; e++) {
        low = p->src[e] < low ? p->src[e] : low;
        low = p->dst[e] < low ? p->dst[e] : low;
        high = p->src[e] > high ? p->src[e] : high;
        high = p->dst[e] > high ? p->dst[e] : high;
    }
    DEMAND(p->report.edges == 0 || (p->report.min_id == low && p->report.max_id == high));
}

static void check_span(const char *text, ptrdiff_t size, int64_t span)
{
    int64_t offset = span >> 32, length = span & 0xffffffff;
    DEMAND(offset >= 0 && offset + length <= size);
    DEMAND(memchr(text + offset, '\n', (size_t)length) == NULL);
}

static void check_outputs(const char *text, ptrdiff_t size, const fml_edge_format *format,
                          const parsed *p)
{
    DEMAND(p->report.edges <= p->report.lines);
    if (format->kind == FML_INTEGERS)
        check_ids(p);
    for (int64_t e = 0; e < p->report.edges; e++) {
        if (format->kind == FML_SPANS) {
            check_span(text, size, p->src[e]);
            check_span(text, size, p->dst[e]);
        }
        DEMAND(!p->weights || (isfinite(p->weights[e]) && p->weights[e] >= 0));
    }
}

/* A span of a line as a span of the text that the line starts at `start` of. */
static int64_t shifted(const fml_edge_format *format, int64_t value, ptrdiff_t start)
{
    return format->kind == FML_SPANS ? value + (int64_t)((uint64_t)start << 32) : value;
}

/* Parses [start, end) alone; returns how many edges it has, having compared them, or -1 when it
 * is refused. */
static int64_t check_line(const char *text, ptrdiff_t start, ptrdiff_t end,
                          const fml_edge_format *format, const parsed *whole, int64_t edge)
{
    char *line = fuzz_copy(text + start, (size_t)(end - start));
    parsed alone = parse(line, end - start, *format, 1, 1);
    int64_t edges = alone.report.edges;
    if (alone.status == FML_BAD_LINE) {
        DEMAND(whole->status == FML_BAD_LINE && whole->report.fault_offset == start);
        DEMAND(whole->report.fault == alone.report.fault);
        edges = -1;
    } else if (edges > 0 && whole->status == FML_OK) {
        DEMAND(edge < whole->report.edges);
        DEMAND(whole->src[edge] == shifted(format, alone.src[0], start));
        DEMAND(whole->dst[edge] == shifted(format, alone.dst[0], start));
        DEMAND(!whole->weights || whole->weights[edge] == alone.weights[0]);
    }
    parsed_free(&alone);
    free(line);
    return edges;
}

static void check_lines(const char *text, ptrdiff_t size, const fml_edge_format *format,
                        const parsed *whole)
{
    int64_t edge = 0, line = 0;
    for (ptrdiff_t start = 0; start < size; line++) {
        const char *newline = memchr(text + start, '\n', (size_t)(size - start));
        ptrdiff_t end = newline ? newline - text : size;
        int64_t edges = check_line(text, start, end, format, whole, edge);
        if (edges < 0) {
            DEMAND(whole->report.fault_line == line);
            return;
        }
        edge += edges;
        start = end + 1;
    }
    DEMAND(whole->status == FML_OK && whole->report.edges == edge);
}

/* ---- the interner --------------------------------------------------------------------------- */

static int64_t take_label(const char *text, int64_t span, uint32_t id, int64_t seen,
                          const int64_t *offsets, const char *bytes)
{
    int64_t length = span & 0xffffffff;
    DEMAND(id <= seen); /* a new string takes the next number */
    DEMAND(offsets[id + 1] - offsets[id] == length);
    DEMAND(length == 0 || memcmp(bytes + offsets[id], text + (span >> 32), (size_t)length) == 0);
    return id == seen ? seen + 1 : seen;
}

static void check_distinct(int64_t count, const int64_t *offsets, const char *bytes)
{
    count = count < COMPARED_STRINGS ? count : COMPARED_STRINGS;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < i; j++) {
            int64_t length = offsets[i + 1] - offsets[i];
            DEMAND(length != offsets[j + 1] - offsets[j] ||
                   memcmp(bytes + offsets[i], bytes + offsets[j], (size_t)length) != 0);
        }
}

static void intern(const char *text, const parsed *p, int64_t split, uint32_t *src, uint32_t *dst)
{
    fml_interner *interner = fml_interner_new();
    DEMAND(interner != NULL);
    int64_t edges = p->report.edges, seen = 0;
    DEMAND(fml_interner_add(interner, text, (ptrdiff_t)split, p->src, p->dst, src, dst) == FML_OK);
    DEMAND(fml_interner_add(interner, text, (ptrdiff_t)(edges - split), p->src + split,
                            p->dst + split, src + split, dst + split) == FML_OK);
    int64_t size = fml_interner_size(interner);
    int64_t *offsets = fuzz_alloc((size_t)size + 1, sizeof *offsets);
    char *bytes = fuzz_alloc((size_t)fml_interner_bytes(interner), 1);
    fml_interner_labels(interner, offsets, bytes);
    DEMAND(offsets[0] == 0 && offsets[size] == fml_interner_bytes(interner));
    for (int64_t e = 0; e < edges; e++) {
        seen = take_label(text, p->src[e], src[e], seen, offsets, bytes);
        seen = take_label(text, p->dst[e], dst[e], seen, offsets, bytes);
    }
    DEMAND(seen == size);
    check_distinct(size, offsets, bytes);
    free(bytes);
    free(offsets);
    fml_interner_free(interner);
}

static void check_interner(const char *text, const parsed *p)
{
    size_t edges = (size_t)p->report.edges;
    uint32_t *ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = fuzz_alloc(edges, sizeof *ids[i]);
    intern(text, p, 0, ids[0], ids[1]);
    intern(text, p, p->report.edges / 2, ids[2], ids[3]);
    DEMAND(memcmp(ids[0], ids[2], edges * sizeof *ids[0]) == 0);
    DEMAND(memcmp(ids[1], ids[3], edges * sizeof *ids[1]) == 0);
    for (int i = 0; i < 4; i++)
        free(ids[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t input_size)
{
    if (input_size < FORMAT_BYTES)
        return 0;
    fml_edge_format format = take_format(data);
    ptrdiff_t size = (ptrdiff_t)input_size - FORMAT_BYTES;
    char *text = fuzz_copy(data + FORMAT_BYTES, (size_t)size);
    int64_t lines = count_lines(text, size);

    parsed short_by_one = parse(text, size, format, lines > 0 ? (ptrdiff_t)lines - 1 : 0, 1);
    DEMAND(short_by_one.report.lines == lines);
    DEMAND(lines == 0 || short_by_one.status == FML_CAPACITY);
    parsed one = parse(text, size, format, (ptrdiff_t)lines, 1);
    parsed many = parse(text, size, format, (ptrdiff_t)lines, MANY_THREADS);
    DEMAND(one.status == FML_OK || one.status == FML_BAD_LINE);
    check_same(&one, &many);
    check_lines(text, size, &format, &one);
    if (one.status == FML_OK)
        check_outputs(text, size, &format, &one);
    if (one.status == FML_OK && format.kind == FML_SPANS)
        check_interner(text, &one);
    parsed_free(&many);
    parsed_free(&one);
    parsed_free(&short_by_one);
    free(text);
    return 0;
}
