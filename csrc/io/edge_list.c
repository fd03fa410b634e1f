/* Edge-list text to arrays of edges.
 *
 * The text is cut into segments at line ends. Counting the lines of every segment tells where its
 * edges go, so segments are parsed in parallel straight into the outputs; the gaps that comments
 * leave are closed at the end. Segments do not depend on the number of threads, so neither do the
 * outputs and the reported fault. A line of plain integers takes a short path; any line that it
 * does not understand is parsed by the general one, which also finds what is wrong.
 * Cost: two passes over the text, 16 bytes written an edge (24 with weights).
 */
#include "../runtime.h"
#include "number.h"

#include <string.h>

/* Text of a segment: it stays in the second-level cache between counting and parsing. */
#ifndef FML_SEGMENT_BYTES
#define FML_SEGMENT_BYTES (256 * 1024)
#endif

typedef struct span {
    const char *start;
    ptrdiff_t length;
} span;

typedef struct outputs {
    int64_t *src, *dst;
    double *weights;
} outputs;

typedef struct segment {
    const char *start, *end;
    int64_t lines;
    int64_t first_line; /* of the text; also where its edges go */
    fml_edge_report report;
} segment;

/* ---- one line ----------------------------------------------------------------------------- */

static bool is_blank(char c, char delimiter)
{
    return c == ' ' || (c == '\t' && delimiter != '\t');
}

static const char *skip_blanks(const char *at, const char *end, char delimiter)
{
    while (at < end && is_blank(*at, delimiter))
        at++;
    return at;
}

/* A field in double quotes; at stands behind the opening one. Returns where the field ends. */
static const char *take_quoted(const char *at, const char *end, char delimiter, span *field)
{
    const char *close = memchr(at, '"', (size_t)(end - at));
    if (!close)
        return NULL;
    *field = (span){at, close - at};
    at = skip_blanks(close + 1, end, delimiter);
    return at == end || *at == delimiter ? at : NULL;
}

static const char *find_delimiter(const char *at, const char *end, char delimiter)
{
    if (delimiter != ' ') {
        const char *found = memchr(at, delimiter, (size_t)(end - at));
        return found ? found : end;
    }
    while (at < end && !is_blank(*at, ' '))
        at++;
    return at;
}

static const char *take_plain(const char *at, const char *end, char delimiter, span *field)
{
    const char *stop = find_delimiter(at, end, delimiter), *last = stop;
    while (last > at && is_blank(last[-1], delimiter))
        last--;
    *field = (span){at, last - at};
    return stop;
}

/* Splits [at, end) into exactly `columns` fields and keeps the first three. */
static fml_line_fault split_fields(const char *at, const char *end, char delimiter, int columns,
                                   span fields[3])
{
    for (int column = 0; column < columns; column++) {
        span field;
        at = skip_blanks(at, end, delimiter);
        bool quoted = delimiter != ' ' && at < end && *at == '"';
        at = quoted ? take_quoted(at + 1, end, delimiter, &field)
                    : take_plain(at, end, delimiter, &field);
        if (!at)
            return FML_FAULT_QUOTE;
        if (column < 3)
            fields[column] = field;
        if (delimiter == ' ')
            at = skip_blanks(at, end, delimiter);
        if (at == end)
            return column + 1 == columns ? FML_FAULT_NONE : FML_FAULT_COLUMNS;
        at += delimiter != ' ';
    }
    return FML_FAULT_COLUMNS;
}

static fml_line_fault store_id(const char *text, span field, fml_field_kind kind, int64_t *id)
{
    if (field.length == 0)
        return FML_FAULT_COLUMNS;
    if (kind == FML_INTEGERS)
        return fml_parse_integer(field.start, field.length, id);
    *id = (int64_t)(field.start - text) << 32 | field.length;
    return FML_FAULT_NONE;
}

static bool is_skipped(const char *at, const char *end, const fml_edge_format *format)
{
    at = skip_blanks(at, end, format->delimiter);
    return at == end || (*at != '\0' && strchr(format->comments, *at) != NULL);
}

