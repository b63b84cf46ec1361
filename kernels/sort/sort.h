// A stable sort of pairs by key: CUB's radix sort, or the standard library's in the emulated build.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// *bytes <- workspace of stable_sort_pairs for up to `count` pairs (aligned to 256 bytes).
int32_t sort_workspace(int64_t count, int64_t* bytes);

// keys_out, values_out [count] <- keys and values in the order of the keys, smallest first. Pairs with equal keys keep
// their order. Keys are in [0, key_limit]. Input and output must not overlap.
int32_t stable_sort_pairs(Stream stream, int64_t count, int64_t key_limit, const uint64_t* keys, uint64_t* keys_out,
                          const int64_t* values, int64_t* values_out, void* workspace, int64_t workspace_bytes);

// Loads the sort's kernels to the current device, for small and large counts. It allocates memory and waits, so it is
// called only when a context is made.
int32_t load_sort(Stream stream);

}  // namespace varlstm::cuda
