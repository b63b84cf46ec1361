# How a test program is built and run, on each back end.
# SPDX-License-Identifier: Apache-2.0
set(VARLSTM_TESTS ${CMAKE_CURRENT_SOURCE_DIR})

# Every test program links these: varlstm.h, GoogleTest and the headers of tests/ as "support/<name>.h".
add_library(varlstm_test_support INTERFACE)
target_include_directories(varlstm_test_support INTERFACE ${VARLSTM_TESTS})
target_compile_definitions(varlstm_test_support INTERFACE
  VARLSTM_TEST_DIR="${VARLSTM_TESTS}" $<$<BOOL:${VARLSTM_EMULATED}>:VARLSTM_EMULATED=1>)
target_link_libraries(varlstm_test_support INTERFACE varlstm varlstm_flags GTest::gtest GTest::gtest_main)
# The tests' own code need not be fast: a test file compiles in half the time, sanitized in a third.
# VARLSTM_TEST_TIMEOUT: seconds that one test program may take, many times what a quiet machine needs, so that other work
# on a machine fails no test; sanitized builds are slower.
set(VARLSTM_TEST_OPTIONS $<$<NOT:$<CONFIG:Debug>>:-O1>)
set(VARLSTM_TEST_TIMEOUT 900)
if(VARLSTM_SANITIZE)
  set(VARLSTM_TEST_OPTIONS -O0)
  set(VARLSTM_TEST_TIMEOUT 1800)
endif()
target_compile_options(varlstm_test_support INTERFACE ${VARLSTM_TEST_OPTIONS})

# What every test includes, compiled once for all programs: a test file then compiles in three quarters of the time.
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/common_headers.cc CONTENT "// Only its precompiled headers are used.\n")
add_library(varlstm_test_headers OBJECT ${CMAKE_CURRENT_BINARY_DIR}/common_headers.cc)
target_link_libraries(varlstm_test_headers PRIVATE varlstm_test_support)
set_target_properties(varlstm_test_headers PROPERTIES VARLSTM_ONLY_TESTS ON)
target_precompile_headers(varlstm_test_headers PRIVATE
  <gtest/gtest.h> <algorithm> <cmath> <cstdint> <cstring> <functional> <limits> <memory> <random> <string> <tuple> <vector>)

# varlstm_add_test(<name> <source>...): a program of that name, run by ctest under that name. A test that compiles code of
# the library, from its headers, sets VARLSTM_ONLY_TESTS to OFF.
function(varlstm_add_test name)
  add_executable(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES VARLSTM_ONLY_TESTS ON)
  target_link_libraries(${name} PRIVATE varlstm_test_support)
  target_precompile_headers(${name} REUSE_FROM varlstm_test_headers)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${VARLSTM_TEST_TIMEOUT})
endfunction()

# varlstm_run_again(<name> <variant> <VAR=value>...): runs that program once more as <name>.<variant>, in another
# environment.
function(varlstm_run_again name variant)
  add_test(NAME ${name}.${variant} COMMAND ${name})
  set_tests_properties(${name}.${variant} PROPERTIES
    TIMEOUT ${VARLSTM_TEST_TIMEOUT} ENVIRONMENT "${ARGN}")
endfunction()

# varlstm_run_on_lesser_isas(<name>): runs that program once more on each instruction set that is less than the best of
# this machine.
set(lesser_isas baseline)
if(EXISTS /proc/cpuinfo)
  file(STRINGS /proc/cpuinfo avx512_machine REGEX "[ \t]avx512f([ \t]|$)" LIMIT_COUNT 1)
  if(avx512_machine)
    list(APPEND lesser_isas avx2)
  endif()
endif()
function(varlstm_run_on_lesser_isas name)
  foreach(isa ${lesser_isas})
    varlstm_run_again(${name} ${isa} VARLSTM_HOST_ISA=${isa})
  endforeach()
endfunction()

# As varlstm_add_test, for a test that includes headers of host/: it links the back end's objects, as libvarlstm does.
function(varlstm_add_host_test name)
  varlstm_add_test(${name} ${ARGN} $<TARGET_OBJECTS:varlstm_host>)
  set_target_properties(${name} PROPERTIES VARLSTM_ONLY_TESTS OFF
                        DISABLE_PRECOMPILE_HEADERS ON)  # compiled with OpenMP, unlike those headers
  target_compile_options(${name} PRIVATE -fopenmp-simd)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE varlstm_blas)
endfunction()

# The same for a test of the CUDA back end that calls the CUDA runtime itself. In the emulated build it links the library's
# objects, to share the emulated runtime with them.
function(varlstm_add_device_test name)
  if(VARLSTM_EMULATED)
    add_executable(${name} ${ARGN} $<TARGET_OBJECTS:varlstm_capi> $<TARGET_OBJECTS:varlstm_host>
                   $<TARGET_OBJECTS:varlstm_cuda> $<TARGET_OBJECTS:varlstm_simt>)
    target_include_directories(${name} PRIVATE ${VARLSTM_TESTS} ${PROJECT_SOURCE_DIR}/capi/include)
    target_compile_definitions(${name} PRIVATE VARLSTM_EMULATED=1)
    target_compile_options(${name} PRIVATE ${VARLSTM_TEST_OPTIONS})
    target_link_libraries(${name} PRIVATE varlstm_flags GTest::gtest GTest::gtest_main varlstm_blas
                          ${VARLSTM_BOOST_CONTEXT} ${CMAKE_DL_LIBS})
  else()
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE varlstm_test_support CUDA::cudart_static)
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${VARLSTM_TEST_TIMEOUT} LABELS cuda ENVIRONMENT VARLSTM_TEST_BACKEND=cuda)
endfunction()

