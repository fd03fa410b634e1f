/* The calls of scenarios.h. Inputs and outputs are static arrays of exact length, so that all
 * counted memory is the library's own and the sanitizers see every step over an end. */
#include "scenarios.h"
#include "inputs.h"
#include "memory.h"
#include "team.h"

#include <stdio.h>
#include <string.h>

int64_t indptr[NODES + 1];
uint32_t sources[LINKS], node_table[NODES];
double link_weights[LINKS], vectors[(VECTORS + 1) * NODES];

enum {
    SHIFT = 8,
    BUCKETS = (NODES >> SHIFT) + 1,
    TILES = (LINKS + FML_TILE_EDGES - 1) / FML_TILE_EDGES,
    SCALE = 10,
    LINES = 5000, /* more strings and bytes than an interner starts with room for */
    LINE_BYTES = 48,
    ROW_LINKS = 3,
    ROW_BYTES = 16, /* more than a row's codes take */
};

static uint32_t targets[LINKS];
static int64_t tile_places[TILES * BUCKETS], bounds[BUCKETS + 1];
static uint32_t bucket_sources[LINKS];
static uint16_t bucket_targets[LINKS];
static double bucket_weights[LINKS];
static char integer_text[LINES * LINE_BYTES], string_text[LINES * LINE_BYTES];
static ptrdiff_t integer_size, string_size;
static int64_t span_first[LINES], span_second[LINES]; /* the strings of string_text */
static uint8_t row_stream[NODES * ROW_BYTES], offset_stream[NODES * ROW_BYTES];
static int64_t row_offsets[NODES + 1];

static uint32_t draw(uint32_t below)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

void fold(uint64_t *digest, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        *digest = (*digest ^ bytes[i]) * 0x100000001b3u;
}

static void prepare_graph(void)
{
    for (int i = 0; i <= NODES; i++)
        indptr[i] = (int64_t)i * DEGREE;
    for (int e = 0; e < LINKS; e++) {
        sources[e] = draw(NODES);
        targets[e] = draw(NODES);
        link_weights[e] = draw(1000) / 8.0;
    }
    for (int i = 0; i < NODES; i++)
        node_table[i] = NODES - 1 - (uint32_t)i;
    for (int i = 0; i < (VECTORS + 1) * NODES; i++)
        vectors[i] = (1 + draw(1000)) / 1024.0;
}

fml_rank_plan rank_plan(rank_plan_scratch *scratch)
{
    /* An acyclic start, a component of four blocks in two waves, and an end of one block. */
    static const int64_t blocks[] = {0, 100, 800, 1500, 2200, 2900, NODES},
                         segments[] = {0, 1, 5, 6}, levels[] = {0, 1, 2, 3};
    static const uint8_t kinds[] = {FML_ACYCLIC, FML_CYCLIC, FML_INDEPENDENT}, waves[] = {1, 2, 1};
    return (fml_rank_plan){.n = NODES,
                           .indptr = indptr,
                           .indices = scratch->indices,
                           .weights = scratch->weights,
                           .earlier = scratch->earlier,
                           .num_blocks = 6,
                           .num_segments = 3,
                           .blocks = blocks,
                           .segments = segments,
                           .kinds = kinds,
                           .waves = waves,
                           .num_levels = 3,
                           .levels = levels};
}

/* Where each tile starts to write in each bucket: bucket by bucket, tile by tile. */
static void prepare_buckets(void)
{
    static int64_t counts[TILES * BUCKETS];
    fml_bucket_count(LINKS, targets, SHIFT, BUCKETS, counts, 1);
    int64_t place = 0;
    for (int b = 0; b < BUCKETS; b++) {
        bounds[b] = place;
        for (int t = 0; t < TILES; t++) {
            tile_places[t * BUCKETS + b] = place;
            place += counts[t * BUCKETS + b];
        }
    }
    bounds[BUCKETS] = place;
}

static fml_status parse_strings(int64_t *first, int64_t *second, fml_edge_report *report,
                                int threads)
{
    const fml_edge_format format = {.kind = FML_SPANS, .delimiter = ',', .columns = 2};
    return fml_parse_edges(string_text, string_size, format, LINES, first, second, NULL, report,
                           threads);
}

