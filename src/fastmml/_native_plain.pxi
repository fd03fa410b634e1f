# Included by _native.pyx, where the helpers are: few small systems, past the checks of
# fastmml.systems, which take longer. All here runs under the interpreter's lock, on one thread.


cdef struct matrices:
    int dims
    Py_ssize_t batch, rows, columns
    steps strides


cdef bint take_matrices(object x, int least_dims, matrices *out) noexcept:
    """Whether x holds few matrices (a vector: a column) that kernels read as they lie; and how."""
    if not is_plain(x):
        return False
    cdef int type_num = cnp.PyArray_TYPE(x), dims = cnp.PyArray_NDIM(x), d
    cdef Py_ssize_t size = cnp.PyArray_SIZE(x), itemsize = cnp.PyArray_ITEMSIZE(x)
    if type_num != cnp.NPY_DOUBLE and type_num != cnp.NPY_FLOAT:
        return False
    if dims < least_dims or dims > 3 or size < 1 or size > FEW_NUMBERS:
        return False
    cdef Py_ssize_t[3] shape = [1, 1, 1]
    cdef int first = 1 if dims == 1 else 3 - dims
    out.strides = [0, 0, 0]
    for d in range(dims):
        shape[first + d] = cnp.PyArray_DIM(x, d)
        out.strides[first + d] = cnp.PyArray_STRIDE(x, d) // itemsize
    out.dims, out.batch, out.rows, out.columns = dims, shape[0], shape[1], shape[2]
    return True


cdef bint take_squares(object x, matrices *out) noexcept:
    """The same for square matrices of a size that kernels take."""
    return take_matrices(x, 2, out) and out.rows == out.columns and out.rows <= FML_SMALL_ROWS


cdef cnp.ndarray new_like(object like, int dims):
    """An array of the type and the first dimensions of another one."""
    return cnp.PyArray_SimpleNew(dims, cnp.PyArray_DIMS(like), cnp.PyArray_TYPE(like))


cdef bint is_double(object x) noexcept:
    return cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE


cdef class PlainKernels(DenseKernels):
    """See fastmml._kernels.Kernels."""

    def small_solve_plain(self, a, b):
        cdef matrices m, r
        cdef c_bool singular = False
        if not take_squares(a, &m) or not take_matrices(b, 1, &r):
            return None
        if cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(b) or m.rows != r.rows or m.batch != r.batch:
            return None
        if (m.dims == 3) != (r.dims == 3):
            return None
        cdef cnp.ndarray x = new_like(b, r.dims)
        if is_double(x):
            check(self.table.small_solve_f64(
                m.batch, m.rows, r.columns, <double *>cnp.PyArray_DATA(a), m.strides,
                <double *>cnp.PyArray_DATA(b), r.strides, <double *>cnp.PyArray_DATA(x),
                &singular, 1))
        else:
            check(self.table.small_solve_f32(
                m.batch, m.rows, r.columns, <float *>cnp.PyArray_DATA(a), m.strides,
                <float *>cnp.PyArray_DATA(b), r.strides, <float *>cnp.PyArray_DATA(x),
                &singular, 1))
        return None if singular else x

    def small_inverse_plain(self, a):
        cdef matrices m
        cdef c_bool singular = False
        if not take_squares(a, &m):
            return None
        cdef cnp.ndarray x = new_like(a, m.dims)
        if is_double(x):
            check(self.table.small_inverse_f64(
                m.batch, m.rows, <double *>cnp.PyArray_DATA(a), m.strides,
                <double *>cnp.PyArray_DATA(x), &singular, 1))
        else:
            check(self.table.small_inverse_f32(
                m.batch, m.rows, <float *>cnp.PyArray_DATA(a), m.strides,
                <float *>cnp.PyArray_DATA(x), &singular, 1))
        return None if singular else x

    def small_det_plain(self, a):
        cdef matrices m
        if not take_squares(a, &m):
            return None
        cdef cnp.ndarray det = new_like(a, m.dims - 2)
        if is_double(det):
            check(self.table.small_det_f64(
                m.batch, m.rows, <double *>cnp.PyArray_DATA(a), m.strides,
                <double *>cnp.PyArray_DATA(det), 1))
        else:
            check(self.table.small_det_f32(
                m.batch, m.rows, <float *>cnp.PyArray_DATA(a), m.strides,
                <float *>cnp.PyArray_DATA(det), 1))
        return det if m.dims > 2 else det[()]

    def small_eigh_plain(self, a, c_bool upper):
        cdef matrices m
        cdef c_bool failed = False
        if not take_squares(a, &m) or m.rows < 2:
            return None
        cdef cnp.ndarray values = new_like(a, m.dims - 1), vectors = new_like(a, m.dims)
        if is_double(values):
            check(self.table.small_eigh_f64(
                m.batch, m.rows, <double *>cnp.PyArray_DATA(a), m.strides, upper,
                <double *>cnp.PyArray_DATA(values), <double *>cnp.PyArray_DATA(vectors),
                &failed, 1))
        else:
            check(self.table.small_eigh_f32(
                m.batch, m.rows, <float *>cnp.PyArray_DATA(a), m.strides, upper,
                <float *>cnp.PyArray_DATA(values), <float *>cnp.PyArray_DATA(vectors),
                &failed, 1))
        return None if failed else (values, vectors)
