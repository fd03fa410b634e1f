/* How two arrays fit together in a stack of matrix products.
 *
 * fastmml.linalg does the same in Python, and says what is wrong; this is for calls whose products
 * take less time than that.
 */
#include "fastmml.h"

#include <string.h>

/* An array as a stack of matrices. */
typedef struct matrices {
    ptrdiff_t stacked; /* dimensions before the last two */
    const ptrdiff_t *shape, *strides;
    ptrdiff_t rows, columns, row, column;
} matrices;

static matrices as_matrices(const fml_array *x, bool is_left)
{
    ptrdiff_t last = x->dims - 1;
    matrices y = {.shape = x->shape, .strides = x->strides};
    if (last > 0) {
        y.stacked = last - 1;
        y.rows = x->shape[last - 1];
        y.row = x->strides[last - 1];
        y.columns = x->shape[last];
        y.column = x->strides[last];
    } else if (is_left) {
        y.rows = 1;
        y.columns = x->shape[0];
        y.column = x->strides[0];
    } else {
        y.columns = 1;
        y.rows = x->shape[0];
        y.row = x->strides[0];
    }
    return y;
}

/* Size and stride of dimension d of `dims`, counted from the outermost of both stacks. */
static ptrdiff_t size_at(const matrices *x, ptrdiff_t d, ptrdiff_t dims, ptrdiff_t *stride)
{
    ptrdiff_t own = d - (dims - x->stacked);
    ptrdiff_t size = own < 0 ? 1 : x->shape[own];
    *stride = size == 1 ? 0 : x->strides[own];
    return size;
}

static bool match_stacks(const matrices *a, const matrices *b, ptrdiff_t dims, fml_match *match)
{
    for (ptrdiff_t d = 0; d < dims; d++) {
        ptrdiff_t left = size_at(a, d, dims, &match->a[d]);
        ptrdiff_t right = size_at(b, d, dims, &match->b[d]);
        if (left != right && left != 1 && right != 1)
            return false;
        match->shape[d] = left == 1 ? right : left;
    }
    return true;
}

/* Strides of a contiguous array; false if its bytes cannot be counted. */
static bool set_strides(ptrdiff_t dims, const ptrdiff_t *shape, ptrdiff_t size, ptrdiff_t *strides)
{
    for (ptrdiff_t d = dims - 1; d >= 0; d--) {
        strides[d] = size;
        if (__builtin_mul_overflow(size, shape[d] > 0 ? shape[d] : 1, &size))
            return false;
    }
    return true;
}

bool fml_may_share(const fml_array *x, const void *data, ptrdiff_t element_size, const void *block,
                   size_t bytes)
{
    uintptr_t first = (uintptr_t)data, end = first + (size_t)element_size;
    for (ptrdiff_t d = 0; d < x->dims; d++) {
        if (x->shape[d] == 0)
            return false;
        ptrdiff_t reach = (x->shape[d] - 1) * x->strides[d];
        if (reach < 0)
            first -= (size_t)-reach;
        else
            end += (size_t)reach;
    }
    return first < (uintptr_t)block + bytes && (uintptr_t)block < end;
}

bool fml_match_arrays(const fml_array *a, const fml_array *b, ptrdiff_t element_size,
                      fml_match *match)
{
    if (a->dims < 1 || b->dims < 1 || a->dims > FML_MAX_DIMS || b->dims > FML_MAX_DIMS)
        return false;
    matrices left = as_matrices(a, true), right = as_matrices(b, false);
    ptrdiff_t dims = left.stacked > right.stacked ? left.stacked : right.stacked;
    if (left.columns != right.rows || !match_stacks(&left, &right, dims, match))
        return false;
    match->shape[dims] = left.rows;
    match->a[dims] = left.row;
    match->b[dims] = right.row;
    match->shape[dims + 1] = right.columns;
    match->a[dims + 1] = left.column;
    match->b[dims + 1] = right.column;
    match->stack = (fml_stack){dims + 2, left.columns, match->shape, match->a, match->b, match->c};
    match->result_dims = dims;
    memcpy(match->result, match->shape, (size_t)dims * sizeof *match->shape);
    if (a->dims > 1)
        match->result[match->result_dims++] = left.rows;
    if (b->dims > 1)
        match->result[match->result_dims++] = right.columns;
    return set_strides(dims + 2, match->shape, element_size, match->c);
}