static void prepare_text(void)
{
    for (int line = 0; line < LINES; line++) {
        integer_size += snprintf(integer_text + integer_size, LINE_BYTES, "%u %u %u.5e-3\n",
                                 draw(NODES), draw(NODES), draw(100));
        string_size += snprintf(string_text + string_size, LINE_BYTES, "page-%u,\"site %u\"\n",
                                draw(4000), draw(4000));
    }
    fml_edge_report report;
    parse_strings(span_first, span_second, &report, 1);
}

static void put_gamma(uint8_t *stream, int64_t *at, uint32_t value)
{
    int width = 0;
    while ((value + 1) >> (width + 1))
        width++;
    *at += width; /* zeros */
    for (int bit = width; bit >= 0; bit--, ++*at)
        stream[*at / 8] |= (uint8_t)(((value + 1) >> bit & 1) << (7 - *at % 8));
}

static const fml_bvgraph_format row_format = {.references = FML_GAMMA, .zeta_k = 1, .window = 1};

/* Two rows out of three copy the one before, over the borders of blocks too. */
static void prepare_rows(void)
{
    int64_t at = 0, offset_at = 0;
    put_gamma(offset_stream, &offset_at, 0);
    for (int i = 0; i < NODES; i++) {
        bool copies = i % 3 > 0;
        put_gamma(row_stream, &at, ROW_LINKS);
        put_gamma(row_stream, &at, copies);
        int distance = (int)draw(NODES - ROW_LINKS) - i; /* of the first link */
        if (copies)
            put_gamma(row_stream, &at, 0); /* all in one block */
        else
            put_gamma(row_stream, &at, (uint32_t)(distance < 0 ? -2 * distance - 1 : 2 * distance));
        for (int link = 1; link < ROW_LINKS && !copies; link++)
            put_gamma(row_stream, &at, 0);
        put_gamma(offset_stream, &offset_at, (uint32_t)(at - row_offsets[i]));
        row_offsets[i + 1] = at;
    }
}

void scenarios_prepare(void)
{
    fml_set_pool_limit(0); /* or a call would find the memory of the one before */
    prepare_graph();
    prepare_buckets();
    prepare_text();
    prepare_rows();
}

/* ---- building a graph ----------------------------------------------------------------------- */

static fml_status run_bucket_count(int threads, uint64_t *digest)
{
    static int64_t counts[TILES * BUCKETS];
    fml_status status = fml_bucket_count(LINKS, targets, SHIFT, BUCKETS, counts, threads);
    FOLD_ARRAY(digest, counts);
    return status;
}

static fml_status scatter(int threads)
{
    static int64_t positions[TILES * BUCKETS];
    memcpy(positions, tile_places, sizeof positions);
    return fml_bucket_scatter(LINKS, sources, targets, link_weights, SHIFT, BUCKETS, positions,
                              bucket_sources, bucket_targets, bucket_weights, threads);
}

static fml_status run_bucket_scatter(int threads, uint64_t *digest)
{
    fml_status status = scatter(threads);
    FOLD_ARRAY(digest, bucket_sources);
    FOLD_ARRAY(digest, bucket_targets);
    FOLD_ARRAY(digest, bucket_weights);
    return status;
}

static fml_status run_bucket_sort(int threads, uint64_t *digest)
{
    static int64_t rows[NODES + 1];
    fml_status status = scatter(threads);
    if (status == FML_OK)
        status = fml_bucket_sort(NODES, NODES, SHIFT, BUCKETS, bounds, bucket_targets,
                                 bucket_sources, bucket_weights, rows, threads);
    FOLD_ARRAY(digest, rows);
    FOLD_ARRAY(digest, bucket_sources);
    FOLD_ARRAY(digest, bucket_weights);
    return status;
}

static fml_status run_out_strength(int threads, uint64_t *digest)
{
    static double strength[NODES];
    fml_status status = fml_out_strength(NODES, LINKS, sources, link_weights, strength, threads);
    FOLD_ARRAY(digest, strength);
    return status;
}

