/* The C interface of fastmml: the only header that the extension module sees.
 *
 * Nothing here knows Python. Functions take sizes, inputs, outputs and a number of threads, and
 * return a status; they print nothing, abort nothing and never modify an input. Arrays are aligned
 * to their element and, but for matrices of given strides, contiguous. Results do not depend on the
 * number of threads. `in`, `out` and `inout` in the comments say who writes.
 */
#ifndef FASTMML_H
#define FASTMML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Append only: the numbers are part of the interface. */
typedef enum fml_status {
    FML_OK = 0,
    FML_NO_MEMORY = 1,
    FML_INTERRUPTED = 2, /* the poll function asked to stop */
    FML_CAPACITY = 3,    /* an output array is too small; the call reports what it needs */
    FML_BAD_LINE = 4,    /* malformed text; the call reports where and why */
    FML_BAD_STREAM = 5,  /* malformed bits; the call reports where and why */
} fml_status;

/* ---- runtime.c -------------------------------------------------------------------------- */

/* Called every few milliseconds by the calling thread of a long kernel; nonzero means stop. */
typedef int (*fml_poll_function)(void);
void fml_set_poll(fml_poll_function poll);

bool fml_has_openmp(void);
int fml_get_num_threads(void);
void fml_set_num_threads(int threads);
/* OpenMP's thread pool does not survive fork: the child runs every kernel on one thread. */
void fml_after_fork_in_child(void);

/* ---- team.c ----------------------------------------------------------------------------- */

typedef struct fml_team fml_team;
typedef void fml_program(fml_team *team, void *job);
/* Runs a program on the calling thread, with a team of so many threads or fewer to help; the team
 * is NULL where there is but one. A program within a program takes helpers of the same team, within
 * a shared loop none; loops of OpenMP's run on one thread. */
void fml_lead_team(int threads, fml_program *program, void *job);

/* ---- what the rank kernels share ------------------------------------------------------------ */

/* How the nodes of a segment of a plan depend on each other. Append only. */
typedef enum fml_segment_kind {
    FML_ACYCLIC = 0,     /* each on earlier ones and on itself: one sweep solves them */
    FML_CYCLIC = 1,      /* each on any of the segment */
    FML_INDEPENDENT = 2, /* none on another */
} fml_segment_kind;

/* A graph in the order in which its ranks are solved: nodes renumbered, in segments that depend on
 * earlier segments only. A segment is cut into blocks; block b of a cyclic one is swept in wave
 * b modulo its number of waves, at the same time as the others of that wave. The links of row i
 * start with earlier[i] links from earlier segments (in an acyclic segment: from earlier nodes, and
 * the others are from i itself); source + n stands for a link from another block
 * of the same wave, which reads the value from before the sweep. FML_PLAN_PADDING links to node 0
 * follow the last row, so that a row's end can be read four links at a time. Segments of a level do
 * not depend on each other. */
enum { FML_PLAN_PADDING = 4, FML_WAVE_BLOCKS = 4 /* at most, in a wave */ };
typedef struct fml_rank_plan {
    ptrdiff_t n; /* below 2^31 */
    const int64_t *indptr;
    uint32_t *indices;
    double *weights; /* or NULL */
    uint32_t *earlier;
    ptrdiff_t num_blocks, num_segments;
    const int64_t *blocks;   /* num_blocks + 1: where each starts */
    const int64_t *segments; /* num_segments + 1: the first block of each */
    const uint8_t *kinds;
    const uint8_t *waves; /* of each segment, at least 1 */
    ptrdiff_t num_levels;
    const int64_t *levels; /* num_levels + 1: the first segment of each */
    const double *kept;    /* n, or NULL: the weight of each node's links within its segment */
} fml_rank_plan;

/* ---- kernels: one variant per element type and CPU level (kernels/) ------------------------ */

/* The types of the kernels for one element type; sums over vectors are double for every type.
 *
 * rank_pull: one pass of the PageRank map, y = damping (P'x + mass jump) + (1 - damping) total
 * teleport; total is the sum of x, mass that of dangling nodes.
 * Row i of (indptr, indices, weights) lists the links into node i; weights may be NULL.
 * contribution[j] = x[j] * inverse_strength[j], and inverse_strength is 0 for a dangling node. The
 * strides (0 or 1) let one number stand for a uniform vector. change = sum |y - x|; dangling_mass =
 * sum of y over dangling nodes.
 *
 * difference_gram: gram[i][j] = <x[i+1] - x[i], x[j+1] - x[j]> for the rows of the (count + 1, n)
 * array x; count is at least 1.
 *
 * combine: y = sum_k coefficients[k] * x[k], negative entries replaced by 0; total = sum y. y may
 * be anything but a row of x. count is at least 1.
 *
 * sparse_times: out = A b - 1 shift' for sparse rows (indptr, indices, values) of A, m of them, and
 * `columns` columns of b, which lie side by side; indices within a row may come in any order and
 * repeat. Sums are double.
 *
 * sparse_gram_times: out = B C'C for C = A - scale along', where B has `count` rows of n numbers,
 * as out has, and a scale, or along, of NULL is 1 everywhere. The rows of A are cut into `parts`,
 * whose sums are added up in `real` each and in double together. No size is 0. */
