# cython: language_level=3, boundscheck=False, freethreading_compatible=True
"""The native backend: arrays to pointers, status to exception. No arithmetic."""

cimport cython
cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset, strcpy
from cpython.ref cimport Py_INCREF
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New

import numpy as np

from fastmml._kernels import EdgeReport, RowReport
from fastmml._threads import is_stopped


cnp.import_array()


cdef extern from "Python.h":
    # Declared without an exception value: the pending exception stays for `check` to raise.
    int PyErr_CheckSignals() noexcept
    void PyErr_SetNone(object) noexcept

cdef extern from *:
    """
    #ifndef FML_BUILD_INFO
    #define FML_BUILD_INFO ""
    #endif
    """
    const char *FML_BUILD_INFO


#: Element types of the numeric kernels; Cython compiles a method for each and picks by dtype.
ctypedef fused real:
    double
    float


cdef int poll_signals() noexcept nogil:
    with gil:
        if PyErr_CheckSignals() != 0:
            return 1
        if not is_stopped():
            return 0
        PyErr_SetNone(KeyboardInterrupt)
        return 1


fml_set_poll(poll_signals)


cdef int check(fml_status status) except -1:
    """Raise what the status stands for."""
    if status == FML_NO_MEMORY:
        raise MemoryError("no memory for the scratch space of a kernel")
    if status == FML_INTERRUPTED:
        return -1  # KeyboardInterrupt, or what the signal handler raised, is pending
    return 0


def isa_levels():
    """CPU levels compiled in that this machine runs, best last."""
    levels = []
    cdef const fml_table *const *variant = fml_variants()
    while variant[0] != NULL:
        if fml_variant_runs(variant[0]):
            levels.append(variant[0].isa.decode())
        variant += 1
    return tuple(levels)


def build_info():
    """Compiler, flags and options of this build."""
    info = {"openmp": "yes" if fml_has_openmp() else "no"}
    for line in FML_BUILD_INFO.decode().split("|"):
        name, _, value = line.partition("=")
        info[name] = value
    return info


def after_fork_in_child():
    """Run on one thread from now on: OpenMP's threads did not survive the fork."""
    fml_after_fork_in_child()


cdef const fml_table *find_variant(str isa) except NULL:
    cdef const fml_table *const *variant = fml_variants()
    levels = []
    while variant[0] != NULL:
        levels.append(variant[0].isa.decode())
        if levels[-1] == isa:
            if fml_variant_runs(variant[0]):
                return variant[0]
            raise RuntimeError(f"isa: this machine does not run {isa!r}; it runs {isa_levels()}")
        variant += 1
    raise ValueError(f"isa: expected one of {tuple(levels)}, got {isa!r}")


cdef void call_in_team(fml_team *team, void *job) noexcept with gil:
    """Run on the thread that called."""
    call = <list>job
    try:
        call[1] = call[0]()
    except BaseException as error:
        call[2] = error


cdef const double *pointer_or_null(const double[::1] array) noexcept:
    if array is None:
        return NULL
    return &array[0]


cdef fml_rank_plan unpack_plan(plan):
    """The plan as C sees it; valid as long as the tuple lives."""
    cdef fml_rank_plan out
    cdef const int64_t[::1] indptr = plan.indptr, blocks = plan.blocks, segments = plan.segments
    cdef const int64_t[::1] levels = plan.levels
    cdef const uint32_t[::1] indices = plan.indices, earlier = plan.earlier
    cdef const uint8_t[::1] kinds = plan.kinds, waves = plan.waves
    out.n = indptr.shape[0] - 1
    out.indptr = &indptr[0]
    out.indices = <uint32_t *>&indices[0]
    out.weights = <double *>pointer_or_null(plan.weights)
    out.earlier = <uint32_t *>&earlier[0]
    out.num_blocks, out.num_segments = blocks.shape[0] - 1, segments.shape[0] - 1
    out.blocks, out.segments = &blocks[0], &segments[0]
    out.kinds, out.waves = &kinds[0], &waves[0]
    out.num_levels, out.levels = levels.shape[0] - 1, &levels[0]
    out.kept = pointer_or_null(plan.kept)
    return out


include "_native_memory.pxi"
include "_native_edges.pxi"
include "_native_small.pxi"
include "_native_dense.pxi"
include "_native_plain.pxi"


