# The lists of numeric kernels, and how they become an object library per element type and CPU
# level.

set(FML_KERNELS rank_pull difference_gram combine sparse_times sparse_gram_times
                small_solve small_inverse small_det small_eigh small_qr)
set(FML_KERNELS_F64 rank_solve rank_image)
set(FML_KERNELS_F64X8 rank_pull rank_solve rank_image) # for eight columns side by side
# The files of matrix products (csrc/dense), and those for floating-point numbers alone.
set(FML_DENSE tile pack vector direct flat tall blocked multiply fitting run matmul strassen gram)
set(FML_DENSE_FLOAT complex substitution solve_right solved_gram shifted centred_parts centred_rows
                    centred_shared centred_gram gram_times pairs pairwise_distances kneighbors
                    project)
set(FML_DENSE_F64 residual_products)
set(FML_DENSE_SHORT tile pack short) # and for pairs of numbers of 16 bits, and fours of 8
set(FML_REAL_f64 double)
set(FML_REAL_f32 float)
set(FML_REAL_f64x8 double)
set(FML_REAL_u64 uint64_t)
set(FML_REAL_u32 uint32_t)
set(FML_REAL_u16 uint16_t)
set(FML_REAL_p16 uint32_t)
set(FML_REAL_q8 uint32_t)
set(FML_REAL_b64 uint64_t)
set(FML_COLUMNS_f64 1)
set(FML_COLUMNS_f32 1)
set(FML_COLUMNS_f64x8 8)

# In kernels on small matrices, loops of at most four turns leave nothing but their bodies: matrices
# of that many rows stay in registers (3x3 and 4x4 take a third less time). With sanitizers all that
# would take minutes to compile.
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  set(small_options --param=max-completely-peeled-insns=4000 --param=max-completely-peel-times=4)
  if(FASTMML_SANITIZE)
    set(small_options -O1)
  endif()
  foreach(kernel solve inverse det eigh qr)
    set_source_files_properties(csrc/kernels/small_${kernel}.c PROPERTIES
      COMPILE_OPTIONS "${small_options}")
  endforeach()
endif()

# Its errors of roundings are exact where each rounding is written.
set_source_files_properties(csrc/dense/residual_products.c PROPERTIES
  COMPILE_OPTIONS $<$<NOT:$<C_COMPILER_ID:MSVC>>:-ffp-contract=off>)

# Levels, worst first; dispatch.c tests for exactly the features that these flags turn on.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT MSVC)
  set(FML_LEVELS x86_v2 x86_v3 x86_v4)
  set(FML_FLAGS_x86_v2 -march=x86-64-v2)
  set(FML_FLAGS_x86_v3 -march=x86-64-v2 -mavx2 -mfma -mbmi -mbmi2)
  set(FML_FLAGS_x86_v4 ${FML_FLAGS_x86_v3} -mavx512f -mavx512bw -mavx512cd -mavx512dq
                       -mavx512vl)
  # Levels that add an instruction for products of 8 bits to another one, whose other kernels they
  # have, too.
  include(CheckCCompilerFlag)
  check_c_compiler_flag(-mavxvnni FML_KNOWS_AVXVNNI)
  check_c_compiler_flag(-mavx512vnni FML_KNOWS_AVX512VNNI)
  set(FML_BASE_x86_v3_vnni x86_v3)
  set(FML_FLAGS_x86_v3_vnni ${FML_FLAGS_x86_v3} -mavxvnni)
  set(FML_BASE_x86_v4_vnni x86_v4)
  set(FML_FLAGS_x86_v4_vnni ${FML_FLAGS_x86_v4} -mavx512vnni)
  if(FML_KNOWS_AVXVNNI AND FML_KNOWS_AVX512VNNI)
    set(FML_LEVELS x86_v2 x86_v3 x86_v3_vnni x86_v4 x86_v4_vnni)
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(FML_LEVELS aarch64)
else()
  set(FML_LEVELS portable)
endif()

# Compiles `sources` for one element type at one level, into `target`.
function(fml_add_variant target type level sources)
  set(library fml_${type}_${level})
  add_library(${library} OBJECT ${sources})
  target_compile_definitions(${library} PRIVATE
    FML_REAL=${FML_REAL_${type}} FML_TYPE=${type} FML_ISA=${level}
    FML_COLUMNS=${FML_COLUMNS_${type}})
  if(DEFINED FML_BASE_${level})
    target_compile_definitions(${library} PRIVATE FML_BASE=${FML_BASE_${level}})
  endif()
  target_compile_options(${library} PRIVATE ${FML_FLAGS_${level}})
  target_link_libraries(${library} PRIVATE fml_options)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${library}>)
endfunction()

# Adds to `target` every kernel in every variant, a table for each level, and the list of levels.
function(fml_add_kernels target)
  foreach(list FML_KERNELS FML_KERNELS_F64 FML_KERNELS_F64X8)
    list(TRANSFORM ${list} REPLACE "(.+)" "csrc/kernels/\\1.c" OUTPUT_VARIABLE ${list}_sources)
  endforeach()
  foreach(list FML_DENSE FML_DENSE_FLOAT FML_DENSE_F64 FML_DENSE_SHORT)
    list(TRANSFORM ${list} REPLACE "(.+)" "csrc/dense/\\1.c" OUTPUT_VARIABLE ${list}_sources)
  endforeach()
  set(variants "")
  foreach(level IN LISTS FML_LEVELS)
    string(APPEND variants "X(${level})")
    if(DEFINED FML_BASE_${level})
      fml_add_variant(${target} q8 ${level} "${FML_DENSE_SHORT_sources};csrc/table.c")
      continue()
    endif()
    fml_add_variant(${target} f64 ${level}
      "${FML_KERNELS_sources};${FML_KERNELS_F64_sources};${FML_DENSE_sources};${FML_DENSE_FLOAT_sources};${FML_DENSE_F64_sources};csrc/table.c")
    fml_add_variant(${target} f32 ${level}
      "${FML_KERNELS_sources};${FML_DENSE_sources};${FML_DENSE_FLOAT_sources}")
    fml_add_variant(${target} f64x8 ${level} "${FML_KERNELS_F64X8_sources}")
    foreach(type u64 u32 u16)
      fml_add_variant(${target} ${type} ${level} "${FML_DENSE_sources}")
    endforeach()
    fml_add_variant(${target} p16 ${level} "${FML_DENSE_SHORT_sources}")
    fml_add_variant(${target} b64 ${level} "csrc/dense/bools.c")
  endforeach()
  target_compile_definitions(${target} PRIVATE "FML_VARIANTS=${variants}")
endfunction()