#define FML_KERNEL_TYPES(real, type)                                                          \
    typedef fml_status fml_rank_pull_##type##_fn(                                             \
        ptrdiff_t n, const int64_t *indptr /* in, n + 1 */, const uint32_t *indices /* in */, \
        const double *weights /* in or NULL */, const real *inverse_strength /* in, n */,     \
        const real *teleport /* in */, ptrdiff_t teleport_stride, const real *jump /* in */,  \
        ptrdiff_t jump_stride, double damping, const double *total /* in, 1 */,               \
        const double *mass /* in, 1 */, const real *x /* in, n */,                            \
        const real *contribution /* in, n */, real *y /* out, n */,                           \
        real *next_contribution /* out, n */, double *change /* out, 1 */,                    \
        double *dangling_mass /* out, 1 */, int threads);                                     \
    typedef fml_status fml_difference_gram_##type##_fn(                                       \
        ptrdiff_t count, ptrdiff_t n, const real *x /* in, (count + 1) n */,                  \
        double *gram /* out, count * count */, int threads);                                  \
    typedef fml_status fml_combine_##type##_fn(                                               \
        ptrdiff_t count, ptrdiff_t n, const double *coefficients /* in, count */,             \
        const real *x /* in, count * n */, real *y /* out, n */, double *total /* out */,     \
        int threads);                                                                         \
    typedef fml_status fml_sparse_times_##type##_fn(                                          \
        ptrdiff_t m, ptrdiff_t columns, const int64_t *indptr /* in, m + 1 */,                \
        const uint32_t *indices /* in */, const real *values /* in */,                        \
        const double *b /* in, columns a row */, const double *shift /* in, columns */,       \
        double *out /* out, m columns */, int threads);                                       \
    typedef fml_status fml_sparse_gram_times_##type##_fn(                                     \
        ptrdiff_t m, ptrdiff_t n, ptrdiff_t count, const int64_t *indptr /* in, m + 1 */,     \
        const uint32_t *indices /* in */, const real *values /* in */,                        \
        const real *b /* in, count n */, const double *scale /* in, m, or NULL */,            \
        const double *along /* in or NULL */, ptrdiff_t parts, real *out /* out, count n */,  \
        int threads);

/* The types of the kernels on many small matrices, of n <= FML_SMALL_ROWS rows and at least one.
 * Inputs have any strides, in elements: from matrix to matrix, row to row, column to column.
 * Outputs are contiguous. Arithmetic is double; no matrix's result depends on another's.
 *
 * small_solve: X of A X = B, for n x columns matrices B; singular: whether a pivot of any A is 0,
 * and x of no meaning.
 *
 * small_inverse: the inverses X of the matrices A; singular as above.
 *
 * small_det: the determinants; 0 where a pivot is 0.
 *
 * small_eigh: eigenvalues, ascending, and eigenvectors in the columns of V, of symmetric matrices
 * of which the upper or the lower triangle is read; n is at least 2. failed: whether any matrix
 * holds an infinity or NaN there; its results are NaN.
 *
 * small_qr: A = Q R for m x n matrices A, of m and n <= FML_SMALL_QR_ROWS; Q (m x k) has
 * orthonormal columns and R (k x n) is upper triangular. k is m, or the smaller of m and n. Without
 * Q if q is NULL. */
enum { FML_SMALL_ROWS = 16, FML_SMALL_QR_ROWS = 32 };
#define FML_SMALL_TYPES(real, type)                                                        \
    typedef fml_status fml_small_solve_##type##_fn(                                        \
        ptrdiff_t batch, ptrdiff_t n, ptrdiff_t columns, const real *a /* in */,           \
        const ptrdiff_t *a_strides /* in, 3 */, const real *b /* in */,                    \
        const ptrdiff_t *b_strides /* in, 3 */, real *x /* out, batch n columns */,        \
        bool *singular /* out */, int threads);                                            \
    typedef fml_status fml_small_inverse_##type##_fn(                                      \
        ptrdiff_t batch, ptrdiff_t n, const real *a /* in */,                              \
        const ptrdiff_t *strides /* in, 3 */, real *x /* out, batch n n */,                \
        bool *singular /* out */, int threads);                                            \
    typedef fml_status fml_small_det_##type##_fn(                                          \
        ptrdiff_t batch, ptrdiff_t n, const real *a /* in */,                              \
        const ptrdiff_t *strides /* in, 3 */, real *det /* out, batch */, int threads);    \
    typedef fml_status fml_small_eigh_##type##_fn(                                         \
        ptrdiff_t batch, ptrdiff_t n, const real *a /* in */,                              \
        const ptrdiff_t *strides /* in, 3 */, bool upper, real *values /* out, batch n */, \
        real *vectors /* out, batch n n */, bool *failed /* out */, int threads);          \
    typedef fml_status fml_small_qr_##type##_fn(                                           \
        ptrdiff_t batch, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a /* in */,    \
        const ptrdiff_t *strides /* in, 3 */, real *q /* out, batch m k, or NULL */,       \
        real *r /* out, batch k n */, int threads);

