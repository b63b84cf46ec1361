# nvcc's own PTX of the kernels, next to their emulated build: <build>/ptx/<name>.ptx, made by the target varlstm_ptx,
# which belongs to `all` where tests are built. Where nvcc is missing there is no such target.
# SPDX-License-Identifier: Apache-2.0
find_program(VARLSTM_NVCC nvcc HINTS /usr/local/cuda/bin)
if(NOT VARLSTM_NVCC)
  message(STATUS "nvcc not found: the kernels' PTX is not made and not tested")
  return()
endif()
set(ptx_folder ${PROJECT_BINARY_DIR}/ptx)
file(MAKE_DIRECTORY ${ptx_folder})
set(ptx_files)
foreach(source ${kernel_sources})
  get_filename_component(name ${source} NAME_WE)
  add_custom_command(OUTPUT ${ptx_folder}/${name}.ptx
    COMMAND ${VARLSTM_NVCC} -std=c++17 -arch=sm_90 -O3 -ptx -I${PROJECT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/capi/include
            -MD -MF ${ptx_folder}/${name}.d -MT ${ptx_folder}/${name}.ptx
            -o ${ptx_folder}/${name}.ptx ${CMAKE_CURRENT_SOURCE_DIR}/${source}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${ptx_folder}/${name}.d
    COMMENT "PTX of ${source}" VERBATIM)
  list(APPEND ptx_files ${ptx_folder}/${name}.ptx)
endforeach()
set(all_with_tests)
if(VARLSTM_BUILD_TESTS)
  set(all_with_tests ALL)
endif()
add_custom_target(varlstm_ptx ${all_with_tests} DEPENDS ${ptx_files})
