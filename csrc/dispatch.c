/* Which variants were compiled in, and which of them this machine can run. CMake passes
 * FML_VARIANTS, the list X(level) X(level) ..., worst first. */
#include "fastmml.h"

#include <string.h>
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

#define DECLARE(isa) extern const fml_table fml_table_all_##isa;
#define X(isa) DECLARE(isa)
FML_VARIANTS
#undef X

const fml_table *const *fml_variants(void)
{
#define X(isa) &fml_table_all_##isa,
    static const fml_table *const variants[] = {FML_VARIANTS NULL};
#undef X
    return variants;
}

#if defined(__x86_64__) && defined(__GNUC__)

/* Each test names exactly the features that the level's flags in cmake/kernels.cmake turn on. */
static bool runs_x86_v2(void)
{
    return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
           __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
}

static bool runs_x86_v3(void)
{
    return runs_x86_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static bool runs_x86_v4(void)
{
    return runs_x86_v3() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* Read here, since clang's __builtin_cpu_supports does not know it. */
static bool has_avxvnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4) != 0;
}

bool fml_variant_runs(const fml_table *variant)
{
    __builtin_cpu_init();
    if (strcmp(variant->isa, "x86_v2") == 0)
        return runs_x86_v2();
    if (strcmp(variant->isa, "x86_v3") == 0)
        return runs_x86_v3();
    if (strcmp(variant->isa, "x86_v3_vnni") == 0)
        return runs_x86_v3() && has_avxvnni();
    if (strcmp(variant->isa, "x86_v4") == 0)
        return runs_x86_v4();
    return strcmp(variant->isa, "x86_v4_vnni") == 0 && runs_x86_v4() &&
           __builtin_cpu_supports("avx512vnni");
}

#else

/* Elsewhere there is one level, the one that the compiler builds for anyway. */
bool fml_variant_runs(const fml_table *variant)
{
    return variant != NULL;
}

#endif