/* Parses the line [start, end), which is not skipped, to place `e` of the outputs. */
static fml_line_fault parse_line(const char *text, const char *start, const char *end,
                                 const fml_edge_format *format, outputs out, int64_t e)
{
    span fields[3];
    fml_line_fault fault = split_fields(start, end, format->delimiter, format->columns, fields);
    if (!fault)
        fault = store_id(text, fields[0], format->kind, &out.src[e]);
    if (!fault)
        fault = store_id(text, fields[1], format->kind, &out.dst[e]);
    if (!fault && format->weighted &&
        !fml_parse_weight(fields[2].start, fields[2].length, &out.weights[e]))
        fault = FML_FAULT_WEIGHT;
    return fault;
}

/* ---- the short path: two integers of at most 18 digits, one delimiter, a newline ------------ */

static inline const char *take_digits(const char *at, int64_t *value)
{
    const char *start = at;
    uint64_t v = 0;
    for (unsigned digit; (digit = (unsigned)(*at - '0')) < 10; at++)
        v = v * 10 + digit;
    *value = (int64_t)v;
    return at == start || at - start > 18 ? NULL : at;
}

/* Returns where the next line starts, or NULL when the line is not of this form. The text must
 * hold a newline at or behind `at`: no digit run passes it. */
static inline const char *parse_plain_line(const char *at, char delimiter, int64_t *src,
                                           int64_t *dst)
{
    at = take_digits(at, src);
    if (!at || (*at != delimiter && !(delimiter == ' ' && *at == '\t')))
        return NULL;
    at = take_digits(at + 1, dst);
    return at && *at == '\n' ? at + 1 : NULL;
}

/* ---- segments ------------------------------------------------------------------------------- */

/* The first line that starts in segment s, or NULL when a longer line runs through all of it. */
static const char *find_line_start(const char *text, ptrdiff_t size, ptrdiff_t s)
{
    ptrdiff_t from = s * FML_SEGMENT_BYTES;
    if (s == 0 || from >= size)
        return s == 0 ? text : text + size;
    ptrdiff_t length = size - from < FML_SEGMENT_BYTES ? size - from : FML_SEGMENT_BYTES;
    const char *newline = memchr(text + from - 1, '\n', (size_t)length);
    return newline ? newline + 1 : NULL;
}

/* A segment ends where the next one starts; one without a line start is empty. */
static void close_segments(ptrdiff_t count, const char *end, segment *segments)
{
    for (ptrdiff_t s = count - 1; s >= 0; s--) {
        segments[s].end = end;
        if (!segments[s].start)
            segments[s].start = end;
        end = segments[s].start;
    }
}

/* Counts a block at a time: the counts fit into bytes, of which a vector holds most. */
static int64_t count_lines(const char *start, const char *end)
{
    enum { BLOCK = 15 * 16 };
    int64_t lines = 0;
    const char *at = start;
    for (; end - at >= BLOCK; at += BLOCK) {
        unsigned char count = 0;
        for (int i = 0; i < BLOCK; i++)
            count = (unsigned char)(count + (at[i] == '\n'));
        lines += count;
    }
    for (; at < end; at++)
        lines += *at == '\n';
    return lines + (end > start && end[-1] != '\n');
}

static void note_ids(fml_edge_report *report, int64_t src, int64_t dst)
{
    int64_t low = src < dst ? src : dst, high = src < dst ? dst : src;
    report->min_id = low < report->min_id ? low : report->min_id;
    report->max_id = high > report->max_id ? high : report->max_id;
}

