# Usage: cmake -DPROGRAM=example -P capi_run_example.cmake
# Runs the example of a header. The values come from the LSTM's equations: step 0 of each sequence, from h = c = 0.
# SPDX-License-Identifier: Apache-2.0
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE result)
if(NOT result EQUAL 0 OR NOT errors STREQUAL "")
  message(FATAL_ERROR "the example ended with ${result}: ${errors}")
endif()
string(CONCAT pattern
  "^h of sequence 0, step 0, unit 0: -0\\.00717[67]\n"
  "h of sequence 1, step 0, unit 0: -0\\.007048\n"
  "h of sequence 2, step 0, unit 0: -0\\.006911\n$")
if(NOT output MATCHES "${pattern}")
  message(FATAL_ERROR "the example printed\n${output}and not\n${pattern}")
endif()
