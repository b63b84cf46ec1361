// Waits for words that other blocks send through global memory, each of which shows by itself whether it has come.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"

namespace varlstm::cuda {

// words[k] <- the word at place(k), when it has come by what it waits for. All are asked for together, and only those
// again that have not come. give(k, word) is called when word k has been loaded, even if it has not come; at last with
// those that have. So what it does need not wait for the look at the words.
template <int kCount, class Place, class Awaited, class Give>
VARLSTM_DEVICE void take_words(const char* what, const Place& place, const Awaited& awaited,
                               simt::b32x4 (&words)[kCount], const Give& give) {
  uint32_t looks[kCount], all;
  const auto look = [&] {
#pragma unroll
    for (int k = 0; k < kCount; ++k) looks[k] = awaited.look(words[k]);
    all = looks[0];
#pragma unroll
    for (int k = 1; k < kCount; ++k) all = awaited.both(all, looks[k]);
    return awaited.come(all);
  };
#pragma unroll
  for (int k = 0; k < kCount; ++k) words[k] = simt::load_relaxed16(place(k));
#pragma unroll
  for (int k = 0; k < kCount; ++k) give(k, words[k]);
  if (look()) return;
  simt::spin_until(what, [&] {
#pragma unroll
    for (int k = 0; k < kCount; ++k)
      if (!awaited.come(looks[k])) words[k] = simt::load_relaxed16(place(k));
#pragma unroll
    for (int k = 0; k < kCount; ++k) give(k, words[k]);
    return look();
  });
}

}  // namespace varlstm::cuda
