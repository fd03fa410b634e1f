"""Matrix products of the native backend: part of _native.pyx. No arithmetic."""


# Numbers of an array up to which the interpreter's lock is kept: giving it back and taking it
# again takes 30 ns, a product of so few 10 microseconds at most.
cdef enum: FEW_NUMBERS = 1024


cdef fml_status run_matmul(const fml_table *table, int type_num, int itemsize,
                           const fml_stack *stack, const void *a, const void *b, void *c,
                           int threads) noexcept nogil:
    """The kernel for these elements, which are floating, complex or whole numbers."""
    if type_num == cnp.NPY_DOUBLE:
        return table.matmul_f64(stack, a, b, c, threads)
    if type_num == cnp.NPY_FLOAT:
        return table.matmul_f32(stack, a, b, c, threads)
    if type_num == cnp.NPY_CDOUBLE:
        return table.matmul_complex_f64(stack, a, b, c, threads)
    if type_num == cnp.NPY_CFLOAT:
        return table.matmul_complex_f32(stack, a, b, c, threads)
    if itemsize == 8:
        return table.matmul_u64(stack, a, b, c, threads)
    if itemsize == 4:
        return table.matmul_u32(stack, a, b, c, threads)
    return table.matmul_u16(stack, a, b, c, threads)


cdef fml_status run_gram(const fml_table *table, int type_num, int itemsize, Py_ssize_t k,
                         Py_ssize_t n, const void *x, Py_ssize_t row, Py_ssize_t col, void *c,
                         int threads) noexcept nogil:
    if type_num == cnp.NPY_DOUBLE:
        return table.gram_f64(k, n, x, row, col, c, threads)
    if type_num == cnp.NPY_FLOAT:
        return table.gram_f32(k, n, x, row, col, c, threads)
    if type_num == cnp.NPY_CDOUBLE:
        return table.gram_complex_f64(k, n, x, row, col, c, threads)
    if type_num == cnp.NPY_CFLOAT:
        return table.gram_complex_f32(k, n, x, row, col, c, threads)
    if itemsize == 8:
        return table.gram_u64(k, n, x, row, col, c, threads)
    if itemsize == 4:
        return table.gram_u32(k, n, x, row, col, c, threads)
    return table.gram_u16(k, n, x, row, col, c, threads)


cdef bint is_plain(object x) noexcept:
    """Whether kernels can read a matrix as it is: no view of odd strides, no subclass."""
    if not cnp.PyArray_CheckExact(x) or cnp.PyArray_NDIM(x) != 2:
        return False
    if not cnp.PyArray_ISBEHAVED_RO(x):
        return False
    return cnp.PyArray_IS_C_CONTIGUOUS(x) or cnp.PyArray_IS_F_CONTIGUOUS(x)


cdef fml_status multiply_arrays(const fml_table *table, cnp.ndarray a, cnp.ndarray b,
                                cnp.ndarray out, int threads) noexcept:
    cdef fml_stack stack
    cdef fml_status status
    cdef int type_num = cnp.PyArray_TYPE(out), itemsize = <int>cnp.PyArray_ITEMSIZE(out)
    stack.dims = cnp.PyArray_NDIM(out)
    stack.k = cnp.PyArray_DIM(a, <int>stack.dims - 1)
    stack.shape = <const Py_ssize_t *>cnp.PyArray_DIMS(out)
    stack.a = <const Py_ssize_t *>cnp.PyArray_STRIDES(a)
    stack.b = <const Py_ssize_t *>cnp.PyArray_STRIDES(b)
    stack.c = <const Py_ssize_t *>cnp.PyArray_STRIDES(out)
    if (cnp.PyArray_SIZE(a) <= FEW_NUMBERS and cnp.PyArray_SIZE(b) <= FEW_NUMBERS
            and cnp.PyArray_SIZE(out) <= FEW_NUMBERS):
        return run_matmul(table, type_num, itemsize, &stack, cnp.PyArray_DATA(a),
                          cnp.PyArray_DATA(b), cnp.PyArray_DATA(out), threads)
    with nogil:
        status = run_matmul(table, type_num, itemsize, &stack, cnp.PyArray_DATA(a),
                            cnp.PyArray_DATA(b), cnp.PyArray_DATA(out), threads)
    return status


cdef class DenseKernels(EdgeKernels):
    """The kernels of matrix products; see fastmml._kernels.Kernels."""
    cdef const fml_table *table

    def matmul(self, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, int threads):
        check(multiply_arrays(self.table, a, b, out, threads))

    def matmul_plain(self, a, b):
        if not is_plain(a) or not is_plain(b):
            return None
        cdef int type_num = cnp.PyArray_TYPE(a)
        if type_num != cnp.PyArray_TYPE(b):
            return None
        if type_num != cnp.NPY_DOUBLE and type_num != cnp.NPY_FLOAT:
            return None
        cdef cnp.npy_intp *a_shape = cnp.PyArray_DIMS(a)
        cdef cnp.npy_intp *b_shape = cnp.PyArray_DIMS(b)
        if a_shape[1] != b_shape[0]:
            return None
        cdef cnp.npy_intp[2] shape = [a_shape[0], b_shape[1]]
        cdef cnp.ndarray out = cnp.PyArray_SimpleNew(2, shape, type_num)
        check(multiply_arrays(self.table, a, b, out, fml_get_num_threads()))
        return out

    def gram(self, cnp.ndarray x, cnp.ndarray out, int threads):
        cdef fml_status status
        cdef int type_num = cnp.PyArray_TYPE(out), itemsize = <int>cnp.PyArray_ITEMSIZE(out)
        with nogil:
            status = run_gram(self.table, type_num, itemsize, cnp.PyArray_DIM(x, 0),
                              cnp.PyArray_DIM(x, 1), cnp.PyArray_DATA(x),
                              cnp.PyArray_STRIDE(x, 0), cnp.PyArray_STRIDE(x, 1),
                              cnp.PyArray_DATA(out), threads)
        check(status)
