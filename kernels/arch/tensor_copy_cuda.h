// The vocabulary of kernels on a GPU, continued: bulk copies of a box of a matrix, which need sm_90. If an architecture
// lacks them, a kernel that uses them must not be launched on it. simt/tensor_copy.h says what they do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda.h>

#include "kernels/arch/cluster_cuda.h"

namespace varlstm::simt {

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

VARLSTM_DEVICE void tensor_load(void* to, const CUtensorMap* map, int x, int y, uint64_t* mbarrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          shared_window(to)),
      "l"(map), "r"(x), "r"(y), "r"(shared_window(mbarrier))
      : "memory");
}
VARLSTM_DEVICE void tensor_load_multicast(void* to, const CUtensorMap* map, int x, int y, uint64_t* mbarrier,
                                          uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
      "[%1, {%2, %3}], [%4], %5;" ::"r"(shared_window(to)),
      "l"(map), "r"(x), "r"(y), "r"(shared_window(mbarrier)), "h"(blocks)
      : "memory");
}

#else

VARLSTM_DEVICE void tensor_load(void*, const CUtensorMap*, int, int, uint64_t*) {
  __trap();
}
VARLSTM_DEVICE void tensor_load_multicast(void*, const CUtensorMap*, int, int, uint64_t*, uint16_t) {
  __trap();
}

#endif

}  // namespace varlstm::simt
