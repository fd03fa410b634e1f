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


cdef fml_status run_strassen(const fml_table *table, int type_num, int itemsize,
                             const fml_stack *stack, int halvings, const void *a, const void *b,
                             void *c, int threads) noexcept nogil:
    if type_num == cnp.NPY_DOUBLE:
        return table.matmul_strassen_f64(stack, halvings, a, b, c, threads)
    if type_num == cnp.NPY_FLOAT:
        return table.matmul_strassen_f32(stack, halvings, a, b, c, threads)
    if type_num == cnp.NPY_CDOUBLE:
        return table.matmul_complex_strassen_f64(stack, halvings, a, b, c, threads)
    if type_num == cnp.NPY_CFLOAT:
        return table.matmul_complex_strassen_f32(stack, halvings, a, b, c, threads)
    if itemsize == 8:
        return table.matmul_strassen_u64(stack, halvings, a, b, c, threads)
    if itemsize == 4:
        return table.matmul_strassen_u32(stack, halvings, a, b, c, threads)
    return table.matmul_strassen_u16(stack, halvings, a, b, c, threads)


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


cdef bint has_kernel(cnp.ndarray x) noexcept:
    """Whether kernels compute with elements of this type as they are."""
    cdef int type_num = cnp.PyArray_TYPE(x)
    if cnp.PyTypeNum_ISINTEGER(type_num):
        return cnp.PyArray_ITEMSIZE(x) > 1
    return type_num in (cnp.NPY_DOUBLE, cnp.NPY_FLOAT, cnp.NPY_CDOUBLE, cnp.NPY_CFLOAT)


cdef bint is_plain(object x) noexcept:
    """Whether kernels can read an array as it lies."""
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISBEHAVED_RO(x) or not has_kernel(x):
        return False
    cdef int d
    for d in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_STRIDE(x, d) % cnp.PyArray_ITEMSIZE(x) != 0:
            return False
    return True


cdef fml_array as_array(cnp.ndarray x) noexcept:
    cdef fml_array out
    out.dims = cnp.PyArray_NDIM(x)
    out.shape = <const Py_ssize_t *>cnp.PyArray_DIMS(x)
    out.strides = <const Py_ssize_t *>cnp.PyArray_STRIDES(x)
    return out


cdef bint is_target(object out, const fml_match *match, int type_num) noexcept:
    """Whether the result of a match of arrays of this type can be written as it comes."""
    if not cnp.PyArray_CheckExact(out) or not cnp.PyArray_ISCARRAY(out):
        return False
    if cnp.PyArray_TYPE(out) != type_num or cnp.PyArray_NDIM(out) != match.result_dims:
        return False
    cdef int d
    for d in range(cnp.PyArray_NDIM(out)):
        if cnp.PyArray_DIM(out, d) != match.result[d]:
            return False
    return True


cdef bint may_share(const fml_array *x, cnp.ndarray array, cnp.ndarray out) noexcept:
    return fml_may_share(x, cnp.PyArray_DATA(array), cnp.PyArray_ITEMSIZE(array),
                         cnp.PyArray_DATA(out), cnp.PyArray_NBYTES(out))


cdef fml_short as_short(cnp.ndarray x) noexcept:
    """A matrix of bools, or integers of 8 or 16 bits."""
    cdef fml_short out
    if cnp.PyArray_ITEMSIZE(x) == 2:
        out.kind = FML_INT16
    elif cnp.PyArray_TYPE(x) == cnp.NPY_BYTE:
        out.kind = FML_INT8
    else:
        out.kind = FML_UINT8
    out.data = cnp.PyArray_DATA(x)
    out.row = cnp.PyArray_STRIDE(x, 0)
    out.col = cnp.PyArray_STRIDE(x, 1)
    return out


