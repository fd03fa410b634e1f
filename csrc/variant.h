/* The name of a function in one variant. CMake compiles each file of kernels/ and dense/ once per
 * variant, with
 *   FML_REAL  the element type
 *   FML_TYPE  its short name: f64, f32, u64, u32, u16, f64x8 (columns.h), p16 and q8 (short.c), b64
 *             (bools.c)
 *   FML_ISA   the CPU level, for example x86_v3
 * so that a kernel is plain C over `real`, and FML(name) is its name in this variant. */
#ifndef FASTMML_VARIANT_H
#define FASTMML_VARIANT_H

#include "runtime.h"

#define FML_JOIN_(name, type, isa) fml_##name##_##type##_##isa
#define FML_JOIN(name, type, isa) FML_JOIN_(name, type, isa)
#define FML(name) FML_JOIN(name, FML_TYPE, FML_ISA)
#define FML_INLINE static inline __attribute__((always_inline))

typedef FML_REAL real;

#endif
