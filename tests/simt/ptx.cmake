# Tests of nvcc's PTX of the kernels, where the build makes it: names, and every kernel executed as its PTX has it.
# SPDX-License-Identifier: Apache-2.0
if(NOT TARGET varlstm_ptx OR VARLSTM_SANITIZE)
  return()
endif()
set(ptx_folder ${PROJECT_BINARY_DIR}/ptx)
add_test(NAME ptx_names
  COMMAND sh ${PROJECT_SOURCE_DIR}/tools/ptx_names.sh ${ptx_folder} $<TARGET_FILE:varlstm>)
# The steps of a table's rows give the bits of those of the whole table, in other kernels.
add_test(NAME ptx_sums
  COMMAND sh ${PROJECT_SOURCE_DIR}/tools/ptx_sums.sh ${ptx_folder}/optimizer.ptx ${ptx_folder}/adam_rows.ptx)

# What the tests below reached is added up when all of them are done.
set(ptx_coverage ${PROJECT_BINARY_DIR}/ptx_coverage.txt)
add_test(NAME ptx_coverage.begin COMMAND ${CMAKE_COMMAND} -E rm -f ${ptx_coverage})
set_tests_properties(ptx_coverage.begin PROPERTIES FIXTURES_SETUP ptx)
set(ptx_programs 0)

# varlstm_run_ptx(<program> <filter> [<variant> <VAR=value>...]): those tests of a program with kernels run by their PTX,
# in that environment.
function(varlstm_run_ptx program filter)
  list(POP_FRONT ARGN variant)
  set(name ${program}.ptx)
  if(variant)
    string(APPEND name .${variant})
  endif()
  set(environment VARLSTM_TEST_BACKEND=cuda VARLSTM_EMULATOR_PTX=${ptx_folder}
                  VARLSTM_EMULATOR_PTX_COVERAGE=${ptx_coverage} ${ARGN})
  add_test(NAME ${name} COMMAND ${program} --gtest_filter=${filter})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${VARLSTM_TEST_TIMEOUT} ENVIRONMENT "${environment}" LABELS cuda FIXTURES_REQUIRED ptx)
  math(EXPR programs "${ptx_programs} + 1")
  set(ptx_programs ${programs} PARENT_SCOPE)
endfunction()

foreach(program batch_plan_test pack_test embedding_test log_softmax_test dropout_test optimizer_test rows_test rnn_import_test
                golden_ops_test copy_columns_test scalar16_test lstm16_test device_gemm_test device_gemm_group_test
                device_gemm_pair_test device_gemm_policy_test device_upload_test device_lengths_test embedding_ways_test
                slot_schedule_test)
  varlstm_run_ptx(${program} *)
endforeach()
# Without what takes long: shapes for many threads of the host, and central differences.
varlstm_run_ptx(linear_test -*Threads*:*Differences*)
varlstm_run_ptx(masked_loss_test -*Threads*:*Differences*)
varlstm_run_ptx(linear_cross_entropy_test -*Differences*:*LibrarysChoice*)
varlstm_run_ptx(conv_max_test *ManyWords:*Offsets*:ConvMax16*:*FirstOfEqual*)
# Both passes, with and without what may be NULL. What is refused, and the same kernels at other bounds, run emulated alone.
varlstm_run_ptx(lstm_test *AddedTo:*InferEqualsSave:*CellStates*:*ZeroLength*:*DropoutLeaves*:LstmTest/f32.*Missing*:LstmTest/f32.*ReserveOf*)
varlstm_run_ptx(options_test *MatchTheReference reference VARLSTM_EMULATOR_RACES=0)
varlstm_run_ptx(options_test *MatchTheReferenceInFloat float VARLSTM_EMULATOR_RACES=0)
varlstm_run_ptx(step_test *Equal*:Step.BadSlots*)
varlstm_run_ptx(resets_test LstmResets/f32*:LstmResetsIn16Bits*:ProjectedLstmResets/f32*:ResetFlags.*)
foreach(policy lanes8 warp block)
  varlstm_run_ptx(scalar16_test *Loss*:*Softmax* ${policy} VARLSTM_ROW_POLICY=${policy})
  varlstm_run_ptx(log_softmax_test -*Threads*:*Differences* ${policy} VARLSTM_ROW_POLICY=${policy})
  varlstm_run_ptx(masked_loss_test -*Threads*:*Differences*:*Definition*:*Exact* ${policy} VARLSTM_ROW_POLICY=${policy})