FML_KERNEL_TYPES(double, f64)
FML_KERNEL_TYPES(float, f32)
FML_SMALL_TYPES(double, f64)
FML_SMALL_TYPES(float, f32)

/* Solves y = damping P'y + base by Gauss-Seidel over the segments of a plan, from the guess in y. A
 * cyclic segment (where inverse_strength is positive) is swept until the 1-norm of the next sweep's
 * change, as far as the last ones tell, is at most tolerance times its share of the nodes of cyclic
 * segments (that of the last one is at most ten times as much), or max_sweeps are spent; where the
 * plan has kept, each sweep is scaled so that the sum of the segment's ranks is its base
 * and what it keeps. c is scratch. The stride (0 or 1) lets one number stand for a uniform base.
 * visits = links read. */
typedef fml_status fml_rank_solve_f64_fn(const fml_rank_plan *plan,
                                         const double *inverse_strength /* in, n */,
                                         const double *base /* in */, ptrdiff_t base_stride,
                                         double damping, double tolerance, int64_t max_sweeps,
                                         double *y /* inout, n */, double *c /* out, 2 n */,
                                         double *total /* out, 1 */,
                                         double *dangling_mass /* out, 1 */,
                                         int64_t *visits /* out */, int threads);

/* The pass of rank_pull over ranks x up to their scale, total, as a proof needs it: y is the image
 * divided by total, negative entries replaced by 0; change = sum |y total - x|; rounded = the sum
 * of each y times its links and `roundings`. */
typedef fml_status fml_rank_image_f64_fn(
    ptrdiff_t n, const int64_t *indptr /* in, n + 1 */, const uint32_t *indices /* in */,
    const double *weights /* in or NULL */, const double *teleport /* in */,
    ptrdiff_t teleport_stride, const double *jump /* in */, ptrdiff_t jump_stride, double damping,
    const double *total /* in, 1 */, const double *mass /* in, 1 */, double roundings,
    const double *x /* in, n */, const double *contribution /* in, n */, double *y /* out, n */,
    double *change /* out, 1 */, double *rounded /* out, 1 */, int threads);

/* Kernels for FML_SIDE_BY_SIDE columns: every number above that belongs to a node or a system is a
 * row of so many, but inverse_strength, weights, damping, roundings and tolerance. */
enum { FML_SIDE_BY_SIDE = 8 };
typedef fml_rank_pull_f64_fn fml_rank_pull_f64x8_fn;
typedef fml_rank_solve_f64_fn fml_rank_solve_f64x8_fn;
typedef fml_rank_image_f64_fn fml_rank_image_f64x8_fn;

/* A stack of matrix products: where matrices and their elements lie. Dimensions of the operands
 * and the result are the same in number and, but for the last two, in size. Strides count bytes
 * and are multiples of a real. `shape` is that of the result, whose rows or columns are
 * contiguous. */
typedef struct fml_stack {
    ptrdiff_t dims;                     /* 2 to 64 */
    ptrdiff_t k;                        /* terms of each sum */
    const ptrdiff_t *shape, *a, *b, *c; /* dims each */
} fml_stack;

/* Two arrays of as many rows, side by side: x of n columns and y of p, which may be 0. Strides
 * count bytes and are multiples of a real. */
typedef struct fml_side_by_side {
    ptrdiff_t n, p;
    const void *x /* in */, *y /* in */;
    ptrdiff_t x_row, x_col, y_row, y_col;
} fml_side_by_side;

/* Rows of a matrix, each times its scale if there are any. Strides count bytes and are multiples of
 * a real. */
typedef struct fml_rows {
    ptrdiff_t count;
    const void *data; /* of the element type of the kernel */
    ptrdiff_t row, col;
    const double *scale; /* count, positive; or NULL */
} fml_rows;

/* What becomes of a squared distance. Append only. */
typedef enum fml_distance {
    FML_EUCLIDEAN = 0,   /* its root */
    FML_SQEUCLIDEAN = 1, /* it stays */
    FML_COSINE = 2,      /* its half, at most 2: 1 less the cosine of rows scaled to length 1 */
} fml_distance;

