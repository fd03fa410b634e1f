/* What a numeric kernel sees. CMake compiles each file of kernels/ once per variant, with
 *   FML_REAL  the element type, double or float
 *   FML_TYPE  its short name, f64 or f32
 *   FML_ISA   the CPU level, for example x86_v3
 * so that a kernel is plain C over `real`, and FML(name) is its name in this variant. */
#ifndef FASTMML_KERNEL_H
#define FASTMML_KERNEL_H

#include "runtime.h"

#define FML_JOIN_(name, type, isa) fml_##name##_##type##_##isa
#define FML_JOIN(name, type, isa) FML_JOIN_(name, type, isa)
#define FML(name) FML_JOIN(name, FML_TYPE, FML_ISA)

typedef FML_REAL real;

/* Sums parts[0..count) by halves: the error grows with log(count), the order never changes. */
static inline real fml_sum_pairwise(const real *parts, ptrdiff_t count)
{
    real sum = 0;
    if (count <= 8) {
        for (ptrdiff_t i = 0; i < count; i++)
            sum += parts[i];
        return sum;
    }
    return fml_sum_pairwise(parts, count / 2) +
           fml_sum_pairwise(parts + count / 2, count - count / 2);
}

#endif
