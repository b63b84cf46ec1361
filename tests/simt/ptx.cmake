# Tests of nvcc's PTX of the kernels, where the build makes it: names, and every kernel executed as its PTX has it.
# SPDX-License-Identifier: Apache-2.0
if(NOT TARGET varlstm_ptx OR VARLSTM_SANITIZE)
  return()
endif()
set(ptx_folder ${PROJECT_BINARY_DIR}/ptx)
add_test(NAME ptx_names
  COMMAND sh ${PROJECT_SOURCE_DIR}/tools/ptx_names.sh ${ptx_folder} $<TARGET_FILE:varlstm>)

# What the tests below reached is added up when all of them are done.
set(ptx_coverage ${PROJECT_BINARY_DIR}/ptx_coverage.txt)
add_test(NAME ptx_coverage.begin COMMAND ${CMAKE_COMMAND} -E rm -f ${ptx_coverage})
add_test(NAME ptx_coverage COMMAND sh ${PROJECT_SOURCE_DIR}/tools/ptx_coverage.sh ${ptx_coverage} 25)
set_tests_properties(ptx_coverage.begin PROPERTIES FIXTURES_SETUP ptx)
set_tests_properties(ptx_coverage PROPERTIES FIXTURES_CLEANUP ptx)

# varlstm_run_ptx(<program> <filter> [<policy>]): those tests of a program with kernels run by their PTX; `policy` is of
# giving rows to threads.
function(varlstm_run_ptx program filter)
  set(name ${program}.ptx)
  set(environment VARLSTM_TEST_BACKEND=cuda VARLSTM_EMULATOR_PTX=${ptx_folder}
                  VARLSTM_EMULATOR_PTX_COVERAGE=${ptx_coverage})
  if(ARGN)
    string(APPEND name .${ARGN})
    list(APPEND environment VARLSTM_ROW_POLICY=${ARGN})
  endif()
  add_test(NAME ${name} COMMAND ${program} --gtest_filter=${filter})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${VARLSTM_TEST_TIMEOUT} ENVIRONMENT "${environment}" LABELS cuda FIXTURES_REQUIRED ptx)
endfunction()

foreach(program batch_plan_test pack_test embedding_test log_softmax_test dropout_test optimizer_test rnn_import_test
                golden_lstm_test golden_ops_test scalar16_test lstm16_test device_gemm_test device_upload_test
                device_lengths_test tutorial_test slot_schedule_test)
  varlstm_run_ptx(${program} *)
endforeach()
# Without what takes long: shapes for many threads of the host, and central differences.
varlstm_run_ptx(linear_test -*Threads*:*Differences*)
varlstm_run_ptx(masked_loss_test -*Threads*:*Differences*)
varlstm_run_ptx(linear_cross_entropy_test -*Differences*:*LibrarysChoice*)
varlstm_run_ptx(lstm_test -LstmDropout.*)
foreach(policy lanes8 warp block)
  varlstm_run_ptx(scalar16_test *Loss*:*Softmax* ${policy})
  varlstm_run_ptx(log_softmax_test -*Threads*:*Differences* ${policy})
  varlstm_run_ptx(masked_loss_test -*Threads*:*Differences*:*Definition*:*Exact* ${policy})
endforeach()
# Every tile, with the race detector off.
varlstm_run_ptx(resident_recurrence_test *Accurate*)
set_property(TEST resident_recurrence_test.ptx APPEND PROPERTY ENVIRONMENT VARLSTM_EMULATOR_RACES=0)
