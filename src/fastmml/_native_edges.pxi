# Included by _native.pyx, where the helpers are: the kernels on edges and text, which have one
# version for every CPU.

cdef class Interner:
    """See fastmml._kernels.Interner."""
    cdef fml_interner *interner

    def __cinit__(self):
        self.interner = fml_interner_new()
        if self.interner == NULL:
            raise MemoryError("no memory for the table of labels")

    def __dealloc__(self):
        fml_interner_free(self.interner)

    def __len__(self):
        return fml_interner_size(self.interner)

    def add(self, const uint8_t[::1] text, const int64_t[::1] first, const int64_t[::1] second,
            uint32_t[::1] first_ids, uint32_t[::1] second_ids):
        cdef fml_status status
        # Keeps the interpreter's lock: two threads must not add to one table at once.
        with cython.critical_section(self):
            status = fml_interner_add(self.interner, <const char *>&text[0], first.shape[0],
                                      &first[0], &second[0], &first_ids[0], &second_ids[0])
        if status == FML_CAPACITY:
            raise OverflowError("more than 2**32 - 1 distinct labels")
        check(status)

    def labels(self):
        offsets = np.empty(len(self) + 1, np.int64)
        letters = np.empty(fml_interner_bytes(self.interner), np.uint8)
        cdef int64_t[::1] offsets_view = offsets
        cdef uint8_t[::1] letters_view = letters
        fml_interner_labels(self.interner, &offsets_view[0], <char *>&letters_view[0])
        return offsets, letters


