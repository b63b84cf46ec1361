# Makes nvcc's own PTX of the kernels beside their emulated build: <build>/ptx/<name>.ptx. The target varlstm_ptx makes
# it; this belongs to `all` if tests are built, except in a sanitized build. If nvcc is missing, there is no such
# target.
# SPDX-License-Identifier: Apache-2.0
if(NOT VARLSTM_TEST_PTX)
  return()
endif()
find_program(VARLSTM_NVCC nvcc HINTS /usr/local/cuda/bin)
if(NOT VARLSTM_NVCC)
  message(STATUS "nvcc not found: the kernels' PTX is not made and not tested")
  return()
endif()

# varlstm_add_ptx(<folder> <files> <source>...): adds a rule for <folder>/<name>.ptx of each source, and puts their
# names in <files>.
function(varlstm_add_ptx folder files)
  file(MAKE_DIRECTORY ${folder})
  set(made)
  foreach(source ${ARGN})
    cmake_path(ABSOLUTE_PATH source)
    cmake_path(GET source STEM name)
    set(ptx ${folder}/${name}.ptx)
    add_custom_command(OUTPUT ${ptx}
      COMMAND ${VARLSTM_NVCC} -std=c++17 -arch=sm_90a -O3 -ptx -I${PROJECT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/tests
              -I${PROJECT_SOURCE_DIR}/capi/include -MD -MF ${folder}/${name}.d -MT ${ptx} -o ${ptx}
              ${source}
      DEPENDS ${source} DEPFILE ${folder}/${name}.d
      COMMENT "PTX of ${name}.cu" VERBATIM)
    list(APPEND made ${ptx})
  endforeach()
  set(${files} ${made} PARENT_SCOPE)
endfunction()

varlstm_add_ptx(${PROJECT_BINARY_DIR}/ptx ptx_files ${kernel_sources})
set(all_with_tests)
if(VARLSTM_BUILD_TESTS AND NOT VARLSTM_SANITIZE)  # a sanitized build tests none of it
  set(all_with_tests ALL)
endif()
add_custom_target(varlstm_ptx ${all_with_tests} DEPENDS ${ptx_files})