cdef class NativeKernels(PlainKernels):
    """See fastmml._kernels.Kernels."""

    def __init__(self, isa=None):
        self.table = find_variant(isa_levels()[-1] if isa is None else isa)

    @property
    def name(self):
        return "native"

    @property
    def isa(self):
        return self.table.isa.decode()

    def get_num_threads(self):
        return fml_get_num_threads()

    def set_num_threads(self, int threads):
        fml_set_num_threads(threads)

    def with_team(self, function, int threads):
        call = [function, None, None]
        cdef void *job = <void *>call
        with nogil:
            fml_lead_team(threads, call_in_team, job)
        if call[2] is not None:
            raise call[2]
        return call[1]

    def rank_pull(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                  const double[::1] weights, const real[::1] inverse_strength,
                  const real[::1] teleport, const real[::1] jump, double damping, double total,
                  double mass, const real[::1] x, const real[::1] contribution, real[::1] y,
                  real[::1] next_contribution, int threads):
        cdef double change = 0, dangling_mass = 0
        cdef fml_status status
        cdef const double *weight = pointer_or_null(weights)
        cdef Py_ssize_t n = y.shape[0]
        cdef Py_ssize_t teleport_stride = teleport.shape[0] > 1, jump_stride = jump.shape[0] > 1
        with nogil:
            if real is double:
                status = self.table.rank_pull_f64(
                    n, &indptr[0], &indices[0], weight, &inverse_strength[0], &teleport[0],
                    teleport_stride, &jump[0], jump_stride, damping, &total, &mass, &x[0],
                    &contribution[0], &y[0], &next_contribution[0], &change, &dangling_mass,
                    threads)
            else:
                status = self.table.rank_pull_f32(
                    n, &indptr[0], &indices[0], weight, &inverse_strength[0], &teleport[0],
                    teleport_stride, &jump[0], jump_stride, damping, &total, &mass, &x[0],
                    &contribution[0], &y[0], &next_contribution[0], &change, &dangling_mass,
                    threads)
        check(status)
        return change, dangling_mass

    def rank_image(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                   const double[::1] weights, const double[::1] teleport, const double[::1] jump,
                   double damping, double total, double mass, double roundings,
                   const double[::1] x, const double[::1] contribution, double[::1] y,
                   int threads):
        cdef double change = 0, rounded = 0
        cdef fml_status status
        cdef const double *weight = pointer_or_null(weights)
        cdef Py_ssize_t teleport_stride = teleport.shape[0] > 1, jump_stride = jump.shape[0] > 1
        with nogil:
            status = self.table.rank_image_f64(
                y.shape[0], &indptr[0], &indices[0], weight, &teleport[0], teleport_stride,
                &jump[0], jump_stride, damping, &total, &mass, roundings, &x[0], &contribution[0],
                &y[0], &change, &rounded, threads)
        check(status)
        return change, rounded

    def rank_solve(self, plan, const double[::1] inverse_strength, const double[::1] base,
                   double damping, double tolerance, int64_t max_sweeps, double[::1] y,
                   double[::1] c, int threads):
        cdef fml_rank_plan unpacked = unpack_plan(plan)
        cdef Py_ssize_t base_stride = base.shape[0] > 1
        cdef double total = 0, dangling_mass = 0
        cdef int64_t visits = 0
        cdef fml_status status
        with nogil:
            status = self.table.rank_solve_f64(
                &unpacked, &inverse_strength[0], &base[0], base_stride, damping, tolerance,
                max_sweeps, &y[0], &c[0], &total, &dangling_mass, &visits, threads)
        check(status)
        return total, dangling_mass, visits

    def rank_pull_columns(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                          const double[::1] weights, const double[::1] inverse_strength,
                          const double[:, ::1] teleport, const double[:, ::1] jump,
                          double damping, const double[::1] total, const double[::1] mass,
                          const double[:, ::1] x, const double[:, ::1] contribution,
                          double[:, ::1] y, double[:, ::1] next_contribution, int threads):
        cdef const double *weight = pointer_or_null(weights)
        cdef Py_ssize_t teleport_stride = teleport.shape[0] > 1, jump_stride = jump.shape[0] > 1
        cdef fml_status status
        change, dangling_mass = np.empty(x.shape[1]), np.empty(x.shape[1])
        cdef double[::1] changes = change, masses = dangling_mass
        with nogil:
            status = self.table.rank_pull_f64x8(
                y.shape[0], &indptr[0], &indices[0], weight, &inverse_strength[0],
                &teleport[0, 0], teleport_stride, &jump[0, 0], jump_stride, damping, &total[0],
                &mass[0], &x[0, 0], &contribution[0, 0], &y[0, 0], &next_contribution[0, 0],
                &changes[0], &masses[0], threads)
        check(status)
        return change, dangling_mass

    def rank_image_columns(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                           const double[::1] weights, const double[:, ::1] teleport,
                           const double[:, ::1] jump, double damping, const double[::1] total,
                           const double[::1] mass, double roundings, const double[:, ::1] x,
                           const double[:, ::1] contribution, double[:, ::1] y, int threads):
        cdef const double *weight = pointer_or_null(weights)
        cdef Py_ssize_t teleport_stride = teleport.shape[0] > 1, jump_stride = jump.shape[0] > 1
        cdef fml_status status
        change, rounded = np.empty(x.shape[1]), np.empty(x.shape[1])
        cdef double[::1] changes = change, sums = rounded
        with nogil:
            status = self.table.rank_image_f64x8(
                y.shape[0], &indptr[0], &indices[0], weight, &teleport[0, 0], teleport_stride,
                &jump[0, 0], jump_stride, damping, &total[0], &mass[0], roundings, &x[0, 0],
                &contribution[0, 0], &y[0, 0], &changes[0], &sums[0], threads)
        check(status)
        return change, rounded

    def rank_solve_columns(self, plan, const double[::1] inverse_strength,
                           const double[:, ::1] base, double damping, double tolerance,
                           int64_t max_sweeps, double[:, ::1] y, double[:, ::1] c, int threads):
        cdef fml_rank_plan unpacked = unpack_plan(plan)
        cdef Py_ssize_t base_stride = base.shape[0] > 1
        cdef int64_t visits = 0
        cdef fml_status status
        total, dangling_mass = np.empty(y.shape[1]), np.empty(y.shape[1])
        cdef double[::1] totals = total, masses = dangling_mass
        with nogil:
            status = self.table.rank_solve_f64x8(
                &unpacked, &inverse_strength[0], &base[0, 0], base_stride, damping, tolerance,
                max_sweeps, &y[0, 0], &c[0, 0], &totals[0], &masses[0], &visits, threads)
        check(status)
        return total, dangling_mass, visits

    def difference_gram(self, const real[:, ::1] x, int threads):
        cdef Py_ssize_t count = x.shape[0] - 1, n = x.shape[1]
        cdef fml_status status
        gram = np.empty((count, count))
        cdef double[:, ::1] out = gram
        with nogil:
            if real is double:
                status = self.table.difference_gram_f64(count, n, &x[0, 0], &out[0, 0], threads)
            else:
                status = self.table.difference_gram_f32(count, n, &x[0, 0], &out[0, 0], threads)
        check(status)
        return gram

    def combine(self, const double[::1] coefficients, const real[:, ::1] x, real[::1] y,
                int threads):
        cdef double total = 0
        cdef Py_ssize_t count = x.shape[0], n = x.shape[1]
        cdef fml_status status
        with nogil:
            if real is double:
                status = self.table.combine_f64(count, n, &coefficients[0], &x[0, 0], &y[0],
                                                &total, threads)
            else:
                status = self.table.combine_f32(count, n, &coefficients[0], &x[0, 0], &y[0],
                                                &total, threads)
        check(status)
        return total

    def sparse_times(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                     const real[::1] values, const double[:, ::1] b, const double[::1] shift,
                     double[:, ::1] out, int threads):
        cdef Py_ssize_t m = out.shape[0], columns = out.shape[1]
        cdef const uint32_t *first = &indices[0] if indices.shape[0] else NULL
        cdef const real *value = &values[0] if values.shape[0] else NULL
        cdef const double *row = &b[0, 0] if b.shape[0] else NULL
        cdef fml_status status
        with nogil:
            if real is double:
                status = self.table.sparse_times_f64(
                    m, columns, &indptr[0], first, value, row, &shift[0], &out[0, 0], threads)
            else:
                status = self.table.sparse_times_f32(
                    m, columns, &indptr[0], first, value, row, &shift[0], &out[0, 0], threads)
        check(status)

    def sparse_gram_times(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                          const real[::1] values, const real[:, ::1] b, const double[::1] scale,
                          const double[::1] along, int parts, real[:, ::1] out, int threads):
        cdef Py_ssize_t m = indptr.shape[0] - 1, count = b.shape[0], n = b.shape[1]
        cdef const uint32_t *first = &indices[0] if indices.shape[0] else NULL
        cdef const real *value = &values[0] if values.shape[0] else NULL
        cdef const double *factor = pointer_or_null(scale)
        cdef const double *mean = pointer_or_null(along)
        cdef fml_status status
        with nogil:
            if real is double:
                status = self.table.sparse_gram_times_f64(
                    m, n, count, &indptr[0], first, value, &b[0, 0], factor, mean, parts,
                    &out[0, 0], threads)
            else:
                status = self.table.sparse_gram_times_f32(
                    m, n, count, &indptr[0], first, value, &b[0, 0], factor, mean, parts,
                    &out[0, 0], threads)
        check(status)
