# Tests of the C ABI: of its checks over the host's back end and over a fake one, of its header, of running out of memory.
varlstm_add_test(capi_arguments_test capi_arguments_test.cc capi_catalogue.cc capi_call.cc)

# The C ABI's own objects over a back end that only takes notes: no bad call may reach it.
function(varlstm_add_fake_backend_test name)
  add_executable(${name} ${ARGN} capi_fake_backend.cc $<TARGET_OBJECTS:varlstm_capi>)
  target_include_directories(${name} PRIVATE
    ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/capi/include)
  target_compile_definitions(${name} PRIVATE VARLSTM_TEST_DIR="${CMAKE_CURRENT_SOURCE_DIR}" VARLSTM_TEST_FAKE_BACKEND=1)
  target_link_libraries(${name} PRIVATE varlstm_flags GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${VARLSTM_TEST_TIMEOUT} ENVIRONMENT VARLSTM_TEST_BACKEND=cuda)
endfunction()
varlstm_add_fake_backend_test(capi_fake_arguments_test capi_arguments_test.cc capi_catalogue.cc capi_call.cc)