static fml_status run_out_degree(int threads, uint64_t *digest)
{
    static double degree[NODES];
    fml_status status = fml_out_strength(NODES, LINKS, sources, NULL, degree, threads);
    FOLD_ARRAY(digest, degree);
    return status;
}

/* Nodes that nothing follows from: one in ten. */
static void mark_sinks(uint8_t *is_sink)
{
    for (int i = 0; i < NODES; i++)
        is_sink[i] = i % 10 == 0;
}

static fml_status run_component_order(int threads, uint64_t *digest)
{
    (void)threads;
    static uint8_t is_sink[NODES], kinds[NODES + 2];
    static uint32_t order[NODES];
    static int64_t segments[NODES + 3], levels[NODES + 3];
    ptrdiff_t count = 0, level_count = 0;
    mark_sinks(is_sink);
    fml_status status = fml_component_order(NODES, indptr, sources, is_sink, order, segments, kinds,
                                            levels, &count, &level_count);
    FOLD_ARRAY(digest, order);
    fold(digest, segments, (size_t)(count + 1) * sizeof *segments);
    fold(digest, kinds, (size_t)count);
    fold(digest, levels, (size_t)(level_count + 1) * sizeof *levels);
    return status;
}

static fml_status run_degree_order(int threads, uint64_t *digest)
{
    static uint8_t is_sink[NODES];
    static uint32_t order[NODES];
    int64_t ends[2];
    mark_sinks(is_sink);
    fml_status status = fml_degree_order(NODES, indptr, vectors, is_sink, order, ends, threads);
    FOLD_ARRAY(digest, order);
    FOLD_ARRAY(digest, ends);
    return status;
}

static fml_status run_permute_nodes(int threads, uint64_t *digest)
{
    static uint32_t position[NODES];
    static int64_t starts[NODES + 1];
    static double inverse[NODES];
    fml_status status =
        fml_permute_nodes(NODES, node_table, indptr, vectors, position, starts, inverse, threads);
    FOLD_ARRAY(digest, position);
    FOLD_ARRAY(digest, starts);
    FOLD_ARRAY(digest, inverse);
    return status;
}

static fml_status run_gather_values(int threads, uint64_t *digest)
{
    static double out[NODES * FML_SIDE_BY_SIDE];
    fml_status status = fml_gather_values(NODES, node_table, vectors, VECTORS, VECTORS - 1, out,
                                          FML_SIDE_BY_SIDE, threads);
    FOLD_ARRAY(digest, out);
    return status;
}

static fml_status run_scatter_values(int threads, uint64_t *digest)
{
    static double out[NODES * VECTORS];
    fml_status status =
        fml_scatter_values(NODES, node_table, vectors, VECTORS, out, VECTORS, VECTORS - 1, threads);
    FOLD_ARRAY(digest, out);
    return status;
}

static fml_status run_permute_rows(int threads, uint64_t *digest)
{
    static rank_plan_scratch scratch;
    fml_rank_plan plan = rank_plan(&scratch);
    fml_status status = fml_permute_rows(indptr, sources, link_weights, node_table, &plan, threads);
    fold(digest, plan.indices, LINKS * sizeof *plan.indices);
    fold(digest, plan.weights, LINKS * sizeof *plan.weights);
    fold(digest, plan.earlier, NODES * sizeof *plan.earlier);
    return status;
}

typedef struct squares {
    uint64_t *out;
    ptrdiff_t start, count;
    int threads;
    fml_watch *watch;
} squares;

static void rest(void *job, ptrdiff_t first, ptrdiff_t last)
{
    (void)job, (void)first, (void)last;
}

static void rest_some(fml_team *team, void *job)
{
    fml_share(team, 9, 1, rest, job);
}

/* A block within which its first thread runs a program, as the handler of a signal may. */
static void square(void *job, ptrdiff_t first, ptrdiff_t last)
{
    const squares *s = job;
    if (fml_stopped(s->watch))
        return;
    if (fml_thread_number() == 0)
        fml_lead_team(s->threads, rest_some, job);
    for (ptrdiff_t i = s->start + first; i < s->start + last; i++)
        s->out[i] += (uint64_t)(i * i);
}

