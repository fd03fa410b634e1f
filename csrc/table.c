/* The table of kernels of one CPU level; compiled once per level. */
#include "variant.h"

#define DECLARE(name, type) extern fml_##name##_##type##_fn FML_JOIN(name, type, FML_ISA);
FML_KERNELS(DECLARE, f64)
FML_KERNELS(DECLARE, f32)
FML_KERNELS_F64(DECLARE)
FML_KERNELS_F64X8(DECLARE)
FML_KERNELS_DENSE(DECLARE)

#define STRING_(text) #text
#define STRING(text) STRING_(text)
#define ENTRY(name, type) .name##_##type = FML_JOIN(name, type, FML_ISA),
extern const fml_table FML_JOIN(table, all, FML_ISA);
const fml_table FML_JOIN(table, all, FML_ISA) = {.isa = STRING(FML_ISA),
                                                 FML_KERNELS(ENTRY, f64) FML_KERNELS(ENTRY, f32)
                                                     FML_KERNELS_F64(ENTRY) FML_KERNELS_F64X8(ENTRY)
                                                         FML_KERNELS_DENSE(ENTRY)};
