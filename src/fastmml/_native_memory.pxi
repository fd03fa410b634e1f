# Included by _native.pyx: large arrays in the memory of csrc/memory.c, by a handler of NumPy's
# (NEP 49), so that they own it as any other array does. A user's own handler is left alone.

cdef extern from "numpy/arrayobject.h":
    PyObject *PyDataMem_DefaultHandler
    object PyArray_Empty(int, cnp.npy_intp *, cnp.dtype, int)


cdef void *handler_malloc(void *ctx, size_t size) noexcept nogil:
    return fml_alloc(<Py_ssize_t>size, 1)


cdef void *handler_calloc(void *ctx, size_t count, size_t size) noexcept nogil:
    cdef void *memory = NULL
    if size == 0 or count <= <size_t>(-1) // 2 // size:
        memory = fml_alloc(<Py_ssize_t>(count * size), 1)
    return memset(memory, 0, count * size) if memory != NULL else NULL


cdef void *handler_realloc(void *ctx, void *memory, size_t size) noexcept nogil:
    return fml_realloc(memory, size)


cdef void handler_free(void *ctx, void *memory, size_t size) noexcept nogil:
    fml_free(memory)


cdef cnp.PyDataMem_Handler HANDLER
strcpy(HANDLER.name, b"fastmml")
HANDLER.version = 1
HANDLER.allocator.ctx = NULL
HANDLER.allocator.malloc = handler_malloc
HANDLER.allocator.calloc = handler_calloc
HANDLER.allocator.realloc = handler_realloc
HANDLER.allocator.free = handler_free
cdef object POOL = PyCapsule_New(&HANDLER, b"mem_handler", NULL)

#: Of an array of NumPy's.
cdef enum:
    MOST_DIMS = 64

#: Smaller arrays come from NumPy's own memory. malloc takes larger ones from the system, and gives
#: them back, until a process has freed still larger ones.
cdef Py_ssize_t LEAST_LARGE = 1 << 17


cdef bint is_large(int dims, const cnp.npy_intp *shape, Py_ssize_t itemsize) noexcept:
    cdef double size = itemsize
    cdef int d
    for d in range(dims):
        size *= shape[d]
    return size >= LEAST_LARGE


cdef cnp.ndarray numpy_empty(int dims, const cnp.npy_intp *shape, cnp.dtype number,
                             bint by_columns):
    Py_INCREF(number)  # which PyArray_Empty takes
    return PyArray_Empty(dims, <cnp.npy_intp *>shape, number, by_columns)


cdef cnp.ndarray empty_array(int dims, const cnp.npy_intp *shape, cnp.dtype number,
                             bint by_columns):
    """Like PyArray_Empty, for an array that is written from end to end."""
    if not is_large(dims, shape, number.itemsize):
        return numpy_empty(dims, shape, number, by_columns)
    before = cnp.PyDataMem_GetHandler()
    if <PyObject *>before != PyDataMem_DefaultHandler:
        return numpy_empty(dims, shape, number, by_columns)
    cnp.PyDataMem_SetHandler(POOL)
    try:
        return numpy_empty(dims, shape, number, by_columns)
    finally:
        cnp.PyDataMem_SetHandler(before)


cdef cnp.ndarray new_array(int dims, const cnp.npy_intp *shape, int type_num, Py_ssize_t itemsize,
                           bint by_columns=False):
    """Of a type of NumPy's own."""
    if not is_large(dims, shape, itemsize):
        return cnp.PyArray_EMPTY(dims, <cnp.npy_intp *>shape, type_num, by_columns)
    return empty_array(dims, shape, cnp.PyArray_DescrFromType(type_num), by_columns)


def get_memory_pool():
    """See fastmml._backend.get_memory_pool."""
    return fml_pool_limit()


def set_memory_pool(limit):
    """See fastmml._backend.set_memory_pool."""
    fml_set_pool_limit(limit)


def empty_memory_pool():
    """Give back all memory of dropped arrays."""
    fml_empty_pool()


def memory_pool_bytes():
    """How much memory of dropped arrays waits for the next ones."""
    return fml_pool_bytes()


cdef object numpy_dtype = np.dtype


cdef class LargeArrays:
    """See fastmml._kernels.Kernels."""

    def empty(self, shape, dtype, order="C"):
        cdef cnp.dtype number = dtype if isinstance(dtype, cnp.dtype) else numpy_dtype(dtype)
        cdef tuple lengths = shape if isinstance(shape, tuple) else (shape,)
        cdef cnp.npy_intp[MOST_DIMS] sizes
        cdef int d, dims = len(lengths)
        if dims > MOST_DIMS:
            raise ValueError(f"shape: expected at most {MOST_DIMS} dimensions, got {dims}")
        for d in range(dims):
            sizes[d] = lengths[d]
        return empty_array(dims, sizes, number, order == "F")