cdef class EdgeKernels(LargeArrays):
    """The part of fastmml._kernels.Kernels that works on edges and text."""

    def bucket_count(self, const uint32_t[::1] dst, int shift, int64_t[:, ::1] counts,
                     int threads):
        cdef fml_status status
        with nogil:
            status = fml_bucket_count(dst.shape[0], &dst[0], shift, counts.shape[1],
                                      &counts[0, 0], threads)
        check(status)

    def bucket_scatter(self, const uint32_t[::1] src, const uint32_t[::1] dst,
                       const double[::1] weights, int shift, int64_t[:, ::1] positions,
                       uint32_t[::1] out_src, uint16_t[::1] out_local, double[::1] out_weights,
                       int threads):
        cdef fml_status status
        cdef const double *weight = pointer_or_null(weights)
        cdef double *out_weight = <double *>pointer_or_null(out_weights)
        with nogil:
            status = fml_bucket_scatter(
                src.shape[0], &src[0], &dst[0], weight, shift, positions.shape[1],
                &positions[0, 0], &out_src[0], &out_local[0], out_weight, threads)
        check(status)

    def bucket_sort(self, int64_t sources, int shift, const int64_t[::1] bounds,
                    uint16_t[::1] local, uint32_t[::1] src, double[::1] weights,
                    int64_t[::1] indptr, int threads):
        cdef fml_status status
        cdef Py_ssize_t n = indptr.shape[0] - 1
        cdef double *weight = <double *>pointer_or_null(weights)
        with nogil:
            status = fml_bucket_sort(n, sources, shift, bounds.shape[0] - 1, &bounds[0],
                                     &local[0], &src[0], weight, &indptr[0], threads)
        check(status)

    def component_order(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                        const uint8_t[::1] is_sink, uint32_t[::1] order):
        cdef Py_ssize_t n = order.shape[0], segments = 0, count = 0
        cdef fml_status status
        starts, levels = np.empty(n + 3, np.int64), np.empty(n + 3, np.int64)
        kinds = np.empty(n + 2, np.uint8)
        cdef int64_t[::1] starts_view = starts, levels_view = levels
        cdef uint8_t[::1] kinds_view = kinds
        with nogil:
            status = fml_component_order(
                n, &indptr[0], &indices[0], &is_sink[0], &order[0], &starts_view[0],
                &kinds_view[0], &levels_view[0], &segments, &count)
        check(status)
        return starts[:segments + 1].copy(), kinds[:segments].copy(), levels[:count + 1].copy()

    def degree_order(self, const int64_t[::1] indptr, const double[::1] out_degree,
                     const uint8_t[::1] is_sink, uint32_t[::1] order, int threads):
        cdef int64_t[2] bounds
        cdef fml_status status
        with nogil:
            status = fml_degree_order(order.shape[0], &indptr[0], &out_degree[0], &is_sink[0],
                                      &order[0], bounds, threads)
        check(status)
        return bounds[0], bounds[1]

    def permute_nodes(self, const uint32_t[::1] order, const int64_t[::1] indptr,
                      const double[::1] strength, uint32_t[::1] position, int64_t[::1] out_indptr,
                      double[::1] inverse_strength, int threads):
        cdef fml_status status
        with nogil:
            status = fml_permute_nodes(order.shape[0], &order[0], &indptr[0], &strength[0],
                                       &position[0], &out_indptr[0], &inverse_strength[0],
                                       threads)
        check(status)

    def gather_values(self, const uint32_t[::1] order, const double[:, ::1] values,
                      Py_ssize_t first, Py_ssize_t count, double[:, ::1] out, int threads):
        cdef fml_status status
        with nogil:
            status = fml_gather_values(out.shape[0], &order[0], &values[0, 0] + first,
                                       values.shape[1], count, &out[0, 0], out.shape[1], threads)
        check(status)

    def scatter_values(self, const uint32_t[::1] order, const double[:, ::1] values,
                       double[:, ::1] out, Py_ssize_t first, Py_ssize_t count, int threads):
        cdef fml_status status
        with nogil:
            status = fml_scatter_values(values.shape[0], &order[0], &values[0, 0],
                                        values.shape[1], &out[0, 0] + first, out.shape[1], count,
                                        threads)
        check(status)

    def permute_rows(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                     const double[::1] weights, const uint32_t[::1] position, plan, int threads):
        cdef fml_rank_plan unpacked = unpack_plan(plan)
        cdef const double *weight = pointer_or_null(weights)
        cdef fml_status status
        with nogil:
            status = fml_permute_rows(&indptr[0], &indices[0], weight, &position[0], &unpacked,
                                      threads)
        check(status)

    def out_strength(self, const uint32_t[::1] indices, const double[::1] weights,
                     double[::1] strength, int threads):
        cdef fml_status status
        cdef const double *weight = pointer_or_null(weights)
        with nogil:
            status = fml_out_strength(strength.shape[0], indices.shape[0], &indices[0], weight,
                                      &strength[0], threads)
        check(status)

    def rank_push(self, const int64_t[::1] indptr, const uint32_t[::1] indices,
                  const double[::1] weights, const double[::1] strength,
                  const uint32_t[::1] seeds, const double[::1] base, double damping,
                  double tolerance, int64_t max_links, uint32_t[::1] nodes, double[::1] ranks,
                  double[::1] images):
        cdef fml_out_links graph
        cdef Py_ssize_t count = 0
        cdef int64_t links = 0
        cdef fml_status status
        graph.indptr, graph.indices = &indptr[0], &indices[0]
        graph.weights, graph.strength = pointer_or_null(weights), pointer_or_null(strength)
        with nogil:
            status = fml_rank_push(&graph, seeds.shape[0], &seeds[0], &base[0], damping,
                                   tolerance, max_links, &nodes[0], &ranks[0], &images[0], &count,
                                   &links)
        check(status)
        return count, links

    def mark_ids(self, const uint32_t[::1] ids, uint8_t[::1] present, int threads):
        cdef fml_status status
        with nogil:
            status = fml_mark_ids(ids.shape[0], &ids[0], &present[0], threads)
        check(status)

    def relabel(self, const uint32_t[::1] table, uint32_t[::1] ids, int threads):
        cdef fml_status status
        with nogil:
            status = fml_relabel(ids.shape[0], &table[0], &ids[0], threads)
        check(status)

    def rmat_edges(self, int scale, uint64_t seed, int64_t first, uint32_t[::1] src,
                   uint32_t[::1] dst, int threads):
        cdef fml_status status
        with nogil:
            status = fml_rmat_edges(scale, seed, first, src.shape[0], &src[0], &dst[0],
                                    threads)
        check(status)

    def parse_edges(self, const uint8_t[::1] text, format, int64_t[::1] src, int64_t[::1] dst,
                    double[::1] weights, int threads):
        cdef fml_edge_format layout
        cdef fml_edge_report report
        cdef fml_status status
        cdef double *weight = <double *>pointer_or_null(weights)
        memset(&layout, 0, sizeof(layout))
        layout.kind = FML_SPANS if format.spans else FML_INTEGERS
        layout.delimiter = <char>ord(format.delimiter)
        layout.columns = format.columns
        layout.weighted = format.weighted
        for i, letter in enumerate(format.comments):
            layout.comments[i] = <char>ord(letter)
        with nogil:
            status = fml_parse_edges(<const char *>&text[0], text.shape[0], layout, src.shape[0],
                                     &src[0], &dst[0], weight, &report, threads)
        check(status)
        return EdgeReport(report.edges, report.lines, report.min_id, report.max_id, report.fault,
                          report.fault_line, report.fault_offset)

    def interner(self):
        return Interner()

    def bvgraph_offsets(self, const uint8_t[::1] stream, fml_coding coding, int64_t limit,
                        int64_t[::1] offsets):
        cdef fml_bvgraph_report report
        check(fml_bvgraph_offsets(&stream[0], stream.shape[0], coding, offsets.shape[0] - 1, limit,
                                  &offsets[0], &report))
        return RowReport(report.fault, report.node, report.bits)

    def bvgraph_rows(self, const uint8_t[::1] stream, format, const int64_t[::1] offsets,
                     int64_t[::1] indptr, uint32_t[::1] indices, int threads):
        cdef fml_bvgraph_format layout = format._asdict()
        cdef fml_bvgraph_report report
        cdef fml_status status
        cdef const int64_t *offset = NULL
        if offsets is not None:
            offset = &offsets[0]
        with nogil:
            status = fml_bvgraph_rows(&stream[0], stream.shape[0], &layout, indptr.shape[0] - 1,
                                      indices.shape[0], offset, &indptr[0], &indices[0], &report,
                                      threads)
        check(status)
        return RowReport(report.fault, report.node, report.bits)
