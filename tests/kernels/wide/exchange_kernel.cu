// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/wide/exchange_kernel.h"

#include <string.h>

#include "kernels/arch/device.h"
#include "kernels/recurrence/wide/stage_ring.h"
#include "kernels/recurrence/wide/team_exchange.h"

namespace varlstm_test {
namespace {

using namespace varlstm;
using namespace varlstm::cuda;

using Area = TeamArea<kExchangeParts, kExchangeWords * sizeof(uint32_t), 2>;

template <class Ring>
VARLSTM_KERNEL void exchange_kernel(Area* area, uint32_t steps, uint32_t* sums) {
  Ring& ring = *simt::shared_memory<Ring>();
  TeamExchange<Area> exchange(area);
  const unsigned thread = threadIdx.x % 128;
  const bool reads = threadIdx.x < 128;
  if (threadIdx.x == 0) ring.begin();
  simt::cluster_sync();
  if (reads) {
    StageReader<Ring> reader(ring);
    const int part = static_cast<int>(blockIdx.x / 2);
    uint32_t sum = 0;
    for (uint32_t step = 0; step <= steps; ++step) {
      const uint32_t word = sum * 31 + 7 * blockIdx.x + thread + step;
      memcpy(exchange.values(step, part) + (blockIdx.x % 2 * 128 + thread) * sizeof word, &word, sizeof word);
      exchange.arrive(part, 1);
      if (step == steps) break;
      sum = 0;
      for (uint32_t k = 0; k < kExchangeParts; ++k) {
        const auto* words = reinterpret_cast<const uint32_t*>(reader.wait());
        sum += (words[thread] + words[thread + 128]) * (k + 1);
        simt::warp_sync();  // the whole warp has read it
        reader.release();
      }
      sums[(step * kExchangeBlocks + blockIdx.x) * 128 + thread] = sum;
    }
  } else {
    StageFiller<Ring> filler(ring);
    for (uint32_t step = 0; step < steps; ++step) {
      exchange.wait(step);
      for (int part = 0; part < Area::kParts && thread == 0; ++part) filler.fill(exchange.values(step, part));
      simt::warp_sync();
    }
  }
  simt::cluster_sync();  // no block ends before its peers have released its stages
}

template <class Ring>
cudaError_t launch(uint32_t steps, uint32_t* sums) {
  Area* area = nullptr;
  cudaError_t error = cudaMalloc(reinterpret_cast<void**>(&area), sizeof(Area));
  if (error != cudaSuccess) return error;
  error = cudaMemsetAsync(area, 0, sizeof(Area), nullptr);
  LaunchShape shape;
  shape.grid = dim3(kExchangeBlocks);
  shape.block = dim3(160);
  shape.cluster = Ring::kSharers * Ring::kStride;
  shape.cooperative = true;
  shape.shared_bytes = sizeof(Ring);
  if (error == cudaSuccess) error = simt::launch(shape, nullptr, "exchange", exchange_kernel<Ring>, area, steps, sums);
  if (error == cudaSuccess) error = cudaStreamSynchronize(nullptr);
  cudaFree(area);
  return error;
}

template <int kSlots>
cudaError_t launch_with_slots(const Sharing& sharing, uint32_t steps, uint32_t* sums) {
  constexpr int kBytes = Area::kPartBytes;
  if (sharing.sharers == 1) return launch<StageRing<kSlots, kBytes, 1>>(steps, sums);
  if (sharing.stride == 2) return launch<StageRing<kSlots, kBytes, 2, 2>>(steps, sums);
  return sharing.sharers == 2 ? launch<StageRing<kSlots, kBytes, 2>>(steps, sums)
                              : launch<StageRing<kSlots, kBytes, 4>>(steps, sums);
}

}  // namespace

cudaError_t launch_exchange(const Sharing& sharing, unsigned slots, uint32_t steps, uint32_t* sums) {
  return slots == 3 ? launch_with_slots<3>(sharing, steps, sums) : launch_with_slots<6>(sharing, steps, sums);
}

}  // namespace varlstm_test