cdef bint are_two_matrices(object a, object b) noexcept:
    """Whether these are two arrays that can be read, and matrices that fit together."""
    if not cnp.PyArray_CheckExact(a) or not cnp.PyArray_CheckExact(b):
        return False
    if not cnp.PyArray_ISBEHAVED_RO(a) or not cnp.PyArray_ISBEHAVED_RO(b):
        return False
    if cnp.PyArray_NDIM(a) != 2 or cnp.PyArray_NDIM(b) != 2:
        return False
    return cnp.PyArray_DIM(a, 1) == cnp.PyArray_DIM(b, 0)


cdef bint is_byte(cnp.ndarray x) noexcept:
    return cnp.PyArray_TYPE(x) in (cnp.NPY_BYTE, cnp.NPY_UBYTE)


cdef bint is_short(cnp.ndarray x) noexcept:
    return is_byte(x) or cnp.PyArray_TYPE(x) == cnp.NPY_SHORT


cdef fml_bools as_bools(cnp.ndarray x) noexcept:
    cdef fml_bools out
    out.data = cnp.PyArray_DATA(x)
    out.row = cnp.PyArray_STRIDE(x, 0)
    out.col = cnp.PyArray_STRIDE(x, 1)
    return out


cdef fml_status multiply_bools(const fml_table *table, cnp.ndarray a, cnp.ndarray b,
                               cnp.ndarray out, int threads) noexcept:
    cdef fml_bools left = as_bools(a), right = as_bools(b)
    cdef Py_ssize_t m = cnp.PyArray_DIM(a, 0), k = cnp.PyArray_DIM(a, 1)
    cdef Py_ssize_t n = cnp.PyArray_DIM(b, 1), row = cnp.PyArray_STRIDE(out, 0)
    cdef c_bool *to = <c_bool *>cnp.PyArray_DATA(out)
    cdef fml_status status
    with nogil:
        status = table.matmul_bool_b64(m, k, n, &left, &right, to, row, threads)
    return status


cdef fml_stack as_stack(cnp.ndarray a, cnp.ndarray b, cnp.ndarray out) noexcept:
    cdef fml_stack stack
    stack.dims = cnp.PyArray_NDIM(out)
    stack.k = cnp.PyArray_DIM(a, <int>stack.dims - 1)
    stack.shape = <const Py_ssize_t *>cnp.PyArray_DIMS(out)
    stack.a = <const Py_ssize_t *>cnp.PyArray_STRIDES(a)
    stack.b = <const Py_ssize_t *>cnp.PyArray_STRIDES(b)
    stack.c = <const Py_ssize_t *>cnp.PyArray_STRIDES(out)
    return stack


cdef fml_status multiply_arrays(const fml_table *table, const fml_stack *stack, cnp.ndarray a,
                                cnp.ndarray b, cnp.ndarray out, int threads) noexcept:
    cdef fml_status status
    cdef int type_num = cnp.PyArray_TYPE(out), itemsize = <int>cnp.PyArray_ITEMSIZE(out)
    if (cnp.PyArray_SIZE(a) <= FEW_NUMBERS and cnp.PyArray_SIZE(b) <= FEW_NUMBERS
            and cnp.PyArray_SIZE(out) <= FEW_NUMBERS):
        return run_matmul(table, type_num, itemsize, stack, cnp.PyArray_DATA(a),
                          cnp.PyArray_DATA(b), cnp.PyArray_DATA(out), threads)
    with nogil:
        status = run_matmul(table, type_num, itemsize, stack, cnp.PyArray_DATA(a),
                            cnp.PyArray_DATA(b), cnp.PyArray_DATA(out), threads)
    return status


cdef fml_status square_array(const fml_table *table, cnp.ndarray x, cnp.ndarray out,
                             int threads) noexcept:
    cdef int type_num = cnp.PyArray_TYPE(out), itemsize = <int>cnp.PyArray_ITEMSIZE(out)
    cdef fml_status status
    with nogil:
        status = run_gram(table, type_num, itemsize, cnp.PyArray_DIM(x, 0),
                          cnp.PyArray_DIM(x, 1), cnp.PyArray_DATA(x), cnp.PyArray_STRIDE(x, 0),
                          cnp.PyArray_STRIDE(x, 1), cnp.PyArray_DATA(out), threads)
    return status


