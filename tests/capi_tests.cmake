# Tests of the C ABI: of its checks over the host's back end and over a fake one, of its header, of running out of memory.
set(capi_catalogue
  capi_catalogue.cc capi_catalogue_loss.cc capi_catalogue_ops.cc capi_catalogue_rnn.cc capi_call.cc)
varlstm_add_test(capi_allocation_test capi_allocation_test.cc)
varlstm_add_test(capi_arguments_test capi_arguments_test.cc ${capi_catalogue})
varlstm_add_test(capi_batch_test capi_batch_test.cc)
varlstm_add_test(capi_error_test capi_error_test.cc)
varlstm_add_test(capi_handle_test capi_handle_test.cc)
varlstm_add_test(capi_hpp_test capi_hpp_test.cc)
varlstm_add_test(capi_hpp_calls_test capi_hpp_calls_test.cc)
varlstm_add_test(capi_hpp_sizes_test capi_hpp_sizes_test.cc)
varlstm_add_test(capi_ops_test capi_ops_test.cc)
varlstm_add_test(capi_rnn_test capi_rnn_test.cc)
varlstm_add_test(capi_threads_test capi_threads_test.cc)

# The C ABI's own objects over a back end that only takes notes: no bad call may reach it.
function(varlstm_add_fake_backend_test name)
  add_executable(${name} ${ARGN} support/fake_backend.cc $<TARGET_OBJECTS:varlstm_capi>)
  target_include_directories(${name} PRIVATE
    ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/capi/include)
  target_compile_definitions(${name} PRIVATE VARLSTM_TEST_DIR="${CMAKE_CURRENT_SOURCE_DIR}" VARLSTM_TEST_FAKE_BACKEND=1)
  target_compile_options(${name} PRIVATE ${VARLSTM_TEST_OPTIONS})
  target_link_libraries(${name} PRIVATE varlstm_flags GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${VARLSTM_TEST_TIMEOUT} ENVIRONMENT VARLSTM_TEST_BACKEND=cuda)
endfunction()
varlstm_add_fake_backend_test(capi_fake_arguments_test capi_arguments_test.cc ${capi_catalogue})
varlstm_add_fake_backend_test(backend_table_test backend_table_test.cc ${capi_catalogue})

# The header alone, and the program in its opening comment.
set(varlstm_header ${PROJECT_SOURCE_DIR}/capi/include/varlstm.h)
set(strict_flags -pedantic -Wall -Wextra -Werror -fsyntax-only)
add_test(NAME capi_header_c11 COMMAND ${CMAKE_C_COMPILER} -std=c11 ${strict_flags} -x c ${varlstm_header})
add_test(NAME capi_header_cxx17 COMMAND ${CMAKE_CXX_COMPILER} -std=c++17 ${strict_flags} -x c++ ${varlstm_header})

# varlstm.hpp in each standard by each compiler that is here; the test of sizes calls all of it. Once, not in each build.
if(NOT VARLSTM_SANITIZE)
  foreach(compiler g++ clang++)
    find_program(VARLSTM_${compiler} ${compiler})
    if(NOT VARLSTM_${compiler})
      message(STATUS "${compiler} not found: varlstm.hpp is not compiled by it")
      continue()
    endif()
    foreach(standard 17 20)
      add_test(NAME capi_hpp.${compiler}.${standard}
        COMMAND ${VARLSTM_${compiler}} -std=c++${standard} -Wall -Wextra -Wshadow -Werror -fsyntax-only
                -I${PROJECT_SOURCE_DIR}/capi/include -I. capi_hpp_sizes_test.cc
        WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    endforeach()
  endforeach()
endif()

add_custom_command(
  OUTPUT capi_example.c
  COMMAND ${CMAKE_COMMAND} -DHEADER=${varlstm_header} -DOUTPUT=capi_example.c
          -P ${CMAKE_CURRENT_SOURCE_DIR}/capi_extract_example.cmake
  DEPENDS ${varlstm_header} capi_extract_example.cmake)
add_executable(capi_example ${CMAKE_CURRENT_BINARY_DIR}/capi_example.c)
set_target_properties(capi_example PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
target_compile_options(capi_example PRIVATE -Wall -Wextra -Werror -pedantic)
target_link_libraries(capi_example PRIVATE varlstm varlstm_flags)
add_test(NAME capi_example
  COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:capi_example> -P ${CMAKE_CURRENT_SOURCE_DIR}/capi_run_example.cmake)

# The program in varlstm.hpp's opening comment, which prints what varlstm.h's does.
set(varlstm_hpp ${PROJECT_SOURCE_DIR}/capi/include/varlstm.hpp)
add_custom_command(
  OUTPUT capi_hpp_example.cc
  COMMAND sed -n "/^\\/\\/ EXAMPLE$/,/^\\/\\/ END OF EXAMPLE$/s|^//  ||p" ${varlstm_hpp} > capi_hpp_example.cc
  DEPENDS ${varlstm_hpp} VERBATIM)
add_executable(capi_hpp_example ${CMAKE_CURRENT_BINARY_DIR}/capi_hpp_example.cc)
target_link_libraries(capi_hpp_example PRIVATE varlstm varlstm_flags)
add_test(NAME capi_hpp_example
  COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:capi_hpp_example>
          -P ${CMAKE_CURRENT_SOURCE_DIR}/capi_run_example.cmake)

# The C++ blocks of the guide: its program, which prints what the guide says, and its fragments as tests. The C program is
# built by consumer.pkg_config, as the guide says.
set(varlstm_guide ${PROJECT_SOURCE_DIR}/capi/README.md)
foreach(part program fragments)
  add_custom_command(
    OUTPUT capi_guide_${part}.cc
    COMMAND awk -v part=${part} -f ${CMAKE_CURRENT_SOURCE_DIR}/capi_guide.awk ${varlstm_guide} > capi_guide_${part}.cc
    DEPENDS ${varlstm_guide} capi_guide.awk VERBATIM)
endforeach()
add_executable(capi_guide_program ${CMAKE_CURRENT_BINARY_DIR}/capi_guide_program.cc)
target_link_libraries(capi_guide_program PRIVATE varlstm varlstm_flags)
add_test(NAME capi_guide_program
         COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/capi_guide_program.sh $<TARGET_FILE:capi_guide_program>)
varlstm_add_test(capi_guide_test ${CMAKE_CURRENT_BINARY_DIR}/capi_guide_fragments.cc)
# A fragment may name what it shows and never uses.
target_compile_options(capi_guide_test PRIVATE -Wno-unused-variable -Wno-unused-but-set-variable)
