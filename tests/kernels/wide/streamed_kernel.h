// Both passes of an LSTM in BF16 with H = 256 by one wide team, whose weights are streamed as at H = 2048 or stay in
// shared memory. The library streams weights of 16 bits at H = 2048 alone, where a step reads 32 MB of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/scalar_types.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/schedule/slot_schedule.h"

namespace varlstm_test {

constexpr int64_t kStreamedTestHidden = 256;

// The bytes of what a team takes besides the layer, for either pass: the area of its exchange and the arranged weights.
struct StreamedBytes {
  int64_t area, weights;
};
StreamedBytes streamed_bytes();

// Runs the pass. schedule: of one team, of 8 slots if the weights are streamed and otherwise of 64.
int32_t run_team(bool streamed, varlstm::cuda::Stream stream, const varlstm::cuda::SlotSchedule& schedule, void* area,
                 unsigned char* weights, const varlstm::cuda::LayerForward<varlstm::Bf16, float>& layer);
int32_t run_team(bool streamed, varlstm::cuda::Stream stream, const varlstm::cuda::SlotSchedule& schedule, void* area,
                 unsigned char* weights, const varlstm::cuda::LayerBackward<varlstm::Bf16, float>& layer);

}  // namespace varlstm_test
