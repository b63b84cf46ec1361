// A kernel that uses some primitives, and what must come out of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <vector>

#include "tests/simt/tensor_maps.h"

namespace varlstm::test {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

// A case runs as kBlocks blocks of kThreads threads in clusters of 2, cooperatively, with 4096 bytes of shared memory,
// on kWords words that are 0 before. Of those the first kBlocks * kThreads are compared. A case of warpgroups has half
// as many blocks of twice as many threads, with kWarpgroupBytes of shared memory. A mapped kernel is in the place of
// `kernel`: it gets maps of the matrix in words[512..].
constexpr unsigned kThreads = 64;
constexpr unsigned kBlocks = 4;
constexpr unsigned kWords = 1024;
constexpr unsigned kWarpgroup = 128;
constexpr unsigned kWarpgroupBytes = 48 << 10;

struct ConformanceCase {
  const char* name;
  void (*kernel)(uint32_t* words);
  uint32_t (*expected)(unsigned word);
  bool three_dimensions;  // grid [2, 1, 2] of blocks [8, 4, 2] in place of [4] and [64]
  bool warpgroup = false;
  void (*mapped)(uint32_t* words, TensorMaps maps) = nullptr;
};

VARLSTM_DEVICE unsigned word_of_thread() {
  return blockIdx.x * kThreads + threadIdx.x;
}

std::vector<ConformanceCase> basic_cases();
std::vector<ConformanceCase> memory_cases();
std::vector<ConformanceCase> number_cases();
std::vector<ConformanceCase> warpgroup_cases();
std::vector<ConformanceCase> tensor_cases();

// Small whole numbers, so that every sum is exact.
VARLSTM_HOST_DEVICE float element_a(int row, int k) {
  return static_cast<float>((3 * row + k) % 5 - 2);
}
VARLSTM_HOST_DEVICE float element_b(int k, int column) {
  return static_cast<float>((k + 2 * column) % 7 - 3);
}

}  // namespace varlstm::test