/* matmul: c = a b for every pair of matrices of two stacks. Sums of no terms are 0. c overlaps
 * neither a nor b. Unsigned numbers wrap around.
 *
 * gram: the (n, n) array c = x'x for x (k, n), exactly symmetric; row and col are its strides in
 * bytes, multiples of a real.
 *
 * matmul_strassen: the same as matmul for one pair of matrices (dims is 2), in which products are
 * cut into quarters so many times by Winograd's form of Strassen's algorithm. No size is below
 * 2^halvings; rows of c are contiguous, and rows or columns of each of a and b.
 *
 * matmul_complex, matmul_complex_strassen, gram_complex (x* x, exactly Hermitian): the same for
 * pairs of reals.
 *
 * solve_right: x (m, n) = a u_1^-1 u_2^-1 ..., for a (m, n) with strides row and col in bytes, and
 * the upper triangles of u (count, n, n), whose diagonals are not 0. x may be a, if that is
 * contiguous.
 *
 * solved_gram: the Gram matrix of that x and y, side by side, for the x of `sides` in place of a;
 * exactly symmetric.
 *
 * centred_gram: the Gram matrix of the k rows scale (x - shift, y - shift, 1), of n + p + 1
 * columns, exactly symmetric. scale may be NULL for ones. Sums are double for every type.
 *
 * gram_times: Y = X B' - 1 offset' and out = Y'X, for the rows of X (m, n), of B (count, n) and of
 * out; y has m rows. Sums of at most 4096 terms are of the element type. No size is 0.
 *
 * pairwise_distances: out[i][j] = the distance from row i of x to row j of y, of k finite numbers
 * each; squared, with a relative error of at most 4 (k + 48) roundoffs. y may be NULL: the rows of
 * x, with out exactly symmetric, and 0 for equal rows. No size is 0; both x and y have scales or
 * none.
 *
 * kneighbors: the `neighbors` nearest rows of y to each row of x, ascending by squared distances
 * that are computed by differences in double, then by index. y may be NULL: the other rows of x.
 * There are as many rows.
 *
 * project_rows: with z = (x - shift[0]) - shift[1], for rows of n > 0 numbers and no scale,
 * coordinates y = z basis', and errors[i] = |z[i] - y[i] basis|^2, for which rows of the basis are
 * orthonormal, summed up in double. Either may be NULL. k may be 0.
 *
 * reconstruct_rows: out = (y basis + shift[1]) + shift[0], for rows y of k numbers and no scale. */
#define FML_DENSE_TYPES(real, type)                                                                \
    typedef fml_status fml_matmul_##type##_fn(const fml_stack *stack, const real *a /* in */,      \
                                              const real *b /* in */, real *c /* out */,           \
                                              int threads);                                        \
    typedef fml_status fml_gram_##type##_fn(ptrdiff_t k, ptrdiff_t n, const real *x /* in */,      \
                                            ptrdiff_t row, ptrdiff_t col, real *c /* out */,       \
                                            int threads);                                          \
    typedef fml_status fml_matmul_strassen_##type##_fn(                                            \
        const fml_stack *stack, int halvings, const real *a /* in */, const real *b /* in */,      \
        real *c /* out */, int threads);                                                           \
    typedef fml_matmul_##type##_fn fml_matmul_complex_##type##_fn;                                 \
    typedef fml_matmul_strassen_##type##_fn fml_matmul_complex_strassen_##type##_fn;               \
    typedef fml_gram_##type##_fn fml_gram_complex_##type##_fn;                                     \
    typedef fml_status fml_solve_right_##type##_fn(                                                \
        ptrdiff_t m, ptrdiff_t n, const real *a /* in */, ptrdiff_t row, ptrdiff_t col,            \
        ptrdiff_t count, const real *u /* in */, real *x /* out */, int threads);                  \
    typedef fml_status fml_solved_gram_##type##_fn(                                                \
        ptrdiff_t m, const fml_side_by_side *sides, ptrdiff_t count,                               \
        const real *u /* in, count n n */, real *gram /* out, (n + p)^2 */, int threads);          \
    typedef fml_status fml_centred_gram_##type##_fn(                                               \
        ptrdiff_t k, const fml_side_by_side *sides, const real *shift /* in, n + p */,             \
        const real *scale /* in, k, or NULL */, double *out /* out, (n + p + 1)^2 */,              \
        int threads);                                                                              \
    typedef fml_status fml_gram_times_##type##_fn(                                                 \
        ptrdiff_t m, ptrdiff_t n, ptrdiff_t count, const real *x /* in, m n */,                    \
        const real *b /* in, count n */, const real *offset /* in, count */,                       \
        real *y /* out, m count */, real *out /* out, count n */, int threads);                    \
    typedef fml_status fml_pairwise_distances_##type##_fn(                                         \
        const fml_rows *x /* in */, const fml_rows *y /* in or NULL */, ptrdiff_t k,               \
        fml_distance kind, real *out /* out, rows of x by rows of y */, int threads);              \
    typedef fml_status fml_kneighbors_##type##_fn(                                                 \
        const fml_rows *x /* in */, const fml_rows *y /* in or NULL */, ptrdiff_t k,               \
        fml_distance kind, ptrdiff_t neighbors, real *distances /* out, rows of x by neighbors */, \
        int64_t *indices /* out, alike */, int threads);                                           \
    typedef fml_status fml_project_rows_##type##_fn(                                               \
        const fml_rows *x /* in */, ptrdiff_t n, const real *shift /* in, 2 n */, ptrdiff_t k,     \
        const real *basis /* in, k n */, real *coordinates /* out, k a row */,                     \
        double *errors /* out, 1 a row */, int threads);                                           \
    typedef fml_status fml_reconstruct_rows_##type##_fn(                                           \
        const fml_rows *y /* in */, ptrdiff_t k, const real *basis /* in, k n */, ptrdiff_t n,     \
        const real *shift /* in, 2 n */, real *out /* out, n a row */, int threads);

