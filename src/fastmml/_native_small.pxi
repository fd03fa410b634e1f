# Included by _native.pyx, where the helpers are: the kernels on many small matrices.

ctypedef Py_ssize_t[3] steps


cdef void take_steps(Py_ssize_t *strides, Py_ssize_t size, Py_ssize_t *out) noexcept:
    """The strides of a stack, in elements of so many bytes."""
    cdef int axis
    for axis in range(3):
        out[axis] = strides[axis] // size


cdef class SmallKernels(EdgeKernels):
    """The part of fastmml._kernels.Kernels that works on stacks of small matrices."""
    cdef const fml_table *table

    def small_solve(self, const real[:, :, :] a, const real[:, :, :] b, real[:, :, ::1] x,
                    int threads):
        cdef steps a_steps, b_steps
        cdef c_bool singular = False
        cdef fml_status status
        take_steps(a.strides, sizeof(real), a_steps)
        take_steps(b.strides, sizeof(real), b_steps)
        with nogil:
            if real is double:
                status = self.table.small_solve_f64(
                    x.shape[0], x.shape[1], x.shape[2], &a[0, 0, 0], a_steps, &b[0, 0, 0],
                    b_steps, &x[0, 0, 0], &singular, threads)
            else:
                status = self.table.small_solve_f32(
                    x.shape[0], x.shape[1], x.shape[2], &a[0, 0, 0], a_steps, &b[0, 0, 0],
                    b_steps, &x[0, 0, 0], &singular, threads)
        check(status)
        return singular

    def small_inverse(self, const real[:, :, :] a, real[:, :, ::1] x, int threads):
        cdef steps a_steps
        cdef c_bool singular = False
        cdef fml_status status
        take_steps(a.strides, sizeof(real), a_steps)
        with nogil:
            if real is double:
                status = self.table.small_inverse_f64(
                    x.shape[0], x.shape[1], &a[0, 0, 0], a_steps, &x[0, 0, 0], &singular, threads)
            else:
                status = self.table.small_inverse_f32(
                    x.shape[0], x.shape[1], &a[0, 0, 0], a_steps, &x[0, 0, 0], &singular, threads)
        check(status)
        return singular

    def small_det(self, const real[:, :, :] a, real[::1] det, int threads):
        cdef steps a_steps
        cdef fml_status status
        take_steps(a.strides, sizeof(real), a_steps)
        with nogil:
            if real is double:
                status = self.table.small_det_f64(
                    det.shape[0], a.shape[1], &a[0, 0, 0], a_steps, &det[0], threads)
            else:
                status = self.table.small_det_f32(
                    det.shape[0], a.shape[1], &a[0, 0, 0], a_steps, &det[0], threads)
        check(status)

    def small_eigh(self, const real[:, :, :] a, c_bool upper, real[:, ::1] values,
                   real[:, :, ::1] vectors, int threads):
        cdef steps a_steps
        cdef c_bool failed = False
        cdef fml_status status
        take_steps(a.strides, sizeof(real), a_steps)
        with nogil:
            if real is double:
                status = self.table.small_eigh_f64(
                    values.shape[0], values.shape[1], &a[0, 0, 0], a_steps, upper, &values[0, 0],
                    &vectors[0, 0, 0], &failed, threads)
            else:
                status = self.table.small_eigh_f32(
                    values.shape[0], values.shape[1], &a[0, 0, 0], a_steps, upper, &values[0, 0],
                    &vectors[0, 0, 0], &failed, threads)
        check(status)
        return failed

    def small_qr(self, const real[:, :, :] a, real[:, :, ::1] q, real[:, :, ::1] r, int threads):
        cdef steps a_steps
        cdef real *basis = NULL if q is None else &q[0, 0, 0]
        cdef fml_status status
        take_steps(a.strides, sizeof(real), a_steps)
        with nogil:
            if real is double:
                status = self.table.small_qr_f64(
                    a.shape[0], a.shape[1], a.shape[2], r.shape[1], &a[0, 0, 0], a_steps, basis,
                    &r[0, 0, 0], threads)
            else:
                status = self.table.small_qr_f32(
                    a.shape[0], a.shape[1], a.shape[2], r.shape[1], &a[0, 0, 0], a_steps, basis,
                    &r[0, 0, 0], threads)
        check(status)