static void square_some(fml_team *team, void *job)
{
    squares *s = job;
    fml_share(team, s->count, 3, square, s);
}

/* Loops of a program and of programs within it. */
static void square_all(fml_team *team, void *job)
{
    squares *s = job;
    for (s->start = 0; s->start < NODES; s->start += s->count) {
        s->count = s->start % 7 + 20 < NODES - s->start ? s->start % 7 + 20 : NODES - s->start;
        fml_share(team, s->count, 1, square, s);
        fml_lead_team(s->threads, square_some, s);
        fml_lead_team(1, square_some, s);
    }
}

static fml_status run_lead_team(int threads, uint64_t *digest)
{
    static uint64_t out[NODES];
    memset(out, 0, sizeof out);
    fml_watch watch;
    fml_watch_start(&watch);
    squares s = {.out = out, .threads = threads, .watch = &watch};
    fml_lead_team(threads, square_all, &s);
    FOLD_ARRAY(digest, out);
    return fml_watch_status(&watch);
}

/* Rows of the graph read as out-links; nodes of strength 0 are dangling. */
static fml_status run_rank_push(int threads, uint64_t *digest)
{
    (void)threads;
    static const uint32_t seeds[] = {7, 2999};
    static const double base[] = {0.1, 0.05};
    static double strength[NODES], ranks[NODES], images[NODES];
    static uint32_t nodes[NODES];
    for (int i = 0; i < NODES; i++)
        strength[i] = i % 10 == 0 ? 0 : DEGREE * 60.0;
    const fml_out_links graph = {indptr, sources, link_weights, strength};
    ptrdiff_t count = 0;
    int64_t links = 0;
    fml_status status = fml_rank_push(&graph, 2, seeds, base, 0.85, 1e-6, INT64_MAX, nodes, ranks,
                                      images, &count, &links);
    fold(digest, nodes, (size_t)count * sizeof *nodes);
    fold(digest, ranks, (size_t)count * sizeof *ranks);
    fold(digest, images, (size_t)count * sizeof *images);
    fold(digest, &links, sizeof links);
    return status;
}

static fml_status run_mark_ids(int threads, uint64_t *digest)
{
    static uint8_t present[NODES];
    memset(present, 0, sizeof present);
    fml_status status = fml_mark_ids(LINKS, sources, present, threads);
    FOLD_ARRAY(digest, present);
    return status;
}

static fml_status run_relabel(int threads, uint64_t *digest)
{
    static uint32_t ids[LINKS];
    memcpy(ids, sources, sizeof ids);
    fml_status status = fml_relabel(LINKS, node_table, ids, threads);
    FOLD_ARRAY(digest, ids);
    return status;
}

static fml_status run_rmat_edges(int threads, uint64_t *digest)
{
    static uint32_t src[LINKS], dst[LINKS];
    fml_status status = fml_rmat_edges(SCALE, 7, 0, LINKS, src, dst, threads);
    FOLD_ARRAY(digest, src);
    FOLD_ARRAY(digest, dst);
    return status;
}

/* ---- reading text --------------------------------------------------------------------------- */

static int64_t first[LINES], second[LINES];

static fml_status run_parse_integers(int threads, uint64_t *digest)
{
    static double weights[LINES];
    const fml_edge_format format = {
        .kind = FML_INTEGERS, .delimiter = ' ', .columns = 3, .weighted = true, .comments = "#"};
    fml_edge_report report;
    fml_status status = fml_parse_edges(integer_text, integer_size, format, LINES, first, second,
                                        weights, &report, threads);
    FOLD_ARRAY(digest, first);
    FOLD_ARRAY(digest, second);
    FOLD_ARRAY(digest, weights);
    fold(digest, &report.edges, sizeof report.edges);
    return status;
}