FML_DENSE_TYPES(double, f64)
FML_DENSE_TYPES(float, f32)
FML_DENSE_TYPES(uint64_t, u64)
FML_DENSE_TYPES(uint32_t, u32)
FML_DENSE_TYPES(uint16_t, u16)

/* A linear model of p targets by n features. */
typedef struct fml_fit {
    const double *coef;     /* p n */
    const double *constant; /* p, and p that these lack */
    const double *unit;     /* p powers of two: targets are multiplied by them */
    const double *scale;    /* of each row: the root of its weight; or NULL */
} fml_fit;

/* With rest = unit y - constant - x coef', for x and y of `sides`: products with weight rest of
 * x and, as the last column, of ones, sums of two numbers; and the sums of weight rest^2. Errors
 * are those of numbers of some 100 bits. No size is 0. Rows of weight 0 may be any finite numbers.
 */
typedef fml_status fml_residual_products_f64_fn(ptrdiff_t m, const fml_side_by_side *sides,
                                                const fml_fit *fit,
                                                double *products /* out, 2 p (n + 1) */,
                                                double *squares /* out, p */, int threads);

typedef enum fml_short_kind { FML_INT8 = 0, FML_UINT8 = 1, FML_INT16 = 2 } fml_short_kind;
/* A matrix of numbers of 8 or 16 bits; strides count bytes. */
typedef struct fml_short {
    fml_short_kind kind;
    const void *data;
    ptrdiff_t row, col;
} fml_short;

/* c = a b for a (m, k) and b (k, n), with sums of 32 bits that wrap around. Rows of c, c_row bytes
 * from each other, are contiguous; c overlaps neither a nor b. */
typedef fml_status fml_matmul_short_p16_fn(ptrdiff_t m, ptrdiff_t k, ptrdiff_t n,
                                           const fml_short *a /* in */, const fml_short *b /* in */,
                                           uint32_t *c /* out */, ptrdiff_t c_row, int threads);

/* A matrix of truth values, bytes that are 0 or not; strides count bytes. */
typedef struct fml_bools {
    const void *data;
    ptrdiff_t row, col;
} fml_bools;

/* c = a b for a (m, k) and b (k, n), "or" of "and". Rows of c, c_row bytes from each other, are
 * contiguous; c overlaps neither a nor b. */
typedef fml_status fml_matmul_bool_b64_fn(ptrdiff_t m, ptrdiff_t k, ptrdiff_t n,
                                          const fml_bools *a /* in */, const fml_bools *b /* in */,
                                          bool *c /* out */, ptrdiff_t c_row, int threads);

/* The lists of kernels: for both element types, for double alone, for several columns; for
 * real and whole numbers, for floating-point ones alone. */
#define FML_KERNELS(X, type)   \
    X(rank_pull, type)         \
    X(difference_gram, type)   \
    X(combine, type)           \
    X(sparse_times, type)      \
    X(sparse_gram_times, type) \
    X(small_solve, type)       \
    X(small_inverse, type) X(small_det, type) X(small_eigh, type) X(small_qr, type)
#define FML_KERNELS_F64(X) X(rank_solve, f64) X(rank_image, f64)
#define FML_KERNELS_F64X8(X) X(rank_pull, f64x8) X(rank_solve, f64x8) X(rank_image, f64x8)
#define FML_MATMUL(X) X(matmul, f64) X(matmul, f32) X(matmul, u64) X(matmul, u32) X(matmul, u16)
#define FML_GRAM(X) X(gram, f64) X(gram, f32) X(gram, u64) X(gram, u32) X(gram, u16)
#define FML_STRASSEN(X)     \
    X(matmul_strassen, f64) \
    X(matmul_strassen, f32) \
    X(matmul_strassen, u64) X(matmul_strassen, u32) X(matmul_strassen, u16)
#define FML_FLOAT(X, type)           \
    X(matmul_complex, type)          \
    X(matmul_complex_strassen, type) \
    X(gram_complex, type)            \
    X(solve_right, type)             \
    X(solved_gram, type)             \
    X(centred_gram, type)            \
    X(gram_times, type)              \
    X(pairwise_distances, type) X(kneighbors, type) X(project_rows, type) X(reconstruct_rows, type)
