# The one list of numeric kernels, and how each becomes one object library per CPU level.

set(FML_KERNELS_F64 rank_pull difference_gram combine)

# Levels, worst first; dispatch.c tests for exactly the features that these flags turn on.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT MSVC)
  set(FML_LEVELS x86_v2 x86_v3 x86_v4)
  set(FML_FLAGS_x86_v2 -march=x86-64-v2)
  set(FML_FLAGS_x86_v3 -march=x86-64-v2 -mavx2 -mfma -mbmi -mbmi2)
  set(FML_FLAGS_x86_v4 ${FML_FLAGS_x86_v3} -mavx512f -mavx512bw -mavx512cd -mavx512dq
                       -mavx512vl)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(FML_LEVELS aarch64)
else()
  set(FML_LEVELS portable)
endif()

# Adds to `target` every kernel at every level, their tables, and the dispatcher's list.
function(fml_add_kernels target)
  set(variants "")
  foreach(level IN LISTS FML_LEVELS)
    set(library fml_${level})
    list(TRANSFORM FML_KERNELS_F64 REPLACE "(.+)" "csrc/kernels/\\1.c" OUTPUT_VARIABLE sources)
    add_library(${library} OBJECT csrc/table.c ${sources})
    target_compile_definitions(${library} PRIVATE FML_REAL=double FML_TYPE=f64 FML_ISA=${level})
    target_compile_options(${library} PRIVATE ${FML_FLAGS_${level}})
    target_link_libraries(${library} PRIVATE fml_options)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${library}>)
    string(APPEND variants "X(${level})")
  endforeach()
  target_compile_definitions(${target} PRIVATE "FML_VARIANTS=${variants}")
endfunction()