static fml_status run_parse_spans(int threads, uint64_t *digest)
{
    fml_edge_report report;
    fml_status status = parse_strings(first, second, &report, threads);
    FOLD_ARRAY(digest, first);
    FOLD_ARRAY(digest, second);
    fold(digest, &report.edges, sizeof report.edges);
    return status;
}

/* An interner that refused for want of memory is as good as before: asked again, it goes on. */
static fml_status add_stubbornly(fml_interner *interner, uint32_t *first_ids, uint32_t *second_ids)
{
    fml_status status = FML_NO_MEMORY;
    for (int attempt = 0; attempt < 2 && status == FML_NO_MEMORY; attempt++)
        status = fml_interner_add(interner, string_text, LINES, span_first, span_second, first_ids,
                                  second_ids);
    return status;
}

static fml_status run_interner(int threads, uint64_t *digest)
{
    (void)threads;
    static uint32_t first_ids[LINES], second_ids[LINES];
    static int64_t offsets[2 * LINES + 1];
    static char bytes[sizeof string_text];
    fml_interner *interner = fml_interner_new();
    if (!interner)
        return FML_NO_MEMORY;
    fml_status status = add_stubbornly(interner, first_ids, second_ids);
    fml_interner_labels(interner, offsets, bytes);
    fold(digest, offsets, (size_t)(fml_interner_size(interner) + 1) * sizeof *offsets);
    fold(digest, bytes, (size_t)fml_interner_bytes(interner));
    FOLD_ARRAY(digest, first_ids);
    FOLD_ARRAY(digest, second_ids);
    fml_interner_free(interner);
    return status;
}

/* ---- reading bits --------------------------------------------------------------------------- */

static fml_status run_bvgraph_offsets(int threads, uint64_t *digest)
{
    (void)threads;
    static int64_t offsets[NODES + 1];
    fml_bvgraph_report report;
    fml_status status = fml_bvgraph_offsets(offset_stream, sizeof offset_stream, FML_GAMMA, NODES,
                                            8 * sizeof row_stream, offsets, &report);
    FOLD_ARRAY(digest, offsets);
    return status;
}

static fml_status read_rows(const int64_t *offsets, int threads, uint64_t *digest)
{
    static int64_t starts[NODES + 1];
    static uint32_t links[NODES * ROW_LINKS];
    fml_bvgraph_report report;
    fml_status status =
        fml_bvgraph_rows(row_stream, sizeof row_stream, &row_format, NODES, NODES * ROW_LINKS,
                         offsets, starts, links, &report, threads);
    FOLD_ARRAY(digest, starts);
    FOLD_ARRAY(digest, links);
    return status;
}

static fml_status run_bvgraph_rows(int threads, uint64_t *digest)
{
    return read_rows(NULL, threads, digest);
}

static fml_status run_bvgraph_rows_by_offsets(int threads, uint64_t *digest)
{
    return read_rows(row_offsets, threads, digest);
}

/* ---- products of short numbers and of bools -------------------------------------------------- */

enum { M = 61, K = 1060, N = 45 };
static unsigned char short_numbers[K * (M > N ? M : N)];

static void fill_short_numbers(unsigned modulus)
{
    for (unsigned i = 0; i < sizeof short_numbers; i++)
        short_numbers[i] = (unsigned char)(i * 7 % modulus);
}

static fml_status multiply_short(fml_matmul_short_p16_fn *multiply, fml_short a, fml_short b,
                                 int threads, uint64_t *digest)
{
    static uint32_t c[M * N];
    fill_short_numbers(251);
    fml_status status = multiply(M, K, N, &a, &b, c, N * sizeof *c, threads);
    FOLD_ARRAY(digest, c);
    return status;
}

/* Rows and columns of the operands are contiguous in turn. */
static fml_status multiply_turned(fml_matmul_short_p16_fn *multiply, int threads, uint64_t *digest)
{
    const fml_short a = {FML_INT8, short_numbers, K, 1}, b = {FML_UINT8, short_numbers, N, 1};
    const fml_short turned_a = {FML_UINT8, short_numbers, 1, M};
    const fml_short turned_b = {FML_INT8, short_numbers, 1, K};
    fml_status status = multiply_short(multiply, a, b, threads, digest);
    return status == FML_OK ? multiply_short(multiply, turned_a, turned_b, threads, digest)
                            : status;
}

