# Tests of the C ABI: of its checks over the host's back end and over a fake one, of its header, of running out of memory.
set(capi_catalogue
  capi_catalogue.cc capi_catalogue_loss.cc capi_catalogue_ops.cc capi_catalogue_rnn.cc capi_call.cc)
varlstm_add_test(capi_allocation_test capi_allocation_test.cc)
varlstm_add_test(capi_arguments_test capi_arguments_test.cc ${capi_catalogue})
varlstm_add_test(capi_batch_test capi_batch_test.cc)
varlstm_add_test(capi_error_test capi_error_test.cc)
varlstm_add_test(capi_handle_test capi_handle_test.cc)
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
