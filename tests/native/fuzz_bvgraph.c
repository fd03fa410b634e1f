/* Fuzz target: the rows of a BVGraph, with offsets and without, on one thread and on several.
 *
 * The first bytes choose the format and how long the stream of offsets is; the offsets and the rows
 * follow. Blocks are cut to a few rows by the build, so that rows copy over their borders. Rows
 * that are accepted ascend and stay within the nodes; readings of the same rows agree:
 *   - with offsets, on one thread and on three: status, report and outputs;
 *   - with offsets and without, when both are accepted.
 * Everywhere in the stream, the short way to read a code agrees with the general one. */
#include "fastmml.h"
#include "fuzz.h"
#include "io/bits.h"

enum { FORMAT_BYTES = 7, MANY_THREADS = 3, MOST_NODES = 64 };

typedef struct rows {
    fml_status status;
    fml_bvgraph_report report;
    int64_t *indptr;
    uint32_t *indices;
} rows;

static fml_bvgraph_format take_format(const uint8_t *bytes)
{
    static const fml_coding few[3] = {FML_GAMMA, FML_DELTA, FML_UNARY};
    static const fml_coding residuals[4] = {FML_ZETA, FML_GAMMA, FML_DELTA, FML_NIBBLE};
    return (fml_bvgraph_format){
        .degrees = few[bytes[0] % 2],
        .references = few[bytes[0] / 2 % 3],
        .block_counts = few[bytes[0] / 6 % 3],
        .blocks = few[bytes[0] / 18 % 3],
        .residuals = residuals[bytes[1] % 4],
        .zeta_k = 1 + bytes[2] % 31,
        .window = bytes[3] % 16,
        .min_interval = bytes[4] % 8,
    };
}

static rows read_rows(const uint8_t *stream, ptrdiff_t size, const fml_bvgraph_format *format,
                      ptrdiff_t nodes, int64_t links, const int64_t *offsets, int threads)
{
    rows r = {.indptr = fuzz_alloc((size_t)nodes + 1, sizeof *r.indptr),
              .indices = fuzz_alloc((size_t)links, sizeof *r.indices)};
    r.status = fml_bvgraph_rows(stream, size, format, nodes, links, offsets, r.indptr, r.indices,
                                &r.report, threads);
    DEMAND(r.status == (r.report.fault ? FML_BAD_STREAM : FML_OK));
    DEMAND(r.report.node >= 0 && (!r.report.fault || r.report.node < nodes));
    return r;
}

static void rows_free(rows *r)
{
    free(r->indptr);
    free(r->indices);
}

static void check_rows(const rows *r, ptrdiff_t size, ptrdiff_t nodes, int64_t links)
{
    DEMAND(r->report.bits >= 0 && r->report.bits <= 8 * size);
    DEMAND(r->indptr[0] == 0 && r->indptr[nodes] <= links);
    for (ptrdiff_t node = 0; node < nodes; node++)
        for (int64_t k = r->indptr[node]; k < r->indptr[node + 1]; k++) {
            DEMAND(r->indices[k] < nodes);
            DEMAND(k == r->indptr[node] || r->indices[k - 1] < r->indices[k]);
        }
}

static void check_same(const rows *one, const rows *other, ptrdiff_t nodes)
{
    DEMAND(one->status == other->status);
    DEMAND(one->report.fault == other->report.fault && one->report.node == other->report.node);
    if (one->status != FML_OK)
        return;
    DEMAND(one->report.bits == other->report.bits);
    size_t links = (size_t)one->indptr[nodes];
    DEMAND(memcmp(one->indptr, other->indptr, ((size_t)nodes + 1) * sizeof(int64_t)) == 0);
    DEMAND(memcmp(one->indices, other->indices, links * sizeof(uint32_t)) == 0);
}

static void check_with_offsets(const uint8_t *stream, ptrdiff_t size,
                               const fml_bvgraph_format *format, ptrdiff_t nodes, int64_t links,
                               const int64_t *offsets, const rows *in_order)
{
    rows one = read_rows(stream, size, format, nodes, links, offsets, 1);
    rows many = read_rows(stream, size, format, nodes, links, offsets, MANY_THREADS);
    check_same(&one, &many, nodes);
    if (one.status == FML_OK)
        check_rows(&one, size, nodes, links);
    if (one.status == FML_OK && offsets[0] == 0)
        check_same(&one, in_order, nodes);
    rows_free(&one);
    rows_free(&many);
}

static void check_codes(const uint8_t *stream, ptrdiff_t size, int zeta_k)
{
    for (int64_t at = 0; at <= 8 * size; at++) {
        const fml_bits start = {stream, size, at};
        const fml_coding codings[3] = {FML_UNARY, FML_GAMMA, FML_ZETA};
        const fml_code general[3] = {fml_long_unary(start), fml_long_gamma(start),
                                     fml_long_zeta(start, zeta_k)};
        for (int i = 0; i < 3; i++) {
            fml_bits bits = start;
            DEMAND(fml_read_code(&bits, codings[i], zeta_k) == general[i].value);
            DEMAND(bits.at == general[i].end);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t input_size)
{
    if (input_size < FORMAT_BYTES)
        return 0;
    const fml_bvgraph_format format = take_format(data);
    ptrdiff_t nodes = data[5] % MOST_NODES, size = (ptrdiff_t)input_size - FORMAT_BYTES;
    ptrdiff_t offset_size = data[6] < size ? data[6] : size;
    int64_t links = (int64_t)nodes * nodes;
    size -= offset_size;
    uint8_t *coded = (uint8_t *)fuzz_copy(data + FORMAT_BYTES, (size_t)offset_size);
    uint8_t *stream = (uint8_t *)fuzz_copy(data + FORMAT_BYTES + offset_size, (size_t)size);
    int64_t *offsets = fuzz_alloc((size_t)nodes + 1, sizeof *offsets);

    check_codes(stream, size, format.zeta_k);
    rows in_order = read_rows(stream, size, &format, nodes, links, NULL, 1);
    if (in_order.status == FML_OK)
        check_rows(&in_order, size, nodes, links);
    fml_bvgraph_report report;
    if (fml_bvgraph_offsets(coded, offset_size, FML_GAMMA, nodes, 8 * size, offsets, &report) ==
        FML_OK)
        check_with_offsets(stream, size, &format, nodes, links, offsets, &in_order);
    rows_free(&in_order);
    free(offsets);
    free(stream);
    free(coded);
    return 0;
}