# varlstm_run_on_cuda(<name> <variant> [<VAR=value>...]): runs that program once more as <name>.<variant>, on the CUDA back
# end, on a GPU or emulated.
function(varlstm_run_on_cuda name variant)
  varlstm_run_again(${name} ${variant} VARLSTM_TEST_BACKEND=cuda ${ARGN})
  set_tests_properties(${name}.${variant} PROPERTIES LABELS cuda)
endfunction()

# varlstm_add_cuda_reruns(<name>... [WITHOUT_RACES] [UNSANITIZED]): runs those programs once more on the CUDA back end, if it is built, as
# <name>.cuda; bin/cuda_tests.txt names them for tools/gpu_check.sh. WITHOUT_RACES is for programs whose kernels the race
# detector sees in other tests: they take a fraction of the time. UNSANITIZED leaves programs out of the sanitized build,
# where the kernels themselves are not sanitized: the emulator checks their accesses in the release build.
function(varlstm_add_cuda_reruns)
  cmake_parse_arguments(reruns "WITHOUT_RACES;UNSANITIZED" "" "" ${ARGN})
  if(TARGET varlstm_cuda)
    set_property(GLOBAL APPEND PROPERTY varlstm_cuda_programs ${reruns_UNPARSED_ARGUMENTS})
    if(reruns_UNSANITIZED AND VARLSTM_SANITIZE)
      return()
    endif()
    foreach(name ${reruns_UNPARSED_ARGUMENTS})
      if(reruns_WITHOUT_RACES)
        varlstm_run_on_cuda(${name} cuda VARLSTM_EMULATOR_RACES=0)
      else()
        varlstm_run_on_cuda(${name} cuda)
      endif()
    endforeach()
  endif()
endfunction()

# The same of programs that take minutes if the kernels are emulated: in the release build alone, and without races.
function(varlstm_add_long_cuda_reruns)
  if(TARGET varlstm_cuda)
    set_property(GLOBAL APPEND PROPERTY varlstm_long_cuda_programs ${ARGN})
    if(NOT VARLSTM_SANITIZE)
      foreach(name ${ARGN})
        varlstm_run_on_cuda(${name} cuda VARLSTM_EMULATOR_RACES=0)
      endforeach()
    endif()
  endif()
endfunction()

# varlstm_add_late_reruns(<name>...): runs those programs once more on the emulator with work that runs only when it is
# waited for; the race detector has seen them without that. Like all that follow, not in the sanitized build.
function(varlstm_add_late_reruns)
  if(VARLSTM_EMULATED AND NOT VARLSTM_SANITIZE)
    foreach(name ${ARGN})
      varlstm_run_on_cuda(${name} late VARLSTM_EMULATOR_STREAMS=late VARLSTM_EMULATOR_RACES=0)
    endforeach()
  endif()
endfunction()

# varlstm_add_gemm_reruns(<policy> <name>...): the same with every product in what stands for cuBLAS, or with none.
function(varlstm_add_gemm_reruns policy)
  if(VARLSTM_EMULATED AND NOT VARLSTM_SANITIZE)
    foreach(name ${ARGN})
      varlstm_run_on_cuda(${name} ${policy} VARLSTM_GEMM_POLICY=${policy} VARLSTM_EMULATOR_RACES=0)
    endforeach()
  endif()
endfunction()

# varlstm_add_row_reruns(<policy> <name>...): the same with one way of giving rows to threads, whichever the shape would
# choose.
function(varlstm_add_row_reruns policy)
  if(TARGET varlstm_cuda AND NOT VARLSTM_SANITIZE)
    foreach(name ${ARGN})
      varlstm_run_on_cuda(${name} ${policy} VARLSTM_ROW_POLICY=${policy})
    endforeach()
  endif()
endfunction()

# varlstm_add_recurrence_reruns(<name>... [WITHOUT_RACES]): runs those programs once more in each way of the recurrence that
# AUTO does not choose. AUTO is cluster on the emulated device and on sm_90.
function(varlstm_add_recurrence_reruns)
  cmake_parse_arguments(reruns "WITHOUT_RACES" "" "" ${ARGN})
  set(races "")
  if(reruns_WITHOUT_RACES)
    set(races VARLSTM_EMULATOR_RACES=0)
  endif()
  if(TARGET varlstm_cuda AND NOT VARLSTM_SANITIZE)
    foreach(recurrence stepwise grid)
      foreach(name ${reruns_UNPARSED_ARGUMENTS})
        varlstm_run_on_cuda(${name} ${recurrence} VARLSTM_RECURRENCE_POLICY=${recurrence} ${races})
      endforeach()
    endforeach()
  endif()
endfunction()