#define FML_KERNELS_DENSE(X) \
    FML_MATMUL(X)            \
    FML_STRASSEN(X)          \
    FML_GRAM(X)              \
    FML_FLOAT(X, f64)        \
    FML_FLOAT(X, f32) X(residual_products, f64) X(matmul_short, p16) X(matmul_bool, b64)

typedef struct fml_table {
    const char *isa;
#define FML_FIELD(name, type) fml_##name##_##type##_fn *name##_##type;
    FML_KERNELS(FML_FIELD, f64)
    FML_KERNELS(FML_FIELD, f32)
    FML_KERNELS_F64(FML_FIELD)
    FML_KERNELS_F64X8(FML_FIELD)
    FML_KERNELS_DENSE(FML_FIELD)
#undef FML_FIELD
    fml_matmul_short_p16_fn *matmul_bytes; /* for two matrices of numbers of 8 bits */
} fml_table;

/* ---- match.c ----------------------------------------------------------------------------------
 */

enum { FML_MAX_DIMS = 64 };

/* Where the elements of an array lie: strides count bytes. */
typedef struct fml_array {
    ptrdiff_t dims;
    const ptrdiff_t *shape, *strides; /* dims each */
} fml_array;

/* A stack of products into a new, contiguous array, whose rows or columns may be left out. The
 * members of `stack` point into the rest. */
typedef struct fml_match {
    fml_stack stack;
    ptrdiff_t result_dims;
    ptrdiff_t result[FML_MAX_DIMS]; /* the shape of that array */
    ptrdiff_t shape[FML_MAX_DIMS], a[FML_MAX_DIMS], b[FML_MAX_DIMS], c[FML_MAX_DIMS];
} fml_match;

/* Fits two arrays together as NumPy's matmul does: stacks of matrices broadcast; an array of one
 * dimension is a row on the left and a column on the right, which the result does not have.
 * False if they do not fit. */
bool fml_match_arrays(const fml_array *a, const fml_array *b, ptrdiff_t element_size,
                      fml_match *match /* out */);

/* Whether elements of an array may lie in a block of so many bytes. */
bool fml_may_share(const fml_array *x, const void *data, ptrdiff_t element_size, const void *block,
                   size_t bytes);

/* ---- dispatch.c --------------------------------------------------------------------------- */

/* Every variant compiled in, worst first; NULL ends the list. */
const fml_table *const *fml_variants(void);
/* Whether this machine can run the variant. */
bool fml_variant_runs(const fml_table *variant);

/* ---- graph/: integer work on edges, one version for every CPU ----------------------------- */

/* Edges are sorted into rows in two steps: scattered into buckets of 2^shift target nodes
 * (shift <= 16), then sorted within each bucket. A chunk of edges is cut into tiles of
 * FML_TILE_EDGES; counts and positions are (tiles, buckets) row-major. */
enum { FML_TILE_EDGES = 1 << 16 };

fml_status fml_bucket_count(ptrdiff_t edges, const uint32_t *dst /* in */, int shift,
                            ptrdiff_t buckets, int64_t *counts /* out, tiles * buckets */,
                            int threads);
fml_status fml_bucket_scatter(ptrdiff_t edges, const uint32_t *src /* in */,
                              const uint32_t *dst /* in */, const double *weights /* in or NULL */,
                              int shift, ptrdiff_t buckets,
                              int64_t *positions /* inout, tiles * buckets */,
                              uint32_t *out_src /* out */, uint16_t *out_local /* out */,
                              double *out_weights /* out or NULL */, int threads);
/* Sorts every bucket by (target, source), stably, in place, and fills indptr. Sources are below
 * `sources`, which is at most 2^32. */
fml_status fml_bucket_sort(ptrdiff_t n, int64_t sources, int shift, ptrdiff_t buckets,
                           const int64_t *bounds /* in, buckets + 1 */, uint16_t *local /* in */,
                           uint32_t *src /* inout */, double *weights /* inout or NULL */,
                           int64_t *indptr /* out, n + 1 */, int threads);

/* Orders the nodes so that a strong component comes after all that link to it; nodes without links
 * out (is_sink), from which links count for nothing, come last. segments (n + 3) receives where
 * each segment starts, and n; kinds (n + 2) its fml_segment_kind: a component, or single nodes;
 * levels (n + 3) the first segment of each level, and their number. n is below 2^31. */
fml_status fml_component_order(ptrdiff_t n, const int64_t *indptr, const uint32_t *indices,
                               const uint8_t *is_sink /* in, n */, uint32_t *order /* out, n */,
                               int64_t *segments /* out */, uint8_t *kinds /* out */,
                               int64_t *levels /* out */, ptrdiff_t *segment_count /* out */,
                               ptrdiff_t *level_count /* out */);
/* Orders the nodes by falling powers of two of their out-degree (the number of links), equals by
 * falling number of links in, in fours and up to 31 of them; but those without links in first
 * and those without links out (is_sink) last; bounds: where the first kind ends and the last
 * begins. */