cdef fml_side_by_side side_by_side(cnp.ndarray x, y) noexcept:
    """Two arrays of as many rows; y may be None."""
    cdef fml_side_by_side out
    out.n, out.p = cnp.PyArray_DIM(x, 1), 0
    out.x, out.y = cnp.PyArray_DATA(x), NULL
    out.x_row, out.x_col = cnp.PyArray_STRIDE(x, 0), cnp.PyArray_STRIDE(x, 1)
    out.y_row = out.y_col = 0
    if y is not None:
        out.p, out.y = cnp.PyArray_DIM(y, 1), cnp.PyArray_DATA(y)
        out.y_row, out.y_col = cnp.PyArray_STRIDE(y, 0), cnp.PyArray_STRIDE(y, 1)
    return out


cdef fml_rows as_rows(cnp.ndarray x, const double[::1] scale) noexcept:
    cdef fml_rows out
    out.count = cnp.PyArray_DIM(x, 0)
    out.data = cnp.PyArray_DATA(x)
    out.row, out.col = cnp.PyArray_STRIDE(x, 0), cnp.PyArray_STRIDE(x, 1)
    out.scale = pointer_or_null(scale)
    return out


# Terms from which on four an instruction are worth sums that do not start from 0: of 300 x 300 they
# take 1.04 times as long as two at 16 terms (AVX-512), 1.17 at 32 and 0.79 at 64 (AVX2).
cdef enum:
    LEAST_FLIPPED = 32

# Few terms of many results and many terms of few are mostly memory, of which 16 bits take less.
cdef enum:
    FEW_WORK = 1 << 13
    FEW_TERMS = 32
    MANY_RESULTS = 1 << 16
    LONG = 256


cdef bint suits_short(double m, double k, double n) noexcept:
    """Whether sums of 32 bits are the faster way to a product of 8 bits."""
    if m * k * n <= FEW_WORK:
        return True
    return k <= LONG * m * n if k >= FEW_TERMS else m * n <= MANY_RESULTS


# The dtype of their sums.
cdef object INT32 = cnp.dtype("int32")