endforeach()
varlstm_run_ptx(lstm16_test * stepwise VARLSTM_RECURRENCE_POLICY=stepwise)
varlstm_run_ptx(step_tiles_test *GiveTheSameBits/bf16 tiles VARLSTM_EMULATOR_RACES=0)
# Every tile of an LSTM but the widest in F16, in twelve parts, none of which takes a minute. Of the other cells the tiles up
# to H = 128, and those of 256 where warps share the depth of a product; the larger ones, which have the same code in other
# sizes, need not run.
foreach(part RANGE 11)
  varlstm_run_ptx(resident_recurrence_test Ways*Accurate* tiles${part} VARLSTM_EMULATOR_RACES=0
                  GTEST_TOTAL_SHARDS=12 GTEST_SHARD_INDEX=${part})
endforeach()
set(other_cells OtherCells*SmallTilesAreAccurate/*:OtherCells*Middle*:OtherCells*Wide*/Gru_cluster_tf32)
string(APPEND other_cells :OtherCells*BitsOfStepwise/*grid_f32)  # no other entry runs stepwise of these cells in F32, backward
varlstm_run_ptx(resident_recurrence_test ${other_cells} other_cells VARLSTM_EMULATOR_RACES=0)
set(ptx_need_not_run "ResidentTile.*(GruCell|RnnCell).*MathELi(256|384|512|640|768|896|1024|2048)E")
# An LSTM's tiles of H > 256 in F16 have the code of BF16 in another type, as the smaller ones that run.
string(APPEND ptx_need_not_run "|ResidentTile.*LstmCell.*F16MathELi(384|512|640|768|896|1024|2048)E")
# Of the tiles of a step, the small ones in 16 bits run for every cell. The wide ones and those in TF32, and CUDA cores in
# place of tensor cores, have the same code in other sizes and types.
string(APPEND ptx_need_not_run "|StepTile.*(Tf32Math|MathELi64E)|CudaCoresINS_")
# Both passes by wide teams run at the smallest H, those of F16 for an LSTM. So the PTX of the weights that are streamed
# runs in TF32; that of 16 bits at H = 2048 does not, because there one step reads 32 MB of weights. In its place the same
# code runs at H = 256, which the library does not have: it is in a folder of its own, and its coverage counts with it.
varlstm_run_ptx(wide_forward_test *FewSequences* few VARLSTM_EMULATOR_RACES=0)
string(APPEND ptx_need_not_run "|WideTeamTile.*(MathELi(512|768|1024|2048)E|(GruCell|RnnCell).*F16Math)")
varlstm_add_ptx(${PROJECT_BINARY_DIR}/ptx_of_wide wide_ptx_files ${CMAKE_CURRENT_SOURCE_DIR}/kernels/wide/streamed_kernel.cu)
add_custom_target(varlstm_wide_ptx ALL DEPENDS ${wide_ptx_files})
varlstm_run_ptx(wide_streamed_test * "" VARLSTM_EMULATOR_RACES=0 VARLSTM_EMULATOR_PTX=${PROJECT_BINARY_DIR}/ptx_of_wide)
math(EXPR ptx_programs "${ptx_programs} - 1")  # it does not come to the library's kernels
# What only many rows take runs in one type: the pieces of an embedding's gradient, and the chunks of a loss.
string(APPEND ptx_need_not_run "|(sum|join)_pieces_kernelINS_(3F16|4Bf16)E|(weigh|sum)_chunk_kernelId")
varlstm_run_ptx(resident_layers_test *Wide* tiles VARLSTM_EMULATOR_RACES=0)
# In the grid's order backward by wide teams runs at one H. Other cells and H have the same code in other sizes.
varlstm_run_ptx(wide_backward_test *LstmHasTheBitsOfTheGrid "" VARLSTM_EMULATOR_RACES=0)
string(APPEND ptx_need_not_run "|WideBackwardTile.*(GruCell|RnnCell|Li(768|1024|2048)E|Li512ELb0E|F16MathELi512ELb1E)")

# A kernel for the occupancy alone is empty.
string(APPEND ptx_need_not_run "|occupant_kernel")

# A program that was killed has left nothing to add up: that is its own failure, and none of the coverage.
add_test(NAME ptx_coverage
  COMMAND sh ${PROJECT_SOURCE_DIR}/tools/ptx_coverage.sh ${ptx_coverage} 25 ${ptx_programs} ${ptx_need_not_run})
set_tests_properties(ptx_coverage PROPERTIES FIXTURES_CLEANUP ptx SKIP_RETURN_CODE 77)