fml_status run_matmul_short_p16(int threads, uint64_t *digest)
{
    return multiply_turned(fml_variants()[0]->matmul_short_p16, threads, digest);
}

static fml_status run_matmul_bytes(int threads, uint64_t *digest)
{
    return multiply_turned(fml_variants()[0]->matmul_bytes, threads, digest);
}

fml_status run_matmul_bool_b64(int threads, uint64_t *digest)
{
    static bool c[M * N];
    const fml_bools a = {short_numbers, K, 1}, b = {short_numbers, 1, K};
    fill_short_numbers(2);
    fml_status status = fml_variants()[0]->matmul_bool_b64(M, K, N, &a, &b, c, N, threads);
    FOLD_ARRAY(digest, c);
    return status;
}

/* Two groups of rows, some of which have no weight. */
fml_status run_residual_products_f64(int threads, uint64_t *digest)
{
    enum { ROWS = 9000, FEATURES = 7, TARGETS = 3, SIZE = sizeof(double) };
    static double x[ROWS * FEATURES], scale[ROWS];
    static double products[2 * TARGETS * (FEATURES + 1)], squares[TARGETS];
    static const double coef[TARGETS * FEATURES] = {3, 1, 4, 1, 5, 9, 2, 6}, constant[6] = {1};
    static const double unit[TARGETS] = {1, 0.5, 2};
    for (int i = 0; i < ROWS * FEATURES; i++)
        x[i] = i % 89;
    for (int i = 0; i < ROWS; i++)
        scale[i] = i % 3;
    const fml_side_by_side sides = {.n = FEATURES,
                                    .p = TARGETS,
                                    .x = x,
                                    .y = x,
                                    .x_row = FEATURES * SIZE,
                                    .x_col = SIZE,
                                    .y_row = FEATURES * SIZE,
                                    .y_col = SIZE};
    const fml_fit fit = {coef, constant, unit, scale};
    fml_status status =
        fml_variants()[0]->residual_products_f64(ROWS, &sides, &fit, products, squares, threads);
    FOLD_ARRAY(digest, products);
    FOLD_ARRAY(digest, squares);
    return status;
}

/* A kernel without its scenario does not link; tests/test_native_trust.py asks the same of the
 * other functions. */
#define ENTRY(name, type) {#name " " #type, run_##name##_##type},
const scenario SCENARIOS[] = {{"bucket_count", run_bucket_count},
                              {"bucket_scatter", run_bucket_scatter},
                              {"bucket_sort", run_bucket_sort},
                              {"out_strength", run_out_strength},
                              {"out_degree", run_out_degree},
                              {"component_order", run_component_order},
                              {"degree_order", run_degree_order},
                              {"permute_nodes", run_permute_nodes},
                              {"gather_values", run_gather_values},
                              {"scatter_values", run_scatter_values},
                              {"permute_rows", run_permute_rows},
                              {"lead_team", run_lead_team},
                              {"rank_push", run_rank_push},
                              {"mark_ids", run_mark_ids},
                              {"relabel", run_relabel},
                              {"rmat_edges", run_rmat_edges},
                              {"parse_edges, integers", run_parse_integers},
                              {"parse_edges, strings", run_parse_spans},
                              {"interner", run_interner},
                              {"bvgraph_offsets", run_bvgraph_offsets},
                              {"bvgraph_rows", run_bvgraph_rows},
                              {"bvgraph_rows, offsets", run_bvgraph_rows_by_offsets},
                              {"matmul_bytes", run_matmul_bytes},
                              FML_KERNELS(ENTRY, f64) FML_KERNELS(ENTRY, f32) //
                              FML_KERNELS_F64(ENTRY) FML_KERNELS_F64X8(ENTRY) //
                              FML_KERNELS_DENSE(ENTRY)};
const int SCENARIO_COUNT = sizeof SCENARIOS / sizeof *SCENARIOS;