cdef class DenseKernels(SmallKernels):
    """The kernels of matrix products; see fastmml._kernels.Kernels."""

    def matmul(self, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, int threads):
        cdef fml_stack stack = as_stack(a, b, out)
        check(multiply_arrays(self.table, &stack, a, b, out, threads))

    def matmul_strassen(self, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, int halvings,
                        int threads):
        cdef fml_stack stack = as_stack(a, b, out)
        cdef int type_num = cnp.PyArray_TYPE(out), itemsize = <int>cnp.PyArray_ITEMSIZE(out)
        cdef fml_status status
        with nogil:
            status = run_strassen(self.table, type_num, itemsize, &stack, halvings,
                                  cnp.PyArray_DATA(a), cnp.PyArray_DATA(b),
                                  cnp.PyArray_DATA(out), threads)
        check(status)

    def matmul_short(self, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, int threads):
        cdef fml_short left = as_short(a), right = as_short(b)
        cdef Py_ssize_t m = cnp.PyArray_DIM(a, 0), k = cnp.PyArray_DIM(a, 1)
        cdef Py_ssize_t n = cnp.PyArray_DIM(b, 1)
        cdef fml_matmul_short_fn multiply = self.table.matmul_bytes
        cdef bint is_flipped
        cdef fml_status status
        is_flipped = left.kind == FML_INT8 or right.kind == FML_UINT8
        if left.kind == FML_INT16 or right.kind == FML_INT16 or (is_flipped and k < LEAST_FLIPPED):
            multiply = self.table.matmul_short_p16
        with nogil:
            status = multiply(m, k, n, &left, &right, cnp.PyArray_DATA(out),
                              cnp.PyArray_STRIDE(out, 0), threads)
        check(status)

    def matmul_bool(self, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, int threads):
        check(multiply_bools(self.table, a, b, out, threads))

    def matmul_plain(self, a, b, out, /):
        if not is_plain(a) or not is_plain(b) or cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(b):
            return self.bytes_plain(a, b) if out is None else None
        cdef fml_array left = as_array(a), right = as_array(b)
        cdef fml_match match
        if not fml_match_arrays(&left, &right, cnp.PyArray_ITEMSIZE(a), &match):
            return None
        cdef cnp.ndarray result
        if out is None:
            result = new_array(<int>match.result_dims, <cnp.npy_intp *>match.result,
                               cnp.PyArray_TYPE(a), cnp.PyArray_ITEMSIZE(a))
        elif not is_target(out, &match, cnp.PyArray_TYPE(a)):
            return None
        else:
            result = out
            if may_share(&left, a, result) or may_share(&right, b, result):
                return None
        check(multiply_arrays(self.table, &match.stack, a, b, result, fml_get_num_threads()))
        return result if match.result_dims > 0 or out is not None else result[()]

    def matmul_short_plain(self, a, b, dtype, /):
        if not are_two_matrices(a, b) or not is_short(a) or not is_short(b):
            return None
        if cnp.dtype(dtype) is not INT32:
            return None
        cdef cnp.npy_intp[2] shape = [cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(b, 1)]
        cdef cnp.ndarray out = new_array(2, shape, cnp.NPY_INT32, 4)
        self.matmul_short(a, b, out, fml_get_num_threads())
        return out

    cdef object bytes_plain(self, object a, object b):
        """Bools, or numbers of 8 bits, which are the lower ones of sums of 32."""
        if not are_two_matrices(a, b) or cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(b):
            return None
        cdef cnp.ndarray out, sums
        if is_byte(a):
            if not suits_short(cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(a, 1),
                               cnp.PyArray_DIM(b, 1)):
                return None
            sums = self.matmul_short_plain(a, b, INT32)
            out = new_array(2, cnp.PyArray_DIMS(sums), cnp.PyArray_TYPE(a), 1)
            cnp.PyArray_CopyInto(out, sums)
            return out
        if cnp.PyArray_TYPE(a) != cnp.NPY_BOOL:
            return None
        cdef cnp.npy_intp[2] shape = [cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(b, 1)]
        out = new_array(2, shape, cnp.NPY_BOOL, 1)
        check(multiply_bools(self.table, a, b, out, fml_get_num_threads()))
        return out

    def gram(self, cnp.ndarray x, cnp.ndarray out, int threads):
        check(square_array(self.table, x, out, threads))

    def gram_plain(self, x):
        if not is_plain(x) or cnp.PyArray_NDIM(x) != 2:
            return None
        cdef cnp.npy_intp columns = cnp.PyArray_DIM(x, 1)
        cdef cnp.npy_intp[2] shape = [columns, columns]
        cdef cnp.ndarray out = new_array(2, shape, cnp.PyArray_TYPE(x), cnp.PyArray_ITEMSIZE(x))
        check(square_array(self.table, x, out, fml_get_num_threads()))
        return out

    def solve_right(self, cnp.ndarray a, cnp.ndarray u, cnp.ndarray out, int threads):
        cdef Py_ssize_t m = cnp.PyArray_DIM(a, 0), n = cnp.PyArray_DIM(a, 1)
        cdef Py_ssize_t row = cnp.PyArray_STRIDE(a, 0), col = cnp.PyArray_STRIDE(a, 1)
        cdef Py_ssize_t count = cnp.PyArray_DIM(u, 0) if cnp.PyArray_NDIM(u) == 3 else 1
        cdef bint is_double = cnp.PyArray_TYPE(out) == cnp.NPY_DOUBLE
        cdef fml_status status
        with nogil:
            if is_double:
                status = self.table.solve_right_f64(
                    m, n, cnp.PyArray_DATA(a), row, col, count, cnp.PyArray_DATA(u),
                    cnp.PyArray_DATA(out), threads)
            else:
                status = self.table.solve_right_f32(
                    m, n, cnp.PyArray_DATA(a), row, col, count, cnp.PyArray_DATA(u),
                    cnp.PyArray_DATA(out), threads)
        check(status)

    def solved_gram(self, cnp.ndarray a, b, cnp.ndarray u, cnp.ndarray out, int threads):
        cdef fml_side_by_side sides = side_by_side(a, b)
        cdef Py_ssize_t m = cnp.PyArray_DIM(a, 0), count = cnp.PyArray_DIM(u, 0)
        cdef bint is_double = cnp.PyArray_TYPE(out) == cnp.NPY_DOUBLE
        cdef fml_status status
        with nogil:
            if is_double:
                status = self.table.solved_gram_f64(m, &sides, count, cnp.PyArray_DATA(u),
                                                    cnp.PyArray_DATA(out), threads)
            else:
                status = self.table.solved_gram_f32(m, &sides, count, cnp.PyArray_DATA(u),
                                                    cnp.PyArray_DATA(out), threads)
        check(status)

    def centred_gram(self, cnp.ndarray x, cnp.ndarray y, cnp.ndarray shift, scale, int threads):
        cdef fml_side_by_side sides = side_by_side(x, y)
        cdef fml_status status
        cdef Py_ssize_t k = cnp.PyArray_DIM(x, 0)
        cdef bint is_double = cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE
        cdef const void *factors = NULL if scale is None else cnp.PyArray_DATA(scale)
        out = self.empty((sides.n + sides.p + 1, sides.n + sides.p + 1), np.float64)
        cdef double[:, ::1] sums = out
        with nogil:
            if is_double:
                status = self.table.centred_gram_f64(k, &sides, cnp.PyArray_DATA(shift), factors,
                                                     &sums[0, 0], threads)
            else:
                status = self.table.centred_gram_f32(k, &sides, cnp.PyArray_DATA(shift), factors,
                                                     &sums[0, 0], threads)
        check(status)
        return out

    def residual_products(self, cnp.ndarray x, cnp.ndarray y, const double[:, ::1] coef,
                          const double[:, ::1] constant, const double[::1] unit,
                          const double[::1] scale, double[:, :, ::1] products,
                          double[::1] squares, int threads):
        cdef fml_side_by_side sides = side_by_side(x, y)
        cdef fml_fit fit
        cdef Py_ssize_t m = cnp.PyArray_DIM(x, 0)
        cdef fml_status status
        fit.coef, fit.constant, fit.unit = &coef[0, 0], &constant[0, 0], &unit[0]
        fit.scale = NULL if scale is None else &scale[0]
        with nogil:
            status = self.table.residual_products_f64(m, &sides, &fit, &products[0, 0, 0],
                                                      &squares[0], threads)
        check(status)

    def gram_times(self, cnp.ndarray x, cnp.ndarray b, cnp.ndarray offset, cnp.ndarray y,
                   cnp.ndarray out, int threads):
        cdef Py_ssize_t m = cnp.PyArray_DIM(x, 0), n = cnp.PyArray_DIM(x, 1)
        cdef Py_ssize_t count = cnp.PyArray_DIM(b, 0)
        cdef bint is_double = cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE
        cdef fml_status status
        with nogil:
            if is_double:
                status = self.table.gram_times_f64(
                    m, n, count, cnp.PyArray_DATA(x), cnp.PyArray_DATA(b),
                    cnp.PyArray_DATA(offset), cnp.PyArray_DATA(y), cnp.PyArray_DATA(out), threads)
            else:
                status = self.table.gram_times_f32(
                    m, n, count, cnp.PyArray_DATA(x), cnp.PyArray_DATA(b),
                    cnp.PyArray_DATA(offset), cnp.PyArray_DATA(y), cnp.PyArray_DATA(out), threads)
        check(status)

    def pairwise_distances(self, cnp.ndarray x, const double[::1] x_scale, y,
                           const double[::1] y_scale, int kind, cnp.ndarray out, int threads):
        cdef fml_rows rows = as_rows(x, x_scale), others
        cdef const fml_rows *second = NULL
        cdef Py_ssize_t k = cnp.PyArray_DIM(x, 1)
        cdef bint is_double = cnp.PyArray_TYPE(out) == cnp.NPY_DOUBLE
        cdef fml_status status
        if y is not None:
            others = as_rows(y, y_scale)
            second = &others
        with nogil:
            if is_double:
                status = self.table.pairwise_distances_f64(
                    &rows, second, k, <fml_distance>kind, cnp.PyArray_DATA(out), threads)
            else:
                status = self.table.pairwise_distances_f32(
                    &rows, second, k, <fml_distance>kind, cnp.PyArray_DATA(out), threads)
        check(status)

    def kneighbors(self, cnp.ndarray x, const double[::1] x_scale, y, const double[::1] y_scale,
                   int kind, cnp.ndarray distances, int64_t[:, ::1] indices, int threads):
        cdef fml_rows rows = as_rows(x, x_scale), others
        cdef const fml_rows *second = NULL
        cdef Py_ssize_t k = cnp.PyArray_DIM(x, 1), neighbors = indices.shape[1]
        cdef bint is_double = cnp.PyArray_TYPE(distances) == cnp.NPY_DOUBLE
        cdef fml_status status
        if y is not None:
            others = as_rows(y, y_scale)
            second = &others
        with nogil:
            if is_double:
                status = self.table.kneighbors_f64(
                    &rows, second, k, <fml_distance>kind, neighbors,
                    cnp.PyArray_DATA(distances), &indices[0, 0], threads)
            else:
                status = self.table.kneighbors_f32(
                    &rows, second, k, <fml_distance>kind, neighbors,
                    cnp.PyArray_DATA(distances), &indices[0, 0], threads)
        check(status)

    def project_rows(self, cnp.ndarray x, cnp.ndarray shift, cnp.ndarray basis, coordinates,
                     double[::1] errors, int threads):
        cdef fml_rows rows = as_rows(x, None)
        cdef Py_ssize_t n = cnp.PyArray_DIM(x, 1), k = cnp.PyArray_DIM(basis, 0)
        cdef bint is_double = cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE
        cdef void *found = NULL if coordinates is None else cnp.PyArray_DATA(coordinates)
        cdef double *rest = NULL if errors is None or rows.count == 0 else &errors[0]
        cdef fml_status status
        with nogil:
            if is_double:
                status = self.table.project_rows_f64(
                    &rows, n, cnp.PyArray_DATA(shift), k, cnp.PyArray_DATA(basis), found, rest,
                    threads)
            else:
                status = self.table.project_rows_f32(
                    &rows, n, cnp.PyArray_DATA(shift), k, cnp.PyArray_DATA(basis), found, rest,
                    threads)
        check(status)

    def reconstruct_rows(self, cnp.ndarray y, cnp.ndarray basis, cnp.ndarray shift,
                         cnp.ndarray out, int threads):
        cdef fml_rows rows = as_rows(y, None)
        cdef Py_ssize_t k = cnp.PyArray_DIM(basis, 0), n = cnp.PyArray_DIM(basis, 1)
        cdef bint is_double = cnp.PyArray_TYPE(y) == cnp.NPY_DOUBLE
        cdef fml_status status
        with nogil:
            if is_double:
                status = self.table.reconstruct_rows_f64(
                    &rows, k, cnp.PyArray_DATA(basis), n, cnp.PyArray_DATA(shift),
                    cnp.PyArray_DATA(out), threads)
            else:
                status = self.table.reconstruct_rows_f32(
                    &rows, k, cnp.PyArray_DATA(basis), n, cnp.PyArray_DATA(shift),
                    cnp.PyArray_DATA(out), threads)
        check(status)
