# Tests of nvcc's PTX of the kernels, where the build makes it.
# SPDX-License-Identifier: Apache-2.0
if(TARGET varlstm_ptx)
  add_test(NAME ptx_names
    COMMAND sh ${PROJECT_SOURCE_DIR}/tools/ptx_names.sh ${PROJECT_BINARY_DIR}/ptx $<TARGET_FILE:varlstm>)
endif()
