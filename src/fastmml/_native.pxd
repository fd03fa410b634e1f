# cython: language_level=3
"""What the extension module sees of the C interface, csrc/fastmml.h and csrc/memory.h."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "stdbool.h":
    ctypedef bint c_bool "bool"


cdef extern from "memory.h" nogil:
    void *fml_alloc(Py_ssize_t count, size_t element_size)
    void fml_free(void *memory)
    void *fml_realloc(void *memory, size_t bytes)
    bint fml_empty_pool()
    size_t fml_pool_limit()
    void fml_set_pool_limit(size_t bytes)
    size_t fml_pool_bytes()


cdef extern from "fastmml.h" nogil:
    ctypedef struct fml_team:
        pass
    void fml_lead_team(int threads, void (*program)(fml_team *, void *) noexcept nogil, void *job)


cdef extern from "fastmml.h" nogil:
    ctypedef enum fml_status:
        FML_OK
        FML_NO_MEMORY
        FML_INTERRUPTED
        FML_CAPACITY
        FML_BAD_LINE
        FML_BAD_STREAM

    ctypedef int (*fml_poll_function)() noexcept nogil
    void fml_set_poll(fml_poll_function poll)
    bint fml_has_openmp()
    int fml_get_num_threads()
    void fml_set_num_threads(int threads)
    void fml_after_fork_in_child()

    ctypedef struct fml_rank_plan:
        Py_ssize_t n
        const int64_t *indptr
        uint32_t *indices
        double *weights
        uint32_t *earlier
        Py_ssize_t num_blocks
        Py_ssize_t num_segments
        const int64_t *blocks
        const int64_t *segments
        const uint8_t *kinds
        const uint8_t *waves
        Py_ssize_t num_levels
        const int64_t *levels
        const double *kept

    ctypedef fml_status (*fml_rank_pull_f64_fn)(
        Py_ssize_t n, const int64_t *indptr, const uint32_t *indices, const double *weights,
        const double *inverse_strength, const double *teleport, Py_ssize_t teleport_stride,
        const double *jump, Py_ssize_t jump_stride, double damping, const double *total,
        const double *mass, const double *x, const double *contribution, double *y,
        double *next_contribution, double *change, double *dangling_mass, int threads) noexcept
    ctypedef fml_status (*fml_rank_image_f64_fn)(
        Py_ssize_t n, const int64_t *indptr, const uint32_t *indices, const double *weights,
        const double *teleport, Py_ssize_t teleport_stride, const double *jump,
        Py_ssize_t jump_stride, double damping, const double *total, const double *mass,
        double roundings, const double *x, const double *contribution, double *y, double *change,
        double *rounded, int threads) noexcept
    ctypedef fml_status (*fml_rank_solve_f64_fn)(
        const fml_rank_plan *plan, const double *inverse_strength, const double *base,
        Py_ssize_t base_stride, double damping, double tolerance, int64_t max_sweeps, double *y,
        double *c, double *total, double *dangling_mass, int64_t *visits,
        int threads) noexcept
    ctypedef fml_status (*fml_difference_gram_f64_fn)(
        Py_ssize_t count, Py_ssize_t n, const double *x, double *gram, int threads) noexcept
    ctypedef fml_status (*fml_combine_f64_fn)(
        Py_ssize_t count, Py_ssize_t n, const double *coefficients, const double *x, double *y,
        double *total, int threads) noexcept
    ctypedef fml_status (*fml_sparse_times_f64_fn)(
        Py_ssize_t m, Py_ssize_t columns, const int64_t *indptr, const uint32_t *indices,
        const double *values, const double *b, const double *shift, double *out,
        int threads) noexcept
    ctypedef fml_status (*fml_sparse_gram_times_f64_fn)(
        Py_ssize_t m, Py_ssize_t n, Py_ssize_t count, const int64_t *indptr,
        const uint32_t *indices, const double *values, const double *b, const double *scale,
        const double *along, Py_ssize_t parts, double *out, int threads) noexcept
    ctypedef fml_status (*fml_rank_pull_f32_fn)(
        Py_ssize_t n, const int64_t *indptr, const uint32_t *indices, const double *weights,
        const float *inverse_strength, const float *teleport, Py_ssize_t teleport_stride,
        const float *jump, Py_ssize_t jump_stride, double damping, const double *total,
        const double *mass, const float *x, const float *contribution, float *y,
        float *next_contribution, double *change, double *dangling_mass, int threads) noexcept
    ctypedef fml_status (*fml_difference_gram_f32_fn)(
        Py_ssize_t count, Py_ssize_t n, const float *x, double *gram, int threads) noexcept
    ctypedef fml_status (*fml_combine_f32_fn)(
        Py_ssize_t count, Py_ssize_t n, const double *coefficients, const float *x, float *y,
        double *total, int threads) noexcept
    ctypedef fml_status (*fml_sparse_times_f32_fn)(
        Py_ssize_t m, Py_ssize_t columns, const int64_t *indptr, const uint32_t *indices,
        const float *values, const double *b, const double *shift, double *out,
        int threads) noexcept
    ctypedef fml_status (*fml_sparse_gram_times_f32_fn)(
        Py_ssize_t m, Py_ssize_t n, Py_ssize_t count, const int64_t *indptr,
        const uint32_t *indices, const float *values, const float *b, const double *scale,
        const double *along, Py_ssize_t parts, float *out, int threads) noexcept

    enum:
        FML_SMALL_ROWS

    ctypedef fml_status (*fml_small_solve_f64_fn)(
        Py_ssize_t batch, Py_ssize_t n, Py_ssize_t columns, const double *a,
        const Py_ssize_t *a_strides, const double *b, const Py_ssize_t *b_strides, double *x,
        c_bool *singular, int threads) noexcept
    ctypedef fml_status (*fml_small_inverse_f64_fn)(
        Py_ssize_t batch, Py_ssize_t n, const double *a, const Py_ssize_t *strides, double *x,
        c_bool *singular, int threads) noexcept
    ctypedef fml_status (*fml_small_det_f64_fn)(
        Py_ssize_t batch, Py_ssize_t n, const double *a, const Py_ssize_t *strides, double *det,
        int threads) noexcept
    ctypedef fml_status (*fml_small_eigh_f64_fn)(
        Py_ssize_t batch, Py_ssize_t n, const double *a, const Py_ssize_t *strides, c_bool upper,
        double *values, double *vectors, c_bool *failed, int threads) noexcept
    ctypedef fml_status (*fml_small_qr_f64_fn)(
        Py_ssize_t batch, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const double *a,
        const Py_ssize_t *strides, double *q, double *r, int threads) noexcept
    ctypedef fml_status (*fml_small_solve_f32_fn)(
        Py_ssize_t batch, Py_ssize_t n, Py_ssize_t columns, const float *a,
        const Py_ssize_t *a_strides, const float *b, const Py_ssize_t *b_strides, float *x,
        c_bool *singular, int threads) noexcept
    ctypedef fml_status (*fml_small_inverse_f32_fn)(
        Py_ssize_t batch, Py_ssize_t n, const float *a, const Py_ssize_t *strides, float *x,
        c_bool *singular, int threads) noexcept
    ctypedef fml_status (*fml_small_det_f32_fn)(
        Py_ssize_t batch, Py_ssize_t n, const float *a, const Py_ssize_t *strides, float *det,
        int threads) noexcept
    ctypedef fml_status (*fml_small_eigh_f32_fn)(
        Py_ssize_t batch, Py_ssize_t n, const float *a, const Py_ssize_t *strides, c_bool upper,
        float *values, float *vectors, c_bool *failed, int threads) noexcept
    ctypedef fml_status (*fml_small_qr_f32_fn)(
        Py_ssize_t batch, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const float *a,
        const Py_ssize_t *strides, float *q, float *r, int threads) noexcept
    ctypedef struct fml_stack:
        Py_ssize_t dims
        Py_ssize_t k
        const Py_ssize_t *shape
        const Py_ssize_t *a
        const Py_ssize_t *b
        const Py_ssize_t *c

    # Of any element type: C knows the right one of each kernel.
    ctypedef fml_status (*fml_matmul_strassen_fn)(
        const fml_stack *stack, int halvings, const void *a, const void *b, void *c,
        int threads) noexcept nogil
    ctypedef fml_status (*fml_matmul_fn)(
        const fml_stack *stack, const void *a, const void *b, void *c, int threads) noexcept
    ctypedef fml_status (*fml_gram_fn)(
        Py_ssize_t k, Py_ssize_t n, const void *x, Py_ssize_t row, Py_ssize_t col, void *c,
        int threads) noexcept
    ctypedef fml_status (*fml_solve_right_fn)(
        Py_ssize_t m, Py_ssize_t n, const void *a, Py_ssize_t row, Py_ssize_t col,
        Py_ssize_t count, const void *u, void *x, int threads) noexcept

    ctypedef struct fml_side_by_side:
        Py_ssize_t n
        Py_ssize_t p
        const void *x
        const void *y
        Py_ssize_t x_row
        Py_ssize_t x_col
        Py_ssize_t y_row
        Py_ssize_t y_col

    ctypedef fml_status (*fml_solved_gram_fn)(
        Py_ssize_t m, const fml_side_by_side *sides, Py_ssize_t count, const void *u, void *gram,
        int threads) noexcept
    ctypedef fml_status (*fml_centred_gram_fn)(
        Py_ssize_t k, const fml_side_by_side *sides, const void *shift, const void *scale,
        double *out, int threads) noexcept

    ctypedef struct fml_fit:
        const double *coef
        const double *constant
        const double *unit
        const double *scale
    ctypedef fml_status (*fml_residual_products_f64_fn)(
        Py_ssize_t m, const fml_side_by_side *sides, const fml_fit *fit, double *products,
        double *squares, int threads) noexcept

    ctypedef enum fml_short_kind:
        FML_INT8
        FML_UINT8
        FML_INT16
    ctypedef struct fml_short:
        fml_short_kind kind
        const void *data
        Py_ssize_t row
        Py_ssize_t col
    ctypedef fml_status (*fml_matmul_short_fn "fml_matmul_short_p16_fn *")(
        Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, const fml_short *a, const fml_short *b, void *c,
        Py_ssize_t c_row, int threads) noexcept

    ctypedef struct fml_bools:
        const void *data
        Py_ssize_t row
        Py_ssize_t col
    ctypedef fml_status (*fml_matmul_bool_fn)(
        Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, const fml_bools *a, const fml_bools *b,
        c_bool *c, Py_ssize_t c_row, int threads) noexcept

    ctypedef struct fml_rows:
        Py_ssize_t count
        const void *data
        Py_ssize_t row
        Py_ssize_t col
        const double *scale
    ctypedef enum fml_distance:
        FML_EUCLIDEAN
    ctypedef fml_status (*fml_pairwise_distances_fn)(
        const fml_rows *x, const fml_rows *y, Py_ssize_t k, fml_distance kind, void *out,
        int threads) noexcept
    ctypedef fml_status (*fml_kneighbors_fn)(
        const fml_rows *x, const fml_rows *y, Py_ssize_t k, fml_distance kind,
        Py_ssize_t neighbors, void *distances, int64_t *indices, int threads) noexcept
    ctypedef fml_status (*fml_gram_times_fn)(
        Py_ssize_t m, Py_ssize_t n, Py_ssize_t count, const void *x, const void *b,
        const void *offset, void *y, void *out, int threads) noexcept
    ctypedef fml_status (*fml_project_rows_fn)(
        const fml_rows *x, Py_ssize_t n, const void *shift, Py_ssize_t k, const void *basis,
        void *coordinates, double *errors, int threads) noexcept
    ctypedef fml_status (*fml_reconstruct_rows_fn)(
        const fml_rows *y, Py_ssize_t k, const void *basis, Py_ssize_t n, const void *shift,
        void *out, int threads) noexcept

    ctypedef struct fml_table:
        const char *isa
        fml_rank_pull_f64_fn rank_pull_f64
        fml_rank_pull_f32_fn rank_pull_f32
        fml_rank_solve_f64_fn rank_solve_f64
        fml_rank_image_f64_fn rank_image_f64
        fml_rank_pull_f64_fn rank_pull_f64x8
        fml_rank_solve_f64_fn rank_solve_f64x8
        fml_rank_image_f64_fn rank_image_f64x8
        fml_difference_gram_f64_fn difference_gram_f64
        fml_difference_gram_f32_fn difference_gram_f32
        fml_combine_f64_fn combine_f64
        fml_combine_f32_fn combine_f32
        fml_sparse_times_f64_fn sparse_times_f64
        fml_sparse_times_f32_fn sparse_times_f32
        fml_sparse_gram_times_f64_fn sparse_gram_times_f64
        fml_sparse_gram_times_f32_fn sparse_gram_times_f32
        fml_small_solve_f64_fn small_solve_f64
        fml_small_solve_f32_fn small_solve_f32
        fml_small_inverse_f64_fn small_inverse_f64
        fml_small_inverse_f32_fn small_inverse_f32
        fml_small_det_f64_fn small_det_f64
        fml_small_det_f32_fn small_det_f32
        fml_small_eigh_f64_fn small_eigh_f64
        fml_small_eigh_f32_fn small_eigh_f32
        fml_small_qr_f64_fn small_qr_f64
        fml_small_qr_f32_fn small_qr_f32
        fml_matmul_fn matmul_f64
        fml_matmul_fn matmul_f32
        fml_matmul_fn matmul_u64
        fml_matmul_fn matmul_u32
        fml_matmul_fn matmul_u16
        fml_matmul_fn matmul_complex_f64
        fml_matmul_fn matmul_complex_f32
        fml_matmul_strassen_fn matmul_strassen_f64
        fml_matmul_strassen_fn matmul_strassen_f32
        fml_matmul_strassen_fn matmul_strassen_u64
        fml_matmul_strassen_fn matmul_strassen_u32
        fml_matmul_strassen_fn matmul_strassen_u16
        fml_matmul_strassen_fn matmul_complex_strassen_f64
        fml_matmul_strassen_fn matmul_complex_strassen_f32
        fml_matmul_short_fn matmul_short_p16, matmul_bytes
        fml_matmul_bool_fn matmul_bool_b64
        fml_gram_fn gram_f64
        fml_gram_fn gram_f32
        fml_gram_fn gram_u64
        fml_gram_fn gram_u32
        fml_gram_fn gram_u16
        fml_gram_fn gram_complex_f64
        fml_gram_fn gram_complex_f32
        fml_solve_right_fn solve_right_f64
        fml_solve_right_fn solve_right_f32
        fml_centred_gram_fn centred_gram_f64
        fml_centred_gram_fn centred_gram_f32
        fml_solved_gram_fn solved_gram_f64
        fml_solved_gram_fn solved_gram_f32
        fml_residual_products_f64_fn residual_products_f64
        fml_gram_times_fn gram_times_f64
        fml_gram_times_fn gram_times_f32
        fml_pairwise_distances_fn pairwise_distances_f64
        fml_pairwise_distances_fn pairwise_distances_f32
        fml_kneighbors_fn kneighbors_f64
        fml_kneighbors_fn kneighbors_f32
        fml_project_rows_fn project_rows_f64
        fml_project_rows_fn project_rows_f32
        fml_reconstruct_rows_fn reconstruct_rows_f64
        fml_reconstruct_rows_fn reconstruct_rows_f32

    const fml_table *const *fml_variants()
    bint fml_variant_runs(const fml_table *variant)

    ctypedef struct fml_array:
        Py_ssize_t dims
        const Py_ssize_t *shape
        const Py_ssize_t *strides

    ctypedef struct fml_match:
        fml_stack stack
        Py_ssize_t result_dims
        Py_ssize_t[64] result

    bint fml_match_arrays(
        const fml_array *a, const fml_array *b, Py_ssize_t element_size, fml_match *match)
    bint fml_may_share(
        const fml_array *x, const void *data, Py_ssize_t element_size, const void *block,
        size_t bytes)

    fml_status fml_bucket_count(
        Py_ssize_t edges, const uint32_t *dst, int shift, Py_ssize_t buckets, int64_t *counts,
        int threads)
    fml_status fml_bucket_scatter(
        Py_ssize_t edges, const uint32_t *src, const uint32_t *dst, const double *weights,
        int shift, Py_ssize_t buckets, int64_t *positions, uint32_t *out_src,
        uint16_t *out_local, double *out_weights, int threads)
    fml_status fml_bucket_sort(
        Py_ssize_t n, int64_t sources, int shift, Py_ssize_t buckets, const int64_t *bounds,
        uint16_t *local, uint32_t *src, double *weights, int64_t *indptr, int threads)
    fml_status fml_component_order(
        Py_ssize_t n, const int64_t *indptr, const uint32_t *indices, const uint8_t *is_sink,
        uint32_t *order, int64_t *segments, uint8_t *kinds, int64_t *levels,
        Py_ssize_t *segment_count, Py_ssize_t *level_count)
    fml_status fml_degree_order(
        Py_ssize_t n, const int64_t *indptr, const double *out_degree, const uint8_t *is_sink,
        uint32_t *order, int64_t *bounds, int threads)
    fml_status fml_permute_nodes(
        Py_ssize_t n, const uint32_t *order, const int64_t *indptr, const double *strength,
        uint32_t *position, int64_t *out_indptr, double *inverse_strength, int threads)
    fml_status fml_gather_values(
        Py_ssize_t n, const uint32_t *order, const double *values, Py_ssize_t row,
        Py_ssize_t count, double *out, Py_ssize_t columns, int threads)
    fml_status fml_scatter_values(
        Py_ssize_t n, const uint32_t *order, const double *values, Py_ssize_t columns,
        double *out, Py_ssize_t row, Py_ssize_t count, int threads)
    fml_status fml_permute_rows(
        const int64_t *indptr, const uint32_t *indices, const double *weights,
        const uint32_t *position, const fml_rank_plan *plan, int threads)
    fml_status fml_out_strength(
        Py_ssize_t n, Py_ssize_t edges, const uint32_t *indices, const double *weights,
        double *strength, int threads)
    ctypedef struct fml_out_links:
        const int64_t *indptr
        const uint32_t *indices
        const double *weights
        const double *strength

    fml_status fml_rank_push(
        const fml_out_links *graph, Py_ssize_t seed_count, const uint32_t *seeds,
        const double *base, double damping, double tolerance, int64_t max_links, uint32_t *nodes,
        double *ranks, double *images, Py_ssize_t *count, int64_t *links)
    fml_status fml_mark_ids(
        Py_ssize_t count, const uint32_t *ids, uint8_t *present, int threads)
    fml_status fml_relabel(Py_ssize_t count, const uint32_t *table, uint32_t *ids, int threads)
    fml_status fml_rmat_edges(
        int scale, uint64_t seed, int64_t first, Py_ssize_t count, uint32_t *src, uint32_t *dst,
        int threads)

    ctypedef enum fml_field_kind:
        FML_INTEGERS
        FML_SPANS

    ctypedef struct fml_edge_format:
        fml_field_kind kind
        char delimiter
        int columns
        bint weighted
        char comments[8]

    ctypedef struct fml_edge_report:
        int64_t edges
        int64_t lines
        int64_t min_id
        int64_t max_id
        int64_t fault_line
        int64_t fault_offset
        int fault

    fml_status fml_parse_edges(
        const char *text, Py_ssize_t size, fml_edge_format format, Py_ssize_t capacity,
        int64_t *src, int64_t *dst, double *weights, fml_edge_report *report, int threads)

    ctypedef struct fml_interner:
        pass
    fml_interner *fml_interner_new()
    void fml_interner_free(fml_interner *interner)
    fml_status fml_interner_add(
        fml_interner *interner, const char *text, Py_ssize_t count, const int64_t *first,
        const int64_t *second, uint32_t *first_ids, uint32_t *second_ids)
    int64_t fml_interner_size(const fml_interner *interner)
    int64_t fml_interner_bytes(const fml_interner *interner)
    void fml_interner_labels(const fml_interner *interner, int64_t *offsets, char *bytes)

    ctypedef enum fml_coding:
        FML_GAMMA

    ctypedef struct fml_bvgraph_format:
        fml_coding degrees
        fml_coding references
        fml_coding block_counts
        fml_coding blocks
        fml_coding residuals
        int zeta_k
        int64_t window
        int64_t min_interval

    ctypedef struct fml_bvgraph_report:
        int fault
        int64_t node
        int64_t bits

    fml_status fml_bvgraph_rows(
        const uint8_t *stream, Py_ssize_t size, const fml_bvgraph_format *format,
        Py_ssize_t nodes, int64_t links, const int64_t *offsets, int64_t *indptr,
        uint32_t *indices, fml_bvgraph_report *report, int threads)
    fml_status fml_bvgraph_offsets(
        const uint8_t *stream, Py_ssize_t size, fml_coding coding, Py_ssize_t nodes,
        int64_t limit, int64_t *offsets, fml_bvgraph_report *report)
