/* The table of kernels of one CPU level; compiled once per level. One that adds something to
 * another level, FML_BASE, has the kernels of that and its own product of numbers of 8 bits. */
#include "variant.h"

#ifdef FML_BASE
#define MATMUL_BYTES FML_JOIN(matmul_short, q8, FML_ISA)
extern fml_matmul_short_p16_fn MATMUL_BYTES;
#else
#define FML_BASE FML_ISA
#define MATMUL_BYTES FML_JOIN(matmul_short, p16, FML_ISA)
#endif

#define DECLARE(name, type) extern fml_##name##_##type##_fn FML_JOIN(name, type, FML_BASE);
FML_KERNELS(DECLARE, f64)
FML_KERNELS(DECLARE, f32)
FML_KERNELS_F64(DECLARE)
FML_KERNELS_F64X8(DECLARE)
FML_KERNELS_DENSE(DECLARE)

#define STRING_(text) #text
#define STRING(text) STRING_(text)
#define ENTRY(name, type) .name##_##type = FML_JOIN(name, type, FML_BASE),
extern const fml_table FML_JOIN(table, all, FML_ISA);
const fml_table FML_JOIN(table, all, FML_ISA) = {.isa = STRING(FML_ISA),
                                                 .matmul_bytes = MATMUL_BYTES,
                                                 FML_KERNELS(ENTRY, f64) FML_KERNELS(ENTRY, f32)
                                                     FML_KERNELS_F64(ENTRY) FML_KERNELS_F64X8(ENTRY)
                                                         FML_KERNELS_DENSE(ENTRY)};
