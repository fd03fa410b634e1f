# Compiler options, in two interface targets: fml_options for our C, fml_link for what links it.

add_library(fml_options INTERFACE)
add_library(fml_link INTERFACE)
target_include_directories(fml_options INTERFACE csrc)

if(NOT MSVC)
  set(FML_OPTIMISE -O3 -ffp-contract=fast -fno-math-errno)
  # Not reasons to warn: pragmas that a build without OpenMP ignores, and vectors wider than a
  # register passed to functions that are inlined anyway.
  target_compile_options(fml_options INTERFACE
    ${FML_OPTIMISE} -Wall -Wextra -Wconversion -Wshadow -Wno-unknown-pragmas -Wno-psabi)
endif()

if(FASTMML_WERROR)
  target_compile_options(fml_options INTERFACE -Werror)
  # A thread of musl has a stack of 128 KB; kernels on small matrices take up to 68 KB of it with
  # AVX-512. Sanitizers put more into frames.
  if(NOT FASTMML_SANITIZE AND NOT MSVC)
    target_compile_options(fml_options INTERFACE -Wframe-larger-than=81920)
  endif()
  # Not -Wextra: Cython's own dispatch by dtype sets off its maybe_uninitialized.
  set(FML_CYTHON_ARGS -Werror -X warn.unused=True)
endif()

if(FASTMML_SANITIZE)
  target_compile_options(fml_link INTERFACE
    -fsanitize=${FASTMML_SANITIZE} -fno-omit-frame-pointer -g)
  target_link_options(fml_link INTERFACE -fsanitize=${FASTMML_SANITIZE})
  target_link_libraries(fml_options INTERFACE fml_link)
endif()

if(FASTMML_OPENMP)
  find_package(OpenMP COMPONENTS C)
  if(OpenMP_C_FOUND)
    target_link_libraries(fml_options INTERFACE OpenMP::OpenMP_C)
    target_link_libraries(fml_link INTERFACE OpenMP::OpenMP_C)
  endif()
endif()
# Without OpenMP some arguments, variables and functions serve nothing.
if(NOT OpenMP_C_FOUND AND NOT MSVC)
  target_compile_options(fml_options INTERFACE -Wno-unused-parameter -Wno-unused-variable
    -Wno-unused-function)
endif()
