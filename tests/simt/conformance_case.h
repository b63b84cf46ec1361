// A kernel that uses some primitives, and what must come out of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <vector>

#include "kernels/arch/device.h"

namespace varlstm::test {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

// Every case runs as kBlocks blocks of kThreads threads in clusters of 2, cooperatively, with 4096 bytes of shared
// memory, on kWords words that are 0 before. Of those the first kBlocks * kThreads are compared.
constexpr unsigned kThreads = 64;
constexpr unsigned kBlocks = 4;
constexpr unsigned kWords = 1024;

struct ConformanceCase {
  const char* name;
  void (*kernel)(uint32_t* words);
  uint32_t (*expected)(unsigned word);
  bool three_dimensions;  // grid [2, 1, 2] of blocks [8, 4, 2] in place of [4] and [64]
};

VARLSTM_DEVICE unsigned word_of_thread() {
  return blockIdx.x * kThreads + threadIdx.x;
}

std::vector<ConformanceCase> basic_cases();
std::vector<ConformanceCase> memory_cases();
std::vector<ConformanceCase> number_cases();

}  // namespace varlstm::test