static void parse_segment(const char *text, const fml_edge_format *format, outputs out,
                          segment *part)
{
    fml_edge_report *report = &part->report;
    *report = (fml_edge_report){.min_id = INT64_MAX, .max_id = INT64_MIN};
    const bool plain = format->kind == FML_INTEGERS && format->columns == 2;
    const bool terminated = part->end > part->start && part->end[-1] == '\n';
    int64_t e = part->first_line;
    for (const char *at = part->start; at < part->end; report->lines++) {
        const char *next = plain && terminated
                               ? parse_plain_line(at, format->delimiter, &out.src[e], &out.dst[e])
                               : NULL;
        if (!next) {
            const char *newline = memchr(at, '\n', (size_t)(part->end - at));
            const char *end = newline ? newline : part->end;
            next = newline ? newline + 1 : end;
            end -= end > at && end[-1] == '\r';
            if (is_skipped(at, end, format)) {
                at = next;
                continue;
            }
            report->fault = parse_line(text, at, end, format, out, e);
            if (report->fault) {
                report->fault_line = part->first_line + report->lines;
                report->fault_offset = at - text;
                return;
            }
        }
        if (format->kind == FML_INTEGERS)
            note_ids(report, out.src[e], out.dst[e]);
        e++;
        at = next;
    }
    report->edges = e - part->first_line;
}

static int64_t place_segments(ptrdiff_t count, segment *segments)
{
    int64_t lines = 0;
    for (ptrdiff_t s = 0; s < count; s++) {
        segments[s].first_line = lines;
        lines += segments[s].lines;
    }
    return lines;
}

static void move_column(void *column, size_t item, int64_t to, int64_t from, int64_t count)
{
    char *bytes = column;
    if (bytes && to != from)
        memmove(bytes + (size_t)to * item, bytes + (size_t)from * item, (size_t)count * item);
}

/* Closes the gaps between the edges of the segments and merges their reports. */
static void gather(ptrdiff_t count, const segment *segments, outputs out, fml_edge_report *report)
{
    for (ptrdiff_t s = 0; s < count && !report->fault; s++) {
        const fml_edge_report *part = &segments[s].report;
        int64_t from = segments[s].first_line;
        move_column(out.src, sizeof *out.src, report->edges, from, part->edges);
        move_column(out.dst, sizeof *out.dst, report->edges, from, part->edges);
        move_column(out.weights, sizeof *out.weights, report->edges, from, part->edges);
        report->edges += part->edges;
        report->min_id = part->min_id < report->min_id ? part->min_id : report->min_id;
        report->max_id = part->max_id > report->max_id ? part->max_id : report->max_id;
        report->fault = part->fault;
        report->fault_line = part->fault_line;
        report->fault_offset = part->fault_offset;
    }
    if (report->min_id > report->max_id)
        report->min_id = report->max_id = 0;
}

fml_status fml_parse_edges(const char *text, ptrdiff_t size, fml_edge_format format,
                           ptrdiff_t capacity, int64_t *src, int64_t *dst, double *weights,
                           fml_edge_report *report, int threads)
{
    *report = (fml_edge_report){.min_id = INT64_MAX, .max_id = INT64_MIN};
    outputs out = {src, dst, format.weighted ? weights : NULL};
    ptrdiff_t count = size / FML_SEGMENT_BYTES + 1;
    segment *segments = fml_alloc(count, sizeof *segments);
    if (!segments)
        return FML_NO_MEMORY;
    int team = fml_clamp_threads(threads, count);
    fml_watch watch;
    fml_watch_start(&watch);
#pragma omp parallel for schedule(dynamic) num_threads(team)
    for (ptrdiff_t s = 0; s < count; s++)
        segments[s].start = find_line_start(text, size, s);
    close_segments(count, text + size, segments);
#pragma omp parallel for schedule(dynamic) num_threads(team)
    for (ptrdiff_t s = 0; s < count; s++)
        segments[s].lines = count_lines(segments[s].start, segments[s].end);
    report->lines = place_segments(count, segments);
    fml_status status = report->lines > capacity ? FML_CAPACITY : FML_OK;
    if (status == FML_OK) {
#pragma omp parallel for schedule(dynamic) num_threads(team)
        for (ptrdiff_t s = 0; s < count; s++)
            if (!fml_stopped(&watch))
                parse_segment(text, &format, out, &segments[s]);
        status = fml_watch_status(&watch);
    }
    if (status == FML_OK) {
        gather(count, segments, out, report);
        status = report->fault ? FML_BAD_LINE : FML_OK;
    }
    fml_free(segments);
    return status;
}