fml_status fml_degree_order(ptrdiff_t n, const int64_t *indptr,
                            const double *out_degree /* in, n */,
                            const uint8_t *is_sink /* in, n */, uint32_t *order /* out, n */,
                            int64_t *bounds /* out, 2 */, int threads);
/* Node order[i] of the graph becomes node i: position[order[i]] = i, the starts of the rows in the
 * new order, and the inverse of each strength (0 for 0). */
fml_status fml_permute_nodes(ptrdiff_t n, const uint32_t *order /* in, n */,
                             const int64_t *indptr /* in, n + 1 */,
                             const double *strength /* in, n */, uint32_t *position /* out, n */,
                             int64_t *out_indptr /* out, n + 1 */,
                             double *inverse_strength /* out, n */, int threads);
/* Columns of rows of `row` numbers, from the order of the graph into that of a plan, where node
 * order[i] of the graph is node i, and back. The first `count` numbers at `values` (`out`) and at
 * each row after it are the `columns` (count or more) that the plan's rows have; the last one
 * stands for those that are missing. */
fml_status fml_gather_values(ptrdiff_t n, const uint32_t *order /* in, n */,
                             const double *values /* in, n row */, ptrdiff_t row, ptrdiff_t count,
                             double *out /* out, n columns */, ptrdiff_t columns, int threads);
fml_status fml_scatter_values(ptrdiff_t n, const uint32_t *order /* in, n */,
                              const double *values /* in, n columns */, ptrdiff_t columns,
                              double *out /* out, n row */, ptrdiff_t row, ptrdiff_t count,
                              int threads);
/* Fills the plan's indices, weights and earlier from rows in the given order; node i becomes node
 * position[i]. The plan's other members are set. */
fml_status fml_permute_rows(const int64_t *indptr, const uint32_t *indices, const double *weights,
                            const uint32_t *position, const fml_rank_plan *plan, int threads);

/* strength[j] = sum of the weights of the links out of j (their number when weights is NULL),
 * summed with compensation: the error is a few ulp whatever the degree. */
fml_status fml_out_strength(ptrdiff_t n, ptrdiff_t edges, const uint32_t *indices /* in */,
                            const double *weights /* in or NULL */, double *strength /* out, n */,
                            int threads);

/* Rows of out-links. */
typedef struct fml_out_links {
    const int64_t *indptr;
    const uint32_t *indices;
    const double *weights;  /* or NULL */
    const double *strength; /* of each node; NULL where weights are */
} fml_out_links;

/* Approximates y = damping P'y + base, for a base that is 0 but on distinct seeds, from the links
 * of nodes near them. Sets, for the count nodes found, seeds first: nodes; ranks, from below;
 * images, the map of the ranks. Goes on until damping |images - ranks| is at most tolerance times
 * (1 - damping) |ranks| + |images - ranks| (1-norms), or the next step would make links, those
 * read, exceed max_links. The three arrays have room for all nodes of the graph, at most 2^31. */
fml_status fml_rank_push(const fml_out_links *graph, ptrdiff_t seed_count,
                         const uint32_t *seeds /* in */, const double *base /* in */,
                         double damping, double tolerance, int64_t max_links,
                         uint32_t *nodes /* out */, double *ranks /* out */,
                         double *images /* out */, ptrdiff_t *count /* out */,
                         int64_t *links /* out */);

/* present[id] = 1 for every id; ids are below the length of present, which starts as zeros. */
fml_status fml_mark_ids(ptrdiff_t count, const uint32_t *ids /* in */, uint8_t *present /* out */,
                        int threads);
/* ids[i] = table[ids[i]]. */
fml_status fml_relabel(ptrdiff_t count, const uint32_t *table /* in */, uint32_t *ids /* inout */,
                       int threads);

/* Edges first .. first + count - 1 of the R-MAT graph of 2^scale nodes (scale <= 32). */
fml_status fml_rmat_edges(int scale, uint64_t seed, int64_t first, ptrdiff_t count,
                          uint32_t *src /* out */, uint32_t *dst /* out */, int threads);

/* ---- io/: text to edges ------------------------------------------------------------------- */

typedef enum fml_field_kind {
    FML_INTEGERS = 0, /* src and dst receive the numbers */
    FML_SPANS = 1,    /* src and dst receive where the text stands: offset << 32 | length */
} fml_field_kind;

/* Why a line was refused. Append only. */
typedef enum fml_line_fault {
    FML_FAULT_NONE = 0,
    FML_FAULT_COLUMNS = 1, /* too few or too many columns */
    FML_FAULT_INTEGER = 2, /* not an integer */
    FML_FAULT_RANGE = 3,   /* an integer beyond 64 bits */
    FML_FAULT_WEIGHT = 4,  /* not a number, or negative, infinite or NaN */
    FML_FAULT_QUOTE = 5,   /* a quote that does not close, or quotes within quotes */
} fml_line_fault;

typedef struct fml_edge_format {
    fml_field_kind kind;
    char delimiter;   /* ' ' stands for any run of spaces and tabs */
    int columns;      /* how many every line has, at least 2 */
    bool weighted;    /* the third column is a weight */
    char comments[8]; /* a line whose first visible character is one of these is skipped */
} fml_edge_format;

typedef struct fml_edge_report {
    int64_t edges;
    int64_t lines;
    int64_t min_id, max_id; /* over src and dst; of no meaning when edges is 0 */
    int64_t fault_line;     /* counted from 0 */
    int64_t fault_offset;   /* where that line starts */
    fml_line_fault fault;
} fml_edge_report;

/* Parses whole lines (the last may lack its newline); size is below 2^31. capacity is the length of
 * the outputs; when there are more lines, FML_CAPACITY comes back with report->lines set. The first
 * malformed line of the text is reported with FML_BAD_LINE. */
fml_status fml_parse_edges(const char *text /* in */, ptrdiff_t size, fml_edge_format format,
                           ptrdiff_t capacity, int64_t *src /* out */, int64_t *dst /* out */,
                           double *weights /* out or NULL */, fml_edge_report *report /* out */,
                           int threads);

/* A table that numbers distinct byte strings in the order in which they first appear. */
typedef struct fml_interner fml_interner;
fml_interner *fml_interner_new(void); /* NULL: no memory */
void fml_interner_free(fml_interner *interner);
/* ids[i] receives the number of the string at spans[i] (offset << 32 | length) of text, taken in
 * the order first[0], second[0], first[1], ... Fails with FML_CAPACITY past 2^32 - 1 strings. */
fml_status fml_interner_add(fml_interner *interner, const char *text /* in */, ptrdiff_t count,
                            const int64_t *first /* in */, const int64_t *second /* in */,
                            uint32_t *first_ids /* out */, uint32_t *second_ids /* out */);
int64_t fml_interner_size(const fml_interner *interner);
int64_t fml_interner_bytes(const fml_interner *interner);
/* offsets (size + 1) and the strings end to end; the caller's arrays are of those sizes. */
void fml_interner_labels(const fml_interner *interner, int64_t *offsets /* out */,
                         char *bytes /* out */);

/* ---- io/: bits to rows of out-links ---------------------------------------------------------- */

/* How numbers are coded. */
typedef enum fml_coding {
    FML_GAMMA = 0,
    FML_DELTA = 1,
    FML_UNARY = 2,
    FML_ZETA = 3,
    FML_NIBBLE = 4,
} fml_coding;

/* Why a row was refused. Append only. */
typedef enum fml_row_fault {
    FML_ROW_SOUND = 0,
    FML_ROW_END = 1,       /* the stream ends within it, or a number has more than 62 bits */
    FML_ROW_DEGREE = 2,    /* more links than nodes, or than are left */
    FML_ROW_REFERENCE = 3, /* beyond the window or the first row */
    FML_ROW_BLOCKS = 4,    /* beyond the row that they copy, or more than the degree */
    FML_ROW_INTERVALS = 5, /* beyond the nodes, or more than the degree */
    FML_ROW_RESIDUALS = 6, /* beyond the nodes */
    FML_ROW_TWICE = 7,     /* a link twice */
    FML_ROW_OFFSET = 8,    /* not where the offsets say */
} fml_row_fault;

typedef struct fml_bvgraph_format {
    fml_coding degrees, references, block_counts, blocks, residuals;
    int zeta_k;           /* 1 to 31 */
    int64_t window;       /* how far back a row refers, at least 0; 0: no row refers to another */
    int64_t min_interval; /* at least 0; 0: no intervals */
} fml_bvgraph_format;

typedef struct fml_bvgraph_report {
    fml_row_fault fault;
    int64_t node; /* of the first row refused */
    int64_t bits; /* where the last row ends, in bits, when none was */
} fml_bvgraph_report;

/* Decodes the rows of a BVGraph of at most 2^32 nodes. Every row is checked, and the first one
 * refused reported with FML_BAD_STREAM; links is the length of indices, and indptr[nodes] may be
 * less. With offsets (nodes + 1, ascending, within the stream: where each row starts in bits, and
 * where the last ends) rows are decoded on several threads. */
fml_status fml_bvgraph_rows(const uint8_t *stream /* in */, ptrdiff_t size,
                            const fml_bvgraph_format *format, ptrdiff_t nodes, int64_t links,
                            const int64_t *offsets /* in or NULL */,
                            int64_t *indptr /* out, nodes + 1 */, uint32_t *indices /* out */,
                            fml_bvgraph_report *report /* out */, int threads);
/* Decodes a stream of nodes + 1 differences to offsets of at most limit. */
fml_status fml_bvgraph_offsets(const uint8_t *stream /* in */, ptrdiff_t size, fml_coding coding,
                               ptrdiff_t nodes, int64_t limit,
                               int64_t *offsets /* out, nodes + 1 */,
                               fml_bvgraph_report *report /* out */);

#endif
